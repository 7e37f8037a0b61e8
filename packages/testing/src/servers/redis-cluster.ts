import { clusterShape } from "./options.ts";
import { setTimeout as sleep } from "node:timers/promises";
import { StewardError } from "@steward/core";
import { assertShape, describeError } from "@steward/core/driver";
import { MAX_CLUSTER_PORT } from "./ports.ts";
import { type RedisOptions, type RedisServer, startRedisNode } from "./redis.ts";
import { redisCommand, redisInfo } from "./resp.ts";

/** How to start a Redis Cluster. */
export interface RedisClusterOptions extends Omit<RedisOptions, "port"> {
  /** Nodes that share the slots; at least 3 where a failover is wanted. Default 3. */
  readonly masters?: number;
  /** Replicas in all, spread over the masters in turn. Default 3. */
  readonly replicas?: number;
  /** After how many ms of silence a node counts as failed. Default 1,000. */
  readonly nodeTimeoutMs?: number;
}

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

/** A running Redis Cluster. */
export interface RedisCluster extends RedisGroup {
  /** What a client wants to begin with. */
  readonly seeds: readonly { readonly host: string; readonly port: number }[];
}

const SLOTS = 16_384;
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

/**
 * Starts a Redis Cluster on 127.0.0.1 and waits until every node sees all slots served and all replicas in step.
 *
 * @throws {SERVER_BINARY_MISSING} there is no Redis program.
 * @throws {SERVER_START_FAILED} a node ended.
 * @throws {SERVER_START_TIMEOUT} a node, or the cluster as a whole, was not ready in time.
 */
export async function startRedisCluster(options: RedisClusterOptions = {}): Promise<RedisCluster> {
  assertShape("startRedisCluster", clusterShape, options);
  const { masters = 3, replicas = 3, nodeTimeoutMs = 1_000, settings, ...common } = options;
  const cluster = {
    "cluster-enabled": "yes",
    "cluster-config-file": "nodes.conf",
    "cluster-node-timeout": nodeTimeoutMs,
  };
  const node = {
    ...common,
    maxPort: MAX_CLUSTER_PORT,
    settings: { ...cluster, "repl-diskless-sync-delay": 0, ...settings },
  };
  const nodes = await startAll(Array.from({ length: masters + replicas }, () => startRedisNode(node)));
  try {
    await shareSlots(nodes.slice(0, masters));
    await introduce(nodes);
    await converge("the Redis Cluster", () => allKnowAll(nodes), options.signal);
    await attach(nodes, masters, options.signal);
    await converge("the Redis Cluster", () => inStep(nodes, masters), options.signal);
  } catch (error) {
    await stopAll(nodes);
    throw error;
  }
  const stop = (): Promise<void> => stopAll(nodes);
  return {
    nodes,
    seeds: nodes.map(({ host, port }) => ({ host, port })),
    masters: () => withRole(nodes, "master"),
    replicas: () => withRole(nodes, "slave"),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

async function shareSlots(masters: readonly RedisServer[]): Promise<void> {
  const first = (index: number): number => Math.floor((index * SLOTS) / masters.length);
  for (const [index, master] of masters.entries()) {
    // Different epochs from the start spare the nodes a quarrel about who wins.
    await redisCommand(master, "CLUSTER", "SET-CONFIG-EPOCH", index + 1);
    const slots = Array.from({ length: first(index + 1) - first(index) }, (_, slot) => first(index) + slot);
    await redisCommand(master, "CLUSTER", "ADDSLOTS", ...slots);
  }
}

async function introduce(nodes: readonly RedisServer[]): Promise<void> {
  const [first, ...others] = nodes;
  for (const other of others) if (first) await redisCommand(other, "CLUSTER", "MEET", first.host, first.port);
}

async function clusterInfo(node: RedisServer): Promise<string> {
  return String(await redisCommand(node, "CLUSTER", "INFO"));
}

async function allKnowAll(nodes: readonly RedisServer[]): Promise<boolean> {
  const lists = await Promise.all(nodes.map((node) => redisCommand(node, "CLUSTER", "NODES")));
  return lists.every((list) => {
    const lines = String(list).trim().split("\n");
    return lines.length === nodes.length && !lines.some((line) => /handshake|noaddr|fail/.test(line));
  });
}

async function attach(nodes: readonly RedisServer[], masters: number, signal?: AbortSignal): Promise<void> {
  for (const [index, replica] of nodes.slice(masters).entries()) {
    const master = nodes[index % masters];
    if (master === undefined) return;
    const id = String(await redisCommand(master, "CLUSTER", "MYID"));
    // Refused until the replica has heard from gossip that the other is a master.
    await converge(
      "the Redis Cluster",
      async () => (await redisCommand(replica, "CLUSTER", "REPLICATE", id)) === "OK",
      signal,
    );
  }
}

async function inStep(nodes: readonly RedisServer[], masters: number): Promise<boolean> {
  const infos = await Promise.all(nodes.map(clusterInfo));
  const ok = infos.every((info) => info.includes("cluster_state:ok") && info.includes(`cluster_size:${masters}`));
  const links = await Promise.all(nodes.slice(masters).map((replica) => redisInfo(replica, "replication")));
  const lists = await Promise.all(nodes.map((node) => redisCommand(node, "CLUSTER", "NODES")));
  const seen = lists.every(
    (list) => String(list).match(/\bslave\b/g)?.length === nodes.length - masters || nodes.length === masters,
  );
  return ok && seen && links.every((link) => link.get("master_link_status") === "up");
}
