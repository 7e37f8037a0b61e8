import { assertShape } from "@steward/core/driver";
import { MAX_CLUSTER_PORT } from "../process/ports.ts";
import { converge, type RedisGroup, startAll, stopAll, withRole } from "./group.ts";
import { clusterShape, type RedisClusterOptions } from "./options.ts";
import { type RedisServer, startRedisNode } from "./redis.ts";
import { redisCommand, redisInfo } from "./resp.ts";

/** A running Redis Cluster. */
export interface RedisCluster extends RedisGroup {
  /** What a client wants to begin with. */
  readonly seeds: readonly { readonly host: string; readonly port: number }[];
}

const SLOTS = 16_384;

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
