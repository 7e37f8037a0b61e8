import {
  anything,
  milliseconds,
  oneOf,
  recordOf,
  shape,
  signal,
  text,
  wholeNumber,
  type RulesOf,
  type Shape,
} from "@steward/core/driver";
import type { PostgresOptions } from "./postgres.ts";
import type { RedisClusterOptions } from "./redis-cluster.ts";
import type { RedisSentinelOptions } from "./redis-sentinel.ts";
import type { RedisOptions } from "./redis.ts";

/** What the options of a Postgres must be. */
export const postgresShape: Shape<PostgresOptions> = shape<PostgresOptions>(() => ({
  dataDir: text(),
  database: text(),
  port: wholeNumber(1, 65_535),
  settings: recordOf(anything()),
  binDir: text(),
  ifInUse: oneOf("share", "fail"),
  startTimeoutMs: milliseconds(),
  signal: signal(),
}));

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
