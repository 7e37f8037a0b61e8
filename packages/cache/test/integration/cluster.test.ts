import assert from "node:assert/strict";
import { redisPubSub, redisRunner } from "@steward/redis";
import { RedisClusterManager } from "@steward/redis/cluster";
import { until } from "@steward/testing";
import { findRedis, startRedisCluster } from "@steward/launchers";
import t from "tap";
import { CacheManager } from "../../src/index.ts";
import { cacheContract } from "../../src/testing.ts";

if (findRedis() === undefined && process.env["CI"] !== "true") t.pass("no Redis on PATH", { skip: true });
else {
  const { seeds, stop } = await startRedisCluster({ replicas: 0 });
  const redis = await new RedisClusterManager({ cluster: seeds }).start();
  let run = 0;
  cacheContract({ test: (what, fn) => void t.test(`in a cluster: ${what}`, fn), assert }, async () => {
    const prefix = `test:${(run += 1)}`;
    const ports = { redis: redisRunner(redis.client), bus: redisPubSub(redis.client) };
    const remote = { ...ports, prefix, shards: 7, timeoutMs: 5_000 };
    const start = () => new CacheManager({ ttlMs: 60_000, staleMs: 60_000, remote }).start();
    const [a, b] = await Promise.all([start(), start()]);
    await until(() => a.trouble === undefined && b.trouble === undefined, "messages arrive");
    return {
      cache: a.client,
      other: b.client,
      async [Symbol.asyncDispose]() {
        await Promise.all([a.stop(), b.stop()]);
      },
    };
  });
  t.teardown(async () => {
    await redis.stop();
    await stop();
  });
}
