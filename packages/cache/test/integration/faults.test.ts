import { readFile } from "node:fs/promises";
import { RedisPoolManager, redisRunner } from "@steward/redis";
import { FakeClock, trackHandles, until } from "@steward/testing";
import { findRedis, startRedis } from "@steward/launchers";
import t from "tap";
import { CacheManager } from "../../src/index.ts";
import { Bus } from "../../src/remote/bus.ts";
import { instance } from "./setup.ts";

const handles = trackHandles();
const needs = findRedis() === undefined && process.env["CI"] !== "true" ? { skip: "no redis-server on PATH" } : {};
let run = 0;
const prefix = (): string => `faults:${process.pid}:${(run += 1)}`;

t.test("what one instance makes void leaves the memory of the others", needs, async (t) => {
  await using server = await startRedis();
  const name = prefix();
  await using a = await instance(server.url, name);
  await using b = await instance(server.url, name);
  await a.cache.set("key", "old", { tags: ["x"] });
  for (const makeVoid of [() => a.cache.delete("key"), () => a.cache.invalidate("x"), () => a.cache.clear()]) {
    await a.cache.set("key", "old", { tags: ["x"] });
    t.equal(await b.cache.getOrLoad("key", () => "none"), "old");
    await until(() => b.cache.peek("key") === "old" || b.cache.get("key").then(() => false), "b holds it");
    t.same(await makeVoid(), { spread: true });
    t.equal(a.cache.peek("key"), undefined);
    await until(() => b.cache.peek("key") === undefined, "b has heard it");
  }
});

t.test("a Redis whose memory is full makes void what it is told to, and takes nothing new", needs, async (t) => {
  await using server = await startRedis();
  const name = prefix();
  await using a = await instance(server.url, name, { remote: { localTtlMs: 0 } });
  await using b = await instance(server.url, name, { remote: { localTtlMs: 0 } });
  const makeVoid: [string, () => Promise<object>][] = [
    ["invalidate", () => a.cache.invalidate("x")],
    ["delete", () => a.cache.delete("key")],
    ["clear", () => a.cache.clear()],
    ["a set that keeps nothing", () => a.cache.set("key", "new", { ttlMs: 0 })],
  ];
  for (const [what, act] of makeVoid) {
    await a.redis.client.config("SET", "maxmemory", "0");
    t.same(await a.cache.set("key", "old", { tags: ["x"] }), { spread: true });
    await a.redis.client.config("SET", "maxmemory", "1");
    t.equal(await b.cache.get("key"), "old");
    t.same(await act(), { spread: true }, what);
    t.equal(await b.cache.get("key"), undefined, what);
  }
  await a.redis.client.config("SET", "maxmemory", "0");
  await a.cache.set("key", "old");
  await a.redis.client.config("SET", "maxmemory", "1");
  t.match(await a.cache.set("key", "new"), { spread: false }, "there is no room for it");
  await until(async () => (await b.cache.get("key")) === undefined, "and the old one is none that may be given");
});

t.test(
  "bytes of any kind, tags with separators and that there is none come back from Redis as they were",
  needs,
  async (t) => {
    await using server = await startRedis();
    const name = prefix();
    const bytes = {
      encode: (value: unknown) => value as Uint8Array,
      decode: (given: Uint8Array) => Buffer.from(given),
    };
    const options = { cache: { codec: bytes, absentMs: 60_000 }, remote: { localTtlMs: 0 } };
    await using a = await instance(server.url, name, options);
    await using b = await instance(server.url, name, options);
    const all = Buffer.from([0, 10, 44, 0, 255, 13, 10, 0]);
    const tags = ["a,b", "50%", "line\nbreak", "\u00e9"];
    for (const value of [all, Buffer.alloc(0), Buffer.alloc(10_000, 7)]) {
      for (const tag of tags) {
        await a.cache.set("key", value, { tags });
        t.strictSame(await b.cache.get("key"), value);
        await b.cache.invalidate(tag);
        t.equal(await a.cache.get("key"), undefined, tag);
      }
    }
    await a.cache.getOrLoad("none", () => undefined);
    t.match(await b.cache.lookup("none"), { state: "absent", level: "remote" });
    const several = a.cache.getMany(["one", "\ud800"], (keys) => keys.map(() => all));
    await t.rejects(several, { code: "CACHE_KEY_INVALID", message: /half of a character/ });
    t.strictSame(await a.cache.getOrLoad("one", () => Buffer.alloc(0)), all, "it does not wait for the one refused");
  },
);

