import { existsSync } from "node:fs";
import { systemClock } from "@steward/core";
import { specOf } from "@steward/core/container";
import t from "tap";
import { redisPool, type RedisClient } from "../src/index.ts";
import { testRedis } from "../src/testing.ts";
import { needsRedis } from "./setup.ts";

t.test("a Redis for tests is real, empty, and gone without a trace", needsRedis, async (t) => {
  const first = testRedis({ keyPrefix: "t:" });
  const second = testRedis();
  await Promise.all([first.start(), second.start()]);
  t.equal(await first.client.incr("n"), 1);
  t.equal(await second.client.incr("n"), 1);
  const [folder = ""] =
    /\/\S+steward-redis-\w+/.exec(String((await first.client.config("GET", "dir")) as unknown)) ?? [];
  t.ok(existsSync(folder));
  await Promise.all([first.stop(), second.stop()]);
  t.notOk(existsSync(folder));
  await first.start();
  t.equal(await first.client.incr("n"), 1, "empty again");
  await first.stop();
});

t.test("a Redis that stands for another keeps its options, but for where it is", needsRedis, async (t) => {
  const cache = redisPool("cache", {
    url: "rediss://ada:s3cr3t@redis.internal/4",
    keyPrefix: "clips:",
    tags: ["cache"],
  });
  const stand = specOf(testRedis.definition(cache, { timeoutMs: 500 }));
  t.match(stand, { name: "cache", settings: { tags: ["cache"] } });
  t.same(stand.managed?.prepare({}), { keyPrefix: "clips:", timeoutMs: 500 });
  const manager = stand.managed?.create(stand.managed.prepare({}), { name: "cache", clock: systemClock });
  await manager?.start();
  const client = manager?.client as RedisClient;
  await client.set("n", 1);
  t.same(await client.call("KEYS", "*"), ["clips:n"]);
  await manager?.stop();
});

t.test("without a Redis program the start says so", async (t) => {
  const { PATH } = process.env;
  t.teardown(() => void (process.env["PATH"] = PATH));
  process.env["PATH"] = "/nowhere";
  await t.rejects(testRedis().start(), { code: "REDIS_CONNECT_FAILED", message: /redis-server nor valkey-server/ });
});
