import { StewardError } from "@steward/core";
import { describeError } from "@steward/core/driver";
import { Client, type buildConnector, type Dispatcher } from "undici";
import type { Origins } from "./session/origins.ts";

/** How long ago a failure may be to count, in ms. */
const RECENT_MS = 60_000;

/**
 * Asks the origins whose calls fail or hang; fails when none that was called in the last minute answers.
 * @throws {HTTP_PROBE_FAILED} naming them.
 */
export async function askFailing(resource: string, origins: Origins, signal: AbortSignal): Promise<void> {
  const all = [...origins];
  const failing = all.filter((origin) => origin.isFailing(RECENT_MS));
  if (failing.length === 0 || failing.length < all.length) return;
  const answers = await Promise.all(
    failing.map((origin) => origin.ask(signal).then(nothing, (error: unknown) => ({ origin, error }))),
  );
  const silent = answers.filter((answer) => answer !== undefined);
  const [first] = silent;
  if (first === undefined || silent.length < failing.length) return;
  const names = silent.map(({ origin, error }) => about(origin.origin, describeError(error))).join("; ");
  throw new StewardError("HTTP_PROBE_FAILED", `${resource}: no origin in use answers (${names})`, {
    resource,
    cause: first.error,
    retryable: true,
  });
}

function nothing(): undefined {}

/** Many errors name their origin themselves. */
function about(origin: string, trouble: string): string {
  return trouble.includes(origin) ? trouble : `${origin}: ${trouble}`;
}

/**
 * Asks a URL.
 * @throws {HTTP_PROBE_FAILED} when it answers with a status of 400 or more.
 */
export async function ask(resource: string, url: string, way: Way, signal: AbortSignal): Promise<void> {
  const statusCode = await statusOf("GET", url, way, signal);
  if (statusCode < 400) return;
  const { origin, pathname } = new URL(url);
  throw new StewardError("HTTP_PROBE_FAILED", `${resource}: ${origin}${pathname} answered with status ${statusCode}`, {
    resource,
    retryable: true,
  });
}

/** How to get to a server: a dispatcher of the user's, or our connections. */
type Way = Dispatcher | buildConnector.connector;

/** What a URL answers, with our connections over a fresh one, so that neither a full pool nor a stale connection distorts it. */
export async function statusOf(method: "GET" | "HEAD", url: string, way: Way, signal: AbortSignal): Promise<number> {
  const { origin, pathname, search } = new URL(url);
  const client = typeof way === "function" ? new Client(origin, { connect: way }) : way;
  try {
    const { statusCode, body } = await client.request({ origin, method, path: pathname + search, signal });
    await body.dump();
    return statusCode;
  } finally {
    if (client !== way) await client.destroy();
  }
}