t.test("what is no reply, and what is no entry, is loaded and harms nobody", needs, async (t) => {
  await using server = await startRedis();
  const name = prefix();
  await using a = await instance(server.url, name, { remote: { localTtlMs: 0 } });
  await a.cache.set("key", "old");
  const [entry = ""] = (await a.redis.client.keys("*")).filter((key) => key.endsWith("key"));
  await a.redis.client.set(entry, "text where a hash was");
  t.equal(await a.cache.getOrLoad("key", () => "loaded"), "loaded");
  t.same(await a.cache.delete("key"), { spread: true }, "a delete mends it");
  t.equal(await a.cache.getOrLoad("key", () => "again"), "again");
  t.equal(await a.cache.get("key"), "again", "it is kept");
  for (const reply of [null, 5, [], "F", Buffer.from("F"), Buffer.from("X,e,1\n"), Buffer.from("F,e,no\n")]) {
    const redis = redisRunner(a.redis.client);
    const binary = { ...redis.binary, script: () => Promise.resolve(reply) as Promise<never> };
    await using odd = await new CacheManager<string>({ remote: { redis: { ...redis, binary }, prefix: name } }).start();
    t.equal(await odd.client.getOrLoad("key", () => "loaded"), "loaded");
  }
});

t.test("a frozen Redis holds nobody up, and what is made void meanwhile is sent when it is back", needs, async (t) => {
  await using server = await startRedis();
  const name = prefix();
  await using a = await instance(server.url, name, { remote: { timeoutMs: 100 } });
  await using b = await instance(server.url, name, { hasBus: false, remote: { localTtlMs: 0 } });
  await a.cache.set("key", "old");
  await server.pause();
  try {
    let loads = 0;
    const load = (): number => ++loads;
    for (let i = 0; i < 50; i++) await a.cache.getOrLoad(["cold", i], load);
    t.equal(loads, 50, "each is loaded although Redis hangs");
    t.equal(await a.cache.getOrLoad(["cold", 0], load), 1, "what was loaded meanwhile is held");
    t.same(await a.cache.delete("key"), { spread: false });
    await t.rejects(a.cache.delete("key", { strict: true }), { code: "CACHE_INVALIDATION_PENDING", retryable: true });
    t.equal(a.manager.stats().owed, 1);
    t.match(a.manager.trouble, { status: "degraded" });
    t.equal(await a.cache.getOrLoad("key", () => "new"), "new");
  } finally {
    await server.resume();
  }
  await until(() => a.manager.stats().owed === 0, "it is sent");
  t.not(await b.cache.get("key"), "old");
  await until(() => a.manager.trouble === undefined, "all is well again");
});

t.test("once Redis answers again, all that comes at once reaches it", needs, async (t) => {
  await using server = await startRedis();
  await using a = await instance(server.url, prefix(), { redis: { breaker: false }, remote: { timeoutMs: 500 } }); // the circuit of the pool counts for all its users
  await a.cache.set("key", 1);
  await server.pause();
  try {
    await a.cache.getOrLoad("other", () => 1);
    t.match(a.manager.trouble, { status: "degraded", reason: /without Redis/ });
  } finally {
    await server.resume();
  }
  await until(() => a.manager.trouble === undefined, "no call is needed to see that it answers");
  const all = await Promise.all(Array.from({ length: 100 }, (_, i) => a.cache.delete(["key", i])));
  t.equal(all.filter(({ spread }) => !spread).length, 0);
});

t.test("a loader that is gone costs one wait and one load more", needs, async (t) => {
  await using server = await startRedis();
  const name = prefix();
  const options = { cache: { waitMs: 200 } };
  await using a = await instance(server.url, name, { ...options, remote: { timeoutMs: 200 } });
  const others = await Promise.all([1, 2, 3].map(() => instance(server.url, name, options)));
  let begin = (): void => {};
  const begun = new Promise<void>((resolve) => (begin = resolve));
  const gone = new AbortController();
  const hung = a.cache
    .getOrLoad("key", () => (begin(), new Promise<string>(() => {})), { signal: gone.signal })
    .catch(() => {});
  await begun;
  await a.redis.stop(); // nothing of this instance arrives any more, as after a SIGKILL
  let loads = 0;
  const load = (): string => (loads++, "value");
  const values = await Promise.all(others.map(({ cache }) => cache.getOrLoad("key", load)));
  t.same(values, ["value", "value", "value"]);
  t.equal(loads, 1);
  gone.abort();
  await hung;
  for (const one of others) await one[Symbol.asyncDispose]();
});

