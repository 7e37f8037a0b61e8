import { currentContext, runWithContext } from "@steward/core";
import { failure, trackHandles } from "@steward/testing";
import { AsyncLocalStorage } from "node:async_hooks";
import t from "tap";
import { CacheManager, type CacheOptions } from "../src/index.ts";
import { Held, make } from "./make.ts";

const handles = trackHandles();

t.test("a value is fresh for its time and not longer", async (t) => {
  const { cache, clock } = await make<number>({ ttlMs: 1_000 });
  await cache.set("a", 1);
  await cache.set("b", 2, { ttlMs: 5_000 });
  await clock.advance(999);
  t.equal(cache.peek("a"), 1);
  await clock.advance(1);
  t.equal(cache.peek("a"), undefined);
  t.equal(await cache.get("a"), undefined);
  t.equal(await cache.getOrLoad("a", () => 3), 3);
  t.equal(cache.peek("b"), 2);
});

t.test("a stale value is given at once, and one refresh runs behind it", async (t) => {
  const { cache, clock } = await make<string>({ ttlMs: 1_000, staleMs: 10_000 });
  const { load } = new Held<string>();
  const next = new Held<string>();
  await cache.set("a", "old");
  await clock.advance(1_500);
  for (let i = 0; i < 10; i++) t.equal(await cache.getOrLoad("a", next.load), "old");
  t.equal(next.count, 1);
  t.same(await cache.lookup("a"), { state: "stale", value: "old", ageMs: 1_500, level: "local" });
  next.end("new");
  await clock.settle();
  t.equal(await cache.getOrLoad("a", load), "new");
});

t.test("a stale value outlives loads that fail, which are tried again only after a while", async (t) => {
  const { cache, clock } = await make<string>({ ttlMs: 1_000, staleMs: 10_000, retryMs: 2_000 });
  let tries = 0;
  const fail = (): Promise<never> => Promise.reject(new Error(`no ${++tries}`));
  await cache.set("a", "old");
  await clock.advance(1_000);
  for (let i = 0; i < 5; i++) {
    t.equal(await cache.getOrLoad("a", fail), "old");
    await clock.settle();
  }
  t.equal(tries, 1);
  await clock.advance(2_000);
  t.equal(await cache.getOrLoad("a", fail), "old");
  await clock.settle();
  t.equal(tries, 2);
  await clock.advance(8_000);
  await t.rejects(cache.getOrLoad("a", fail), { message: "no 3" });
});

t.test("what was deleted is never given as stale", async (t) => {
  const { cache, clock } = await make<string>({ ttlMs: 1_000, staleMs: 10_000 });
  await cache.set("a", "old", { tags: ["x"] });
  await clock.advance(1_000);
  const refresh = new Held<string>();
  t.equal(await cache.getOrLoad("a", refresh.load, { tags: ["x"] }), "old");
  await cache.invalidate("x");
  const load = new Held<string>();
  const asked = cache.getOrLoad("a", load.load, { tags: ["x"] });
  refresh.end("began before");
  await clock.settle();
  load.end("new");
  t.equal(await asked, "new");
  t.equal(cache.peek("a"), "new");
});

t.test("an error is kept where it is told how long", async (t) => {
  const { cache, clock } = await make<string>({ errorMs: 1_000 });
  let tries = 0;
  const fail = (): Promise<never> => Promise.reject(new Error(`no ${++tries}`));
  for (let i = 0; i < 3; i++) await t.rejects(cache.getOrLoad("a", fail), { message: "no 1" });
  t.equal(await cache.get("a"), undefined);
  await clock.advance(1_000);
  await t.rejects(cache.getOrLoad("a", fail), { message: "no 2" });
  await cache.delete("a");
  await t.rejects(cache.getOrLoad("a", fail), { message: "no 3" });
});

t.test("a load that takes too long is told to stop", async (t) => {
  const { cache, clock } = await make<string>({ loadTimeoutMs: 500 });
  const slow = new Held<string>();
  const both = [cache.getOrLoad("a", slow.load), cache.getOrLoad("a", slow.load)].map((one) => failure(one));
  await clock.advance(500);
  for (const error of await Promise.all(both)) t.match(error, { code: "CACHE_LOAD_TIMEOUT", retryable: true });
  t.equal(slow.signal?.aborted, true);
  t.equal(slow.count, 1);
});

