import { assertShape } from "@steward/core/driver";
import { converge, type RedisGroup, startAll, stopAll, withRole } from "./group.ts";
import { type RedisOptions, type RedisSentinelOptions, sentinelShape } from "./options.ts";
import { type RedisServer, startRedis, startRedisNode } from "./redis.ts";
import { redisCommand, redisInfo } from "./resp.ts";

/** A running master with replicas and sentinels; `nodes` are the data nodes. */
export interface RedisSentinel extends RedisGroup {
  readonly name: string;
  readonly sentinels: readonly RedisServer[];
  /** What a client wants to begin with. */
  readonly seeds: readonly { readonly host: string; readonly port: number }[];
}

/**
 * Starts a master, its replicas and the sentinels that watch them on 127.0.0.1, and waits until all know each other.
 *
 * @throws {SERVER_BINARY_MISSING} there is no Redis program.
 * @throws {SERVER_START_FAILED} a server ended.
 * @throws {SERVER_START_TIMEOUT} a server, or the group as a whole, was not ready in time.
 */
export async function startRedisSentinel(options: RedisSentinelOptions = {}): Promise<RedisSentinel> {
  assertShape("startRedisSentinel", sentinelShape, options);
  const { name = "main", sentinels: count = 3, replicas = 1, downAfterMs = 500, ...common } = options;
  const nodes = await startNodes(common, replicas);
  const everyone = [...nodes];
  try {
    const sentinels = await startAll(
      Array.from({ length: count }, () => startSentinel(common, name, nodes[0]?.port ?? 0, count, downAfterMs)),
    );
    everyone.push(...sentinels);
    await converge("the sentinels", () => acquainted(sentinels, name, replicas), options.signal);
    return group(name, nodes, sentinels);
  } catch (error) {
    await stopAll(everyone);
    throw error;
  }
}

async function startNodes(common: RedisOptions, replicas: number): Promise<RedisServer[]> {
  const settings = { "repl-diskless-sync-delay": 0, ...common.settings };
  const master = await startRedis({ ...common, settings });
  const follow = { ...settings, replicaof: `${master.host} ${master.port}` };
  try {
    const followers = await startAll(
      Array.from({ length: replicas }, () => startRedis({ ...common, settings: follow })),
    );
    const linked = (info: ReadonlyMap<string, string>): boolean => info.get("master_link_status") === "up";
    await converge(
      "the Redis replicas",
      async () => (await Promise.all(followers.map((one) => redisInfo(one, "replication")))).every(linked),
      common.signal,
    );
    return [master, ...followers];
  } catch (error) {
    await master.stop();
    throw error;
  }
}

function startSentinel(
  common: RedisOptions,
  name: string,
  port: number,
  count: number,
  downAfterMs: number,
): Promise<RedisServer> {
  const { password, settings: _ofNodes, ...rest } = common;
  const about = (word: string, value: string | number): string => `${word} ${name} ${value}`;
  const rules = [
    about("monitor", `127.0.0.1 ${port} ${Math.floor(count / 2) + 1}`),
    about("down-after-milliseconds", downAfterMs),
    about("failover-timeout", 4 * downAfterMs),
    ...(password === undefined ? [] : [about("auth-pass", password)]),
  ];
  return startRedisNode({ ...rest, sentinel: true, settings: { sentinel: rules } });
}

async function acquainted(sentinels: readonly RedisServer[], name: string, replicas: number): Promise<boolean> {
  const all = await Promise.all(
    sentinels.map(async (sentinel) => {
      const others = await redisCommand(sentinel, "SENTINEL", "SENTINELS", name);
      const followers = await redisCommand(sentinel, "SENTINEL", "REPLICAS", name);
      return lengthOf(others) === sentinels.length - 1 && lengthOf(followers) === replicas;
    }),
  );
  return all.every(Boolean);
}

function lengthOf(reply: unknown): number {
  return Array.isArray(reply) ? reply.length : 0;
}

function group(name: string, nodes: readonly RedisServer[], sentinels: readonly RedisServer[]): RedisSentinel {
  // The sentinels go first, or they would begin a failover.
  const stop = async (): Promise<void> => {
    await stopAll(sentinels);
    await stopAll(nodes);
  };
  return {
    name,
    nodes,
    sentinels,
    stop,
    seeds: sentinels.map(({ host, port }) => ({ host, port })),
    masters: () => withRole(nodes, "master"),
    replicas: () => withRole(nodes, "slave"),
    [Symbol.asyncDispose]: stop,
  };
}