t.test("a server that has lost the last invalidations is cleared", needs, async (t) => {
  await using server = await startRedis();
  const name = prefix();
  await using a = await instance(server.url, name, { remote: { localTtlMs: 0 } });
  const marks = `{${name}:cache:v1}m`;
  await a.cache.set("key", "old");
  const clock = await a.redis.client.hget(marks, "c");
  await a.redis.client.call("copy", `{${name}:cache:v1}kkey`, `{${name}:cache:v1}backup`);
  await a.cache.delete("key");
  await a.redis.client.hset(marks, "c", clock ?? "1");
  await a.redis.client.rename(`{${name}:cache:v1}backup`, `{${name}:cache:v1}kkey`);
  t.equal(await a.cache.getOrLoad("key", () => "new"), "new", "the old one, which is back, is not given");
  t.not(await a.cache.getOrLoad("key", () => "new"), "old");
});

t.test("what Redis gives back broken is a miss, and counted", needs, async (t) => {
  await using server = await startRedis();
  const name = prefix();
  const schema = {
    "~standard": {
      version: 1 as const,
      vendor: "test",
      validate: (value: unknown) => (typeof value === "string" ? { value } : { issues: [{ message: "no text" }] }),
    },
  };
  await using a = await instance(server.url, name, { cache: { schema }, remote: { localTtlMs: 0 } });
  const key = `{${name}:cache:v1}kkey`;
  for (const broken of [Buffer.from([1, 0x7b]), Buffer.from([9]), Buffer.from([2, 1, 2, 3]), Buffer.from("\u00017")]) {
    await a.cache.set("key", "value");
    await a.redis.client.hset(key, "v", broken);
    t.equal(await a.cache.getOrLoad("key", () => "loaded"), "loaded");
  }
  t.equal(a.manager.stats().broken, 4);
  await t.rejects(a.cache.set("key", 7), { code: "CACHE_CODEC_FAILED", message: /cannot be read back.*no text/ });
  await t.rejects(a.cache.set("key", undefined), { code: "CACHE_CODEC_FAILED", message: /delete/ });
  t.equal(await a.cache.get("key"), undefined, "the old one is void");
});

t.test("what a process holds in memory is never older than `localTtlMs`, whatever the jitter", needs, async (t) => {
  await using server = await startRedis();
  const clock = new FakeClock();
  const options = { cache: { jitter: 1 }, remote: { localTtlMs: 1_000 }, context: { clock } };
  await using a = await instance(server.url, prefix(), options);
  const keys = Array.from({ length: 50 }, (_, i) => ["key", i] as const);
  for (const key of keys) await a.cache.set(key, 1);
  t.ok(keys.some((key) => a.cache.peek(key) === 1));
  await clock.advance(1_001);
  t.equal(keys.filter((key) => a.cache.peek(key) === 1).length, 0);
});

t.test("large values are compressed, and bounded when they are unpacked", needs, async (t) => {
  await using server = await startRedis();
  const name = prefix();
  await using a = await instance(server.url, name, { remote: { localTtlMs: 0 } });
  await using small = await instance(server.url, name, { cache: { maxValueBytes: 10_000 }, remote: { localTtlMs: 0 } });
  const [large, tiny] = ["x".repeat(100_000), "x".repeat(40)];
  await a.cache.set("large", large);
  await a.cache.set("tiny", tiny);
  const bytes = async (key: string): Promise<number> => a.redis.client.hstrlen(`{${name}:cache:v1}k${key}`, "v");
  t.ok((await bytes("large")) < 1_000);
  t.equal(await bytes("tiny"), 43);
  t.equal(await a.cache.get("large"), large);
  t.equal(await small.cache.get("large"), undefined);
  t.equal(small.manager.stats().broken, 1);
  await t.rejects(small.cache.set("other", large), { code: "CACHE_VALUE_TOO_LARGE" });
  await t.rejects(a.cache.set("other", 1n), { code: "CACHE_CODEC_FAILED", message: /BigInt/ });
  t.equal(await a.cache.getOrLoad("other", () => 1n), 1n);
});

