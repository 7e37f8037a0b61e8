import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { isStewardError } from "@steward/core";
import {
  answerJson,
  checkShape,
  flag,
  milliseconds,
  operatorDoor,
  operatorToken,
  required,
  shape,
  type Shape,
  wholeNumber,
} from "@steward/core/container";
import { containerError } from "../errors.ts";
import { claimProfiler, CpuRecording, heapProfile, type ProfileKind } from "./session.ts";

/** What may be asked of a profile route. */
export interface ProfileRouteOptions {
  /** What a request must know, as `authorization: Bearer <token>`: at least 16 characters. */
  readonly token: string;
  /** Longest profile, in ms. Default 60,000. */
  readonly maxMs?: number | undefined;
  /** Largest profile, in bytes. Default 64 MiB. */
  readonly maxBytes?: number | undefined;
  /**
   * Whether snapshots of the heap may be asked for: they hold every string of the process, secrets too, and stop it for
   * seconds, so drain it first. Default `false`.
   */
  readonly snapshot?: boolean | undefined;
}

/** Answers requests for profiles: a route of a management listener, and of any server of `node:http`. */
export type ProfileRoute = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

const DEFAULT_MS = 10_000;
/** Time between two samples, in ms, where none is asked for: half a percent of a core. */
const SAMPLE_MS = 10;
const MIB = 1024 * 1024;

const routeShape: Shape<ProfileRouteOptions> = /* @__PURE__ */ shape<ProfileRouteOptions>(() => ({
  token: required(operatorToken()),
  maxMs: milliseconds(),
  maxBytes: wholeNumber(1),
  snapshot: flag(),
}));

const SUFFIXES: Readonly<Record<ProfileKind, string>> = {
  cpu: "cpuprofile",
  "heap-sampling": "heapprofile",
  snapshot: "heapsnapshot",
};

/**
 * A route that profiles the process for a while and answers with a file that DevTools open:
 * `curl -X POST -H "authorization: Bearer ..." ":9464/steward/profile?ms=10000" > slow.cpuprofile`.
 *
 * - `ms`: how long, at most `maxMs`; default 10,000.
 * - `kind`: `cpu`, the default; `heap-sampling`, what was allocated meanwhile and is still held; `snapshot`, where allowed.
 * - `intervalMs`: time between two samples of the CPU, from 1 to 1,000; default 10.
 * - `force=1`: also while a debugger may be attached (`--inspect`).
 *
 * One at a time: another one gets 409. Nothing is loaded before the first.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown, missing or wrong.
 *
 * @example
 * ```ts
 * import { resource } from "@steward/core";
 * import { container, serveManagement } from "@steward/container";
 * import { profileRoute } from "@steward/container/profile";
 * await using running = await container([resource("cache", { start: () => new Map() })]).start();
 * const routes = { "/steward/profile": profileRoute({ token: "h4nd-m4de-t0ken-0" }) };
 * await using management = await serveManagement(running, { routes });
 * const headers = { authorization: "Bearer h4nd-m4de-t0ken-0" };
 * const answer = await fetch(`${management.url}/steward/profile?ms=50`, { method: "POST", headers });
 * console.log(answer.headers.get("content-disposition")?.split(".").at(-1)); // => cpuprofile"
 * ```
 */
export function profileRoute(options: ProfileRouteOptions): ProfileRoute {
  checkShape("profileRoute", routeShape, options);
  const { maxMs = 60_000, maxBytes = 64 * MIB, snapshot = false } = options;
  const isAllowed = operatorDoor(options.token, ["POST"]);
  return async (request, response) => {
    if (!isAllowed(request, response)) return;
    const asked = askedOf(request, maxMs, snapshot);
    if (typeof asked === "string") return answerJson(response, 400, { error: asked });
    try {
      using _claim = await claimProfiler(asked.kind, asked.isForced);
      await send(response, asked, maxBytes);
    } catch (error) {
      if (response.headersSent || response.destroyed) return void response.destroy();
      if (!isStewardError(error)) throw error;
      answerJson(response, error.code === "PROFILE_TOO_LARGE" ? 500 : 409, { code: error.code, error: error.message });
    }
  };
}

/** What a request asks for. */
interface Asked {
  readonly kind: ProfileKind;
  readonly ms: number;
  readonly intervalMs: number;
  readonly isForced: boolean;
}

/** What is asked for, or what is wrong with it. */
function askedOf({ url }: IncomingMessage, maxMs: number, snapshot: boolean): Asked | string {
  const query = new URL(url ?? "/", "http://localhost").searchParams;
  const kind = query.get("kind") ?? "cpu";
  const ms = Number(query.get("ms") ?? Math.min(DEFAULT_MS, maxMs));
  const intervalMs = Number(query.get("intervalMs") ?? SAMPLE_MS);
  if (!(ms >= 1 && ms <= maxMs)) return `ms must be from 1 to ${maxMs}`;
  if (!(intervalMs >= 1 && intervalMs <= 1_000)) return "intervalMs must be from 1 to 1,000";
  const isForced = query.get("force") === "1";
  if (kind === "cpu" || kind === "heap-sampling" || (kind === "snapshot" && snapshot))
    return { kind, ms, intervalMs, isForced };
  return kind === "snapshot"
    ? "snapshots have to be allowed by the option snapshot"
    : "kind must be cpu or heap-sampling";
}

async function send(response: ServerResponse, asked: Asked, maxBytes: number): Promise<void> {
  const name = `${new Date().toISOString().replaceAll(/[:.]/g, "-")}.${SUFFIXES[asked.kind]}`;
  const headers = {
    "content-type": "application/json",
    "content-disposition": `attachment; filename="${name}"`,
    "cache-control": "no-store",
  };
  if (asked.kind === "snapshot") {
    const { getHeapSnapshot } = await import("node:v8");
    return pipeline(getHeapSnapshot(), response.writeHead(200, headers));
  }
  const text = JSON.stringify(await taken(response, asked));
  const length = Buffer.byteLength(text);
  if (length > maxBytes)
    throw containerError(
      "PROFILE_TOO_LARGE",
      `the profile has ${length} bytes, more than ${maxBytes}; ask for less time`,
    );
  response.writeHead(200, { ...headers, "content-length": length }).end(text);
}

async function taken(response: ServerResponse, { kind, ms, intervalMs }: Asked): Promise<object> {
  if (kind === "heap-sampling") return heapProfile(() => whileOpen(response, ms));
  const recording = await CpuRecording.start(intervalMs);
  await whileOpen(response, ms);
  return recording.stop();
}

/** A client that has gone ends its profile. */
function whileOpen(response: ServerResponse, ms: number): Promise<void> {
  if (response.destroyed) return Promise.resolve(); // it went while the recording began
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      response.off("close", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    response.once("close", end);
  });
}