t.test("one who gives up leaves; the load is aborted when the last one has left", async (t) => {
  const { cache, clock } = await make<string>();
  const load = new Held<string>();
  const [first, second] = [new AbortController(), new AbortController()];
  const a = failure(cache.getOrLoad("a", load.load, { signal: first.signal }));
  const b = failure(runWithContext({ signal: second.signal }, () => cache.getOrLoad("a", load.load)));
  await clock.settle();
  first.abort();
  t.match(await a, { code: "CALL_ABORTED" });
  t.equal(load.signal?.aborted, false);
  second.abort();
  t.match(await b, { code: "CALL_ABORTED" });
  t.equal(load.signal?.aborted, true);
  t.equal(await cache.getOrLoad("a", () => "next"), "next");
});

t.test("the deadline of a caller is its own, not that of the load", async (t) => {
  const { cache, clock } = await make<string>();
  const load = new Held<string>();
  let seen: number | undefined;
  const first = failure(
    runWithContext({ deadline: clock.now() + 100, requestId: "r-1" }, () =>
      cache.getOrLoad("a", (signal) => {
        seen = currentContext()?.deadline;
        return load.load(signal);
      }),
    ),
  );
  const second = cache.getOrLoad("a", load.load);
  await clock.advance(100);
  t.match(await first, { code: "DEADLINE_EXCEEDED" });
  t.equal(seen, 10_000);
  load.end("value");
  t.equal(await second, "value");
});

t.test("a refresh has no context of the request that came first", async (t) => {
  const { cache, clock } = await make<string>({ ttlMs: 1_000, staleMs: 1_000 });
  const tenant = new AsyncLocalStorage<string>();
  const seen: unknown[] = [];
  const load = (): string => {
    seen.push(currentContext()?.requestId, tenant.getStore());
    return "new";
  };
  await cache.set("a", "old");
  await clock.advance(1_000);
  await tenant.run("acme", () => runWithContext({ requestId: "r-1" }, () => cache.getOrLoad("a", load)));
  await tenant.run("acme", () => runWithContext({ requestId: "r-2" }, () => cache.getOrLoad("b", load)));
  t.same(seen, [undefined, undefined, "r-2", undefined]);
});

t.test("both bounds hold, and the least recently used goes first", async (t) => {
  const { cache, manager } = await make<string>({ maxEntries: 3 });
  for (const key of ["a", "b", "c"]) await cache.set(key, key);
  cache.peek("a");
  await cache.set("d", "d");
  t.same(
    ["a", "b", "c", "d"].map((key) => cache.peek(key)),
    ["a", undefined, "c", "d"],
  );
  t.match(manager.stats(), { entries: 3, evictions: 1 });
  const small = await make<string>({ maxBytes: 10_000 });
  for (let i = 0; i < 100; i++) await small.cache.set(["n", i], "x".repeat(1_000));
  t.ok(small.manager.stats().bytes <= 10_000);
  t.ok(small.manager.stats().entries >= 9);
  await small.cache.set("huge", "x".repeat(20_000));
  t.equal(small.cache.peek("huge"), undefined);
  t.equal(small.manager.stats().unstorable, 1);
  const tagged = await make<number>({ maxBytes: 10_000 });
  for (let i = 0; i < 100; i++) await tagged.cache.set(["n", i], i, { tags: ["x".repeat(500), "y".repeat(500)] });
  t.ok(tagged.manager.stats().entries < 10, "tags are held too");
});

t.test("what was stored together does not end together", async (t) => {
  const { cache, clock, manager } = await make<number>({ ttlMs: 100_000, jitter: 0.1 });
  for (let i = 0; i < 1_000; i++) await cache.set(["n", i], i);
  const left = (): number => Array.from({ length: 1_000 }, (_, i) => cache.peek(["n", i])).filter(Boolean).length;
  await clock.advance(90_000);
  let before = left();
  for (let at = 91_000; at <= 110_000; at += 1_000) {
    await clock.advance(1_000);
    const now = left();
    t.ok(before - now <= 100, `${before - now} of 1,000 ended in 1 % of their time`);
    before = now;
  }
  t.equal(before, 0);
  t.equal(manager.stats().entries, 0);
});

t.test("what several get cannot be changed by one of them", async (t) => {
  const value = { list: [{ a: 1 }] };
  const frozen = await make<typeof value>();
  const got = await frozen.cache.getOrLoad("a", () => structuredClone(value));
  t.throws(() => got.list.push({ a: 2 }), TypeError);
  const copied = await make<typeof value>({ copy: "clone" });
  await copied.cache.set("a", structuredClone(value));
  copied.cache.peek("a")?.list.push({ a: 2 });
  t.same(copied.cache.peek("a"), value);
  const same = await make<typeof value>({ copy: "none" });
  await same.cache.set("a", value);
  t.equal(same.cache.peek("a"), value);
});