t.test("it starts and works without Redis, and says so", needs, async (t) => {
  const server = await startRedis();
  const a = await instance(server.url, prefix(), { remote: { timeoutMs: 200 } });
  await server.stop();
  t.equal(await a.cache.getOrLoad("key", () => 1), 1);
  t.same(await a.cache.clear(), { spread: false });
  t.match(a.manager.trouble, { status: "degraded", reason: /without Redis/ });
  await a[Symbol.asyncDispose]();
});

t.test("a start asks Redis anew, though it did not answer before the stop", needs, async (t) => {
  await using server = await startRedis();
  const remote = { timeoutMs: 1_000, localTtlMs: 0, breaker: { breakDurationMs: 60_000 } };
  const clock = new FakeClock();
  await using a = await instance(server.url, prefix(), { hasBus: false, remote, context: { clock } });
  await server.pause();
  t.equal(await clock.runUntil(a.cache.getOrLoad("key", () => 1)), 1);
  await clock.advance(2_000); // nor is it answered what Redis was asked then
  t.match(a.manager.trouble, { status: "degraded" });
  await a.manager.stop();
  await server.resume();
  const isBack = (): Promise<boolean> => a.redis.client.ping().then(Boolean, () => false);
  await until(isBack, "Redis answers");
  await a.manager.start();
  t.equal(a.manager.trouble, undefined);
  await a.cache.set("key", 2);
  t.equal(await a.cache.get("key"), 2, "it is kept in Redis");
});

t.test("it works with the rights that the README names, and no others", needs, async (t) => {
  await using server = await startRedis();
  await using admin = await new RedisPoolManager({ url: server.url }).start();
  const readme = await readFile(new URL("../../../README.md", import.meta.url), "utf8");
  const rights = /\*\*Least rights\*\*: ([^]*?)\.\n/.exec(readme)?.[1]?.match(/[+~&][^`,\s]+/g) ?? [];
  await admin.client.call("acl", "setuser", "app", "on", ">secret", "resetchannels", "-@all", ...rights);
  const url = server.url.replace("redis://", "redis://app:secret@");
  await using a = await instance(url, "steward:cache");
  await using b = await instance(url, "steward:cache", { remote: { localTtlMs: 0 } });
  await a.cache.set("key", 1, { tags: ["x"] });
  t.equal(await b.cache.getOrLoad("key", () => 2), 1);
  await a.cache.expire("key");
  for (const makeVoid of [() => a.cache.delete("key"), () => a.cache.invalidate("x"), () => a.cache.clear()])
    t.same(await makeVoid(), { spread: true });
  t.equal(await b.cache.getOrLoad("key", () => 2), 2);
  await t.rejects(
    b.cache.getOrLoad("other", () => Promise.reject(new Error("no"))),
    { message: "no" },
  );
  t.equal(b.manager.trouble, undefined);
});

t.test("wrong options of what is shared are refused", (t) => {
  const remote = { redis: {}, bus: {}, prefix: "a{b", shards: 0, onFailover: "no" } as never;
  for (const path of ["redis", "bus", "prefix", "shards", "onFailover"])
    t.throws(() => new CacheManager({ remote }), { code: "OPTIONS_INVALID", message: new RegExp(`remote\\.${path}`) });
  t.end();
});

t.test(
  "a bus that says nothing is silent after 10 s, but not for the time in which this process stood still",
  async (t) => {
    class Stalling extends FakeClock {
      stoodStillMs = 0;
      override now(): number {
        return super.now() + this.stoodStillMs;
      }
    }
    const clock = new Stalling();
    const losses: string[] = [];
    let hear: (text: string) => void = () => {};
    let isMute = false;
    const bus = new Bus({
      clock,
      port: {
        publish: async () => {},
        subscribe: async (_topic, listener) => {
          hear = listener;
          return async () => {};
        },
      },
      topic: "topic",
      onMessage: () => {},
      onLoss: (reason) => losses.push(reason),
      beat: () => void (isMute || hear("0 epoch 1 h ")),
    });
    await bus.open();
    await clock.advance(30_000);
    t.same([bus.isAlive, losses], [true, ["gap"]], "what was said before it listened is lost");
    isMute = true;
    clock.stoodStillMs = 60_000;
    await clock.advance(8_000);
    t.ok(bus.isAlive);
    await clock.advance(8_000);
    t.same([bus.isAlive, losses], [false, ["gap", "silence"]]);
    isMute = false;
    await clock.advance(4_000);
    t.ok(bus.isAlive);
    await bus.close();
  },
);

t.test("nothing stays open", () => handles.assertNoLeaks());
