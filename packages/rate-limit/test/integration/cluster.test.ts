import assert from "node:assert/strict";
import { redisRunner } from "@steward/redis";
import { RedisClusterManager } from "@steward/redis/cluster";
import { FakeClock } from "@steward/testing";
import { findRedis, startRedisCluster } from "@steward/launchers";
import t from "tap";
import { RateLimiterManager } from "../../src/index.ts";
import { CONTRACT_POLICIES, rateLimiterContract } from "../../src/testing.ts";

if (findRedis() === undefined && process.env["CI"] !== "true") t.pass("no Redis on PATH", { skip: true });
else {
  const { seeds, stop } = await startRedisCluster({ replicas: 0 });
  const manager = await new RedisClusterManager({ cluster: seeds, timeoutMs: 30_000 }).start();
  const redis = redisRunner(manager.client);
  let run = 0;
  rateLimiterContract({ test: (name, fn) => void t.test(`in a cluster: ${name}`, fn), assert }, async () => {
    const clock = new FakeClock();
    const shared = { redis, prefix: `test${(run += 1)}:`, clock: "client", timeoutMs: 5_000 } as const;
    const { client } = await new RateLimiterManager({ policies: CONTRACT_POLICIES, ...shared }, { clock }).start();
    return { limiter: client, advance: (ms) => clock.advance(ms) };
  });
  t.test("in a cluster: all rates of a policy are counted in Redis", async (t) => {
    const limiter = await new RateLimiterManager({ policies: CONTRACT_POLICIES, redis, timeoutMs: 5_000 }).start();
    for (const key of ["ada", "bob", "eve", "kim"])
      t.match(await limiter.client.take("both", key), { allowed: true, source: "redis" });
    await limiter.stop();
  });
  t.teardown(async () => {
    await manager.stop();
    await stop();
  });
}