t.test("a loaded value that cannot be copied or frozen is given, and not kept; `set` refuses it", async (t) => {
  const trap = {
    get name(): string {
      throw new Error("no name");
    },
  };
  for (const [copy, value] of [
    ["clone", () => 1],
    ["freeze", trap],
  ] as const) {
    const { cache, manager } = await make<unknown>({ copy });
    t.equal(await cache.getOrLoad("a", () => value), value, copy);
    t.equal(cache.peek("a"), undefined);
    t.equal(manager.stats().unstorable, 1);
    await cache.set("b", 1);
    await t.rejects(cache.set("b", value), { code: "CACHE_CODEC_FAILED", message: /keep plain data/ });
    t.equal(cache.peek("b"), undefined);
  }
});

t.test("`set` refuses undefined, which would be given for its whole time without a load", async (t) => {
  const { cache } = await make<number | undefined>();
  await cache.set("a", 1);
  await t.rejects(cache.set("a", undefined), { code: "CACHE_CODEC_FAILED", message: /delete/ });
  t.equal(cache.peek("a"), undefined, "the old one is void");
  t.equal(await cache.getOrLoad("a", () => 2), 2);
});

t.test("a load that makes something void ends, and is not kept", { timeout: 5_000 }, async (t) => {
  const { cache } = await make<string>();
  let loads = 0;
  const load = (end: () => unknown) => async (): Promise<string> => {
    if (++loads > 9) throw new Error("begun again and again");
    await end();
    return "loaded";
  };
  const tags = { tags: ["x"] };
  t.equal(
    await cache.getOrLoad(
      "a",
      load(() => cache.clear()),
    ),
    "loaded",
  );
  t.equal(
    await cache.getOrLoad(
      "b",
      load(() => cache.invalidate("x")),
      tags,
    ),
    "loaded",
  );
  t.equal(
    await cache.getOrLoad(
      "c",
      load(() => cache.invalidate("other")),
      { tags: () => ["x"] },
    ),
    "loaded",
  );
  t.equal(loads, 3);
  t.same(
    ["a", "b", "c"].map((key) => cache.peek(key)),
    [undefined, undefined, "loaded"],
  );
});

t.test("a wrong key among several is refused before the others are loaded, and nobody waits for it", async (t) => {
  const { cache, clock, manager } = await make<string>();
  const load = (keys: readonly string[]): readonly string[] => keys.map((key) => `${key}!`);
  await t.rejects(cache.getMany(["a", ""], load), { code: "CACHE_KEY_INVALID" });
  t.match(manager.stats(), { loading: 0, loads: 0 });
  const long = { tags: ["x".repeat(5_000)] };
  await t.rejects(cache.getMany(["a", "b"], load, long), { code: "CACHE_KEY_INVALID" });
  t.match(manager.stats(), { loading: 0, loads: 0 });
  t.equal(await cache.getOrLoad("a", () => "a"), "a");
  for (const keys of ["ab", null, undefined])
    await t.rejects(cache.getMany(keys as never, load), { code: "CACHE_KEY_INVALID", message: /must be a list/ });
  await t.rejects(cache.getMany(["a"], load, { ttl: 1 } as object), { code: "OPTIONS_INVALID" });
  await clock.advance(20_000); // a load that waited would end with an error that nobody takes
});

t.test("who has given up before begins no load", async (t) => {
  const { cache, manager } = await make<number>();
  const gone = cache.getOrLoad("a", () => 1, { signal: AbortSignal.abort() });
  await t.rejects(gone, { code: "CALL_ABORTED" });
  t.equal(manager.stats().loads, 0);
});

t.test("a wrapped function is cached by its key", async (t) => {
  const { cache, clock } = await make<string>();
  const calls: string[] = [];
  const find = cache.wrap(
    async (id: string, lang: string) => {
      calls.push(id);
      return id === "none" ? undefined : `${id}-${lang}`;
    },
    { key: (id, lang) => ["name", id, lang], tags: () => ["names"], absentMs: 1_000 },
  );
  t.same([await find("7", "en"), await find("7", "en"), await find("7", "de")], ["7-en", "7-en", "7-de"]);
  t.same([await find("none", "en"), await find("none", "en")], [undefined, undefined]);
  t.same(calls, ["7", "7", "none"]);
  t.equal(find.peek("7", "en"), "7-en");
  await find.delete("7", "en");
  t.equal(find.peek("7", "en"), undefined);
  await cache.invalidate("names");
  t.equal(find.peek("7", "de"), undefined);
  await clock.settle();
});

t.test("more tags than are remembered make all older entries void", async (t) => {
  const { cache } = await make<number>({ maxTags: 10 });
  await cache.set("a", 1);
  for (let i = 0; i < 10; i++) await cache.invalidate(`t${i}`);
  t.equal(cache.peek("a"), 1);
  await cache.invalidate("t10");
  t.equal(cache.peek("a"), undefined);
  await cache.set("b", 2, { tags: ["t3"] });
  t.equal(cache.peek("b"), 2);
});

