import { describeError, StewardError } from "@steward/core";
import { Client, type buildConnector, type Dispatcher } from "undici";
import type { Origins } from "./session/origins.ts";

/** How long ago a failure may be to count, in ms. */
const RECENT_MS = 60_000;

/**
 * Judges by the calls that were made anyway: it fails when every origin called lately has failed since its last answer.
 * @throws {HTTP_PROBE_FAILED} naming them.
 */
export function judge(resource: string, origins: Origins): void {
  const all = [...origins];
  const failing = all.flatMap((origin) => {
    const trouble = origin.trouble(RECENT_MS);
    return trouble === undefined ? [] : [{ origin: origin.origin, trouble }];
  });
  const [first] = failing;
  if (first === undefined || failing.length < all.length) return;
  const names = failing.map(({ origin, trouble }) => about(origin, describeError(trouble))).join("; ");
  throw new StewardError("HTTP_PROBE_FAILED", `${resource}: no origin in use answers (${names})`, {
    resource,
    cause: first.trouble,
    retryable: true,
  });
}

/** Many errors name their origin themselves. */
function about(origin: string, trouble: string): string {
  return trouble.includes(origin) ? trouble : `${origin}: ${trouble}`;
}

/**
 * Asks a URL, with our connections over a fresh one, so that neither a full pool nor a stale connection distorts the answer.
 * @throws {HTTP_PROBE_FAILED} when it answers with a status of 400 or more.
 */
export async function ask(
  resource: string,
  url: string,
  way: Dispatcher | buildConnector.connector,
  signal: AbortSignal,
): Promise<void> {
  const { origin, pathname, search } = new URL(url);
  const client = typeof way === "function" ? new Client(origin, { connect: way }) : way;
  try {
    const { statusCode, body } = await client.request({ origin, method: "GET", path: pathname + search, signal });
    await body.dump();
    if (statusCode < 400) return;
    throw new StewardError(
      "HTTP_PROBE_FAILED",
      `${resource}: ${origin}${pathname} answered with status ${statusCode}`,
      { resource, retryable: true },
    );
  } finally {
    if (client !== way) await client.destroy();
  }
}
