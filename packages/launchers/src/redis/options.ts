import {
  anything,
  milliseconds,
  recordOf,
  shape,
  signal,
  text,
  wholeNumber,
  type RulesOf,
  type Shape,
} from "@steward/core/driver";

/** Lines of a Redis configuration; a list gives one line for each value. */
export type RedisSettings = Readonly<Record<string, string | number | readonly string[]>>;

/** How to start a Redis. */
export interface RedisOptions {
  /** The program. Default: `redis-server`, else `valkey-server`, from PATH. */
  readonly binary?: string;
  /** Port on 127.0.0.1. Without it a free one below 55,536. */
  readonly port?: number;
  /** Password of the default user. Default none. */
  readonly password?: string;
  /** Configuration lines, e.g. `{ maxmemory: "64mb" }`. Default: nothing is saved to disk. */
  readonly settings?: RedisSettings;
  /** From spawn to the first reply, in ms. Default 10,000. */
  readonly startTimeoutMs?: number;
  /** Gives the start up and leaves nothing behind. */
  readonly signal?: AbortSignal;
}

/** What only our own launchers of clusters and sentinels set. @internal */
export interface RedisNodeOptions extends RedisOptions {
  readonly sentinel?: boolean;
  readonly maxPort?: number;
}

/** How to start a Redis Cluster. */
export interface RedisClusterOptions extends Omit<RedisOptions, "port"> {
  /** Nodes that share the slots; at least 3 where a failover is wanted. Default 3. */
  readonly masters?: number;
  /** Replicas in all, spread over the masters in turn. Default 3. */
  readonly replicas?: number;
  /** After how many ms of silence a node counts as failed. Default 1,000. */
  readonly nodeTimeoutMs?: number;
}

/** How to start a Redis with sentinels. */
export interface RedisSentinelOptions extends Omit<RedisOptions, "port"> {
  /** Name of the master in the sentinels. Default `main`. */
  readonly name?: string;
  /** Number of sentinels; the majority of them decides. Default 3. */
  readonly sentinels?: number;
  /** Number of replicas. Default 1. */
  readonly replicas?: number;
  /** After how many ms of silence a sentinel thinks a master down. Default 500. */
  readonly downAfterMs?: number;
}

function common(): RulesOf<Omit<RedisOptions, "port">> {
  return {
    binary: text(),
    password: text(true),
    settings: recordOf(anything()),
    startTimeoutMs: milliseconds(),
    signal: signal(),
  };
}

/** What the options of a Redis must be. */
export const redisShape: Shape<RedisOptions> = shape<RedisOptions>(() => ({
  ...common(),
  port: wholeNumber(1, 65_535),
}));

/** What the options of a Redis Cluster must be. */
export const clusterShape: Shape<RedisClusterOptions> = shape<RedisClusterOptions>(() => ({
  ...common(),
  masters: wholeNumber(1),
  replicas: wholeNumber(0),
  nodeTimeoutMs: milliseconds(),
}));

/** What the options of a master with sentinels must be. */
export const sentinelShape: Shape<RedisSentinelOptions> = shape<RedisSentinelOptions>(() => ({
  ...common(),
  name: text(),
  sentinels: wholeNumber(1),
  replicas: wholeNumber(0),
  downAfterMs: milliseconds(),
}));