t.test("wrong keys, tags and options are refused with what is wrong", async (t) => {
  const { cache } = await make<number>();
  const keys: unknown[] = ["", [], [{}], [null], [Number.NaN], undefined, 7, "x".repeat(5_000), ["a", ["b"]]];
  for (const key of keys)
    await t.rejects(
      cache.getOrLoad(key as string, () => 1),
      { code: "CACHE_KEY_INVALID" },
    );
  t.throws(() => cache.peek({} as string), { code: "CACHE_KEY_INVALID", message: /not object/ });
  for (const tag of ["", 7, "x".repeat(5_000)])
    await t.rejects(cache.invalidate(tag as string), { code: "CACHE_KEY_INVALID" });
  await t.rejects(
    cache.getOrLoad("c", () => 1, { tags: () => [""] }),
    { code: "CACHE_KEY_INVALID" },
  );
  for (const tags of [async () => ["a"], () => undefined])
    await t.rejects(
      cache.getOrLoad("c", () => 1, { tags: tags as never }),
      { code: "CACHE_KEY_INVALID", message: /tags must be a list, not (object|undefined)/ },
    );
  await t.rejects(
    cache.getOrLoad("a", () => 1, { ttl: 5 } as object),
    { message: /did you mean "ttlMs"/ },
  );
  await t.rejects(cache.set("a", 1, { tags: "x" } as object), { code: "OPTIONS_INVALID" });
  t.throws(() => cache.within(""), { code: "CACHE_KEY_INVALID" });
  t.throws(() => cache.wrap(() => 1, {} as never), { code: "OPTIONS_INVALID", message: /key/ });
  for (const load of [undefined, null, 1, {}]) {
    const wrongLoad = { code: "OPTIONS_INVALID", message: /cache\.load: expected a function/ };
    await t.rejects(cache.getOrLoad("a", load as never), wrongLoad);
    if (load !== undefined) await t.rejects(cache.getMany(["a"], load as never), wrongLoad);
    t.throws(() => cache.wrap(load as never, { key: () => "a" }), { code: "OPTIONS_INVALID", message: /cache\.fn/ });
  }
  const wrong = { maxEntries: Infinity, ttl: 5, jitter: 2 } as CacheOptions;
  t.throws(() => new CacheManager(wrong), {
    code: "OPTIONS_INVALID",
    message: /maxEntries[^]*ttlMs[^]*|ttlMs[^]*maxEntries/,
  });
  await t.rejects(
    cache.getMany(["a", "b"], () => [1]),
    {
      code: "CACHE_CODEC_FAILED",
      message: /gave 1 values/,
    },
  );
});

t.test("a drain waits for loads and begins none; a stop gives them up", async (t) => {
  const { cache, manager, clock } = await make<number>();
  await cache.set("held", 1);
  const load = new Held<number>();
  const asked = cache.getOrLoad("a", load.load);
  await clock.settle();
  const drained = manager.drain();
  t.equal(await cache.getOrLoad("held", load.load), 1);
  await t.rejects(cache.getOrLoad("b", load.load), { code: "RESOURCE_UNAVAILABLE" });
  load.end(7);
  t.equal(await asked, 7);
  await drained;
  await manager.stop();
  t.equal(cache.peek("held"), undefined);
  await manager.start();
  const left = failure(cache.getOrLoad("c", load.load));
  await clock.settle();
  await manager.stop();
  t.match(await left, { code: "RESOURCE_UNAVAILABLE" });
});

t.test("look-ups, loads and invalidations are counted", async (t) => {
  const { cache, manager } = await make<number>();
  await cache.getOrLoad("a", () => 1);
  await cache.getOrLoad("a", () => 1);
  await cache.get("a");
  await failure(cache.getOrLoad("b", () => Promise.reject(new Error("no"))));
  await cache.delete("a");
  t.match(manager.stats(), { hits: 2, misses: 2, hitRatio: 0.5, loads: 2, loading: 0, entries: 0, owed: 0 });
  const series = [...manager.metrics()];
  const value = (name: string, attributes: object): unknown =>
    series.find((one) => one.name === name && Object.entries(attributes).every(([k, v]) => one.attributes[k] === v))
      ?.value;
  t.equal(value("steward.cache.lookups", { level: "local", result: "fresh" }), 2);
  t.equal(value("steward.cache.loads", { outcome: "error" }), 1);
  t.equal(value("steward.cache.invalidations", { kind: "delete" }), 1);
});

t.test("nothing stays open", () => handles.assertNoLeaks());
