import assert from "node:assert/strict";
import type { RedisRunner } from "@steward/core";
import { redisPubSub, RedisPoolManager, redisRunner, type RedisClient } from "@steward/redis";
import { trackHandles, until } from "@steward/testing";
import { redisForTests } from "@steward/launchers";
import t from "tap";
import { CacheManager, type RemoteOptions } from "../../src/index.ts";
import { cacheContract } from "../../src/testing.ts";

const handles = trackHandles();
const server = await redisForTests();
if (server.skip === false) {
  const { url } = server;
  let run = 0;
  const variants: Readonly<Record<string, (client: RedisClient) => Partial<RemoteOptions>>> = {
    "both levels": (client) => ({ bus: redisPubSub(client) }),
    "Redis alone": () => ({ localTtlMs: 0 }),
    "several shards": (client) => ({ bus: redisPubSub(client), shards: 7 }),
  };
  for (const [name, more] of Object.entries(variants))
    cacheContract({ test: (what, fn) => void t.test(`${name}: ${what}`, fn), assert }, async () => {
      run += 1;
      const instance = async () => {
        const redis = await new RedisPoolManager({ url }).start();
        const runner: RedisRunner = redisRunner(redis.client);
        const remote: RemoteOptions = { redis: runner, prefix: `test:${process.pid}:${run}`, ...more(redis.client) };
        const cache = await new CacheManager({ ttlMs: 60_000, staleMs: 60_000, remote }).start();
        await until(() => cache.trouble === undefined, "messages arrive");
        return { cache, redis };
      };
      const [a, b] = await Promise.all([instance(), instance()]);
      return {
        cache: a.cache.client,
        other: b.cache.client,
        async [Symbol.asyncDispose]() {
          await Promise.all([a.cache.stop(), b.cache.stop()]);
          await Promise.all([a.redis.stop(), b.redis.stop()]);
        },
      };
    });
  t.teardown(() => server[Symbol.asyncDispose]());
} else t.pass(server.skip, { skip: server.skip });

t.test("nothing stays open", async () => {
  await server[Symbol.asyncDispose]();
  await handles.assertNoLeaks();
});
