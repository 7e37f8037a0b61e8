import { setTimeout as sleep } from "node:timers/promises";
import { StewardError } from "@steward/core";
import { describeError } from "@steward/core/driver";
import type { RedisServer } from "./redis.ts";
import { redisInfo } from "./resp.ts";

/** A group of Redis servers that belong together. */
export interface RedisGroup extends AsyncDisposable {
  /** Every data node, first the masters of the beginning, then the replicas. */
  readonly nodes: readonly RedisServer[];
  /** Stops every server; the failures are collected. */
  stop(): Promise<void>;
  /** The running nodes that are master now. */
  masters(): Promise<RedisServer[]>;
  /** The running nodes that are replica now. */
  replicas(): Promise<RedisServer[]>;
}

const CONVERGE_MS = 20_000;
const POLL_MS = 50;

/** Stops all, then throws what failed. */
export async function stopAll(servers: readonly RedisServer[]): Promise<void> {
  const outcomes = await Promise.allSettled(servers.map((server) => server.stop()));
  const errors = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason] : []));
  if (errors.length > 0) throw new AggregateError(errors, `${errors.length} of ${servers.length} servers did not stop`);
}

/** Starts them side by side; when one fails, stops those that came up. */
export async function startAll(starts: readonly Promise<RedisServer>[]): Promise<RedisServer[]> {
  const outcomes = await Promise.allSettled(starts);
  const failed = outcomes.find((outcome) => outcome.status === "rejected");
  const started = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
  if (failed === undefined) return started;
  await stopAll(started);
  throw failed.reason;
}

/** The running nodes of a role. */
export async function withRole(nodes: readonly RedisServer[], role: "master" | "slave"): Promise<RedisServer[]> {
  const roles = await Promise.all(nodes.map((node) => redisInfo(node, "replication").catch(() => undefined)));
  return nodes.filter((node, index) => node.running && roles[index]?.get("role") === role);
}

/** Waits until `done` holds; what it throws counts as "not yet". */
export async function converge(what: string, done: () => Promise<boolean>, signal?: AbortSignal): Promise<void> {
  const until = performance.now() + CONVERGE_MS;
  for (let last = ""; ; await sleep(POLL_MS)) {
    signal?.throwIfAborted();
    const outcome = await done().catch(describeError);
    if (outcome === true) return;
    if (typeof outcome === "string") last = ` (${outcome})`;
    if (performance.now() > until) {
      throw new StewardError("SERVER_START_TIMEOUT", `${what} did not come together within ${CONVERGE_MS} ms${last}`);
    }
  }
}
