import type { Cache } from "../cache/types.ts";

/** What a contract suite needs of a test runner: `test` of tap, node:test, or any other. */
export interface CacheContractRunner {
  /** Declares one case. */
  readonly test: (name: string, fn: () => Promise<void>) => unknown;
  /** `node:assert/strict`, or anything with these two. */
  readonly assert: {
    strictEqual(actual: unknown, expected: unknown, message?: string): void;
    deepStrictEqual(actual: unknown, expected: unknown, message?: string): void;
  };
}

/** A cache to examine, by itself or as one of several instances that share what they keep. */
export interface Examined extends AsyncDisposable {
  /** Its `ttlMs` is 60,000, its `staleMs` 60,000. */
  readonly cache: Cache<unknown>;
  /** Another instance that shares with it; without one the cases about several instances are left out. */
  readonly other?: Cache<unknown> | undefined;
}

/** One case of the suite. */
interface CacheCase {
  readonly name: string;
  readonly ofSeveral?: boolean;
  readonly run: (assert: CacheContractRunner["assert"], cache: Cache<unknown>, other: Cache<unknown>) => Promise<void>;
}

/** A load that ends when its caller says. */
function held<T>(value: T): {
  readonly load: () => Promise<T>;
  readonly begun: Promise<void>;
  readonly end: () => void;
} {
  let [begin, end] = [() => {}, () => {}];
  const begun = new Promise<void>((resolve) => (begin = resolve));
  const ended = new Promise<void>((resolve) => (end = resolve));
  const load = async (): Promise<T> => {
    begin();
    await ended;
    return value;
  };
  return { load, begun, end: () => end() };
}

const never = (): never => {
  throw new Error("nothing was to be loaded");
};

const CASES: readonly CacheCase[] = [
  {
    name: "gives back what was set, also what is falsy",
    async run(assert, cache) {
      for (const value of [0, "", false, null, [], { a: [1, { b: null }] }, "text"]) {
        await cache.set(["value"], value);
        assert.deepStrictEqual(await cache.get(["value"]), value);
        assert.deepStrictEqual(await cache.getOrLoad(["value"], never), value);
      }
    },
  },
  {
    name: "keeps apart keys that look alike",
    async run(assert, cache) {
      const keys = [
        "1",
        ["1"],
        [1],
        [1n],
        [true],
        ["true"],
        ["a", "b"],
        ["ab"],
        ["a]sb"],
        "[n1]",
        "\\[n1]",
        "]1:a",
        ["a", ""],
      ];
      for (const [i, key] of keys.entries()) await cache.set(key, i);
      assert.deepStrictEqual(await cache.getMany(keys), [...keys.keys()]);
    },
  },
  {
    name: "loads once for all that miss at the same time",
    async run(assert, cache) {
      let loads = 0;
      const load = async (): Promise<number> => {
        await new Promise((resolve) => setImmediate(resolve));
        return ++loads;
      };
      const values = await Promise.all(Array.from({ length: 100 }, () => cache.getOrLoad("key", load)));
      assert.deepStrictEqual([...new Set(values)], [1]);
      assert.strictEqual(loads, 1);
    },
  },
  {
    name: "gives the error of a load to all that wait, and keeps none",
    async run(assert, cache) {
      const fail = async (): Promise<never> => Promise.reject(new TypeError("no"));
      const ended = await Promise.allSettled([1, 2, 3].map(() => cache.getOrLoad("key", fail)));
      for (const one of ended) assert.strictEqual(one.status === "rejected" && String(one.reason), "TypeError: no");
      assert.strictEqual(await cache.getOrLoad("key", () => 1), 1);
    },
  },
  {
    name: "keeps that there is none only where a time is given for it",
    async run(assert, cache) {
      let loads = 0;
      const load = (): undefined => void loads++;
      for (let i = 0; i < 3; i++) assert.strictEqual(await cache.getOrLoad("a", load), undefined);
      assert.strictEqual(loads, 3);
      for (let i = 0; i < 5; i++) assert.strictEqual(await cache.getOrLoad("b", load, { absentMs: 60_000 }), undefined);
      assert.strictEqual(loads, 4);
      assert.strictEqual((await cache.lookup("b")).state, "absent");
    },
  },
  {
    name: "has nothing after a delete, an invalidated tag, or a clear",
    async run(assert, cache) {
      const store = (): Promise<unknown> => cache.set("key", 1, { tags: ["x", "y,%z"] });
      await store();
      await cache.delete("key");
      assert.strictEqual(await cache.get("key"), undefined, "after delete");
      for (const tag of ["x", "y,%z"]) {
        await store();
        await cache.set("beside", 2, { tags: ["other"] });
        await cache.invalidate(tag);
        assert.strictEqual(await cache.get("key"), undefined, `after tag ${tag}`);
        assert.strictEqual(await cache.get("beside"), 2, "another tag");
      }
      await store();
      await cache.clear();
      assert.strictEqual(await cache.get("key"), undefined, "after clear");
      await store();
      assert.strictEqual(await cache.get("key"), 1, "set after clear");
    },
  },
  {
    name: "does not keep what a load brings that began before an invalidation",
    async run(assert, cache) {
      const tags = (): readonly string[] => ["row"];
      const voids = [
        () => cache.delete("key"),
        () => cache.invalidate("row"),
        () => cache.clear(),
        () => cache.expire("key"),
      ];
      for (const [i, makeVoid] of voids.entries()) {
        await cache.delete("key");
        const old = held("old");
        const first = cache.getOrLoad("key", old.load, { tags });
        await old.begun;
        await makeVoid();
        const second = cache.getOrLoad("key", () => "new", { tags });
        old.end();
        assert.strictEqual(await first, "old", `those who waited have it (${i})`);
        assert.strictEqual(await second, "new", `those who came after have the new one (${i})`);
        assert.strictEqual(await cache.getOrLoad("key", () => "new"), "new", `${i}`);
      }
    },
  },
  {
    name: "does not let a load that is under way store over what was set",
    async run(assert, cache) {
      const old = held("old");
      const first = cache.getOrLoad("key", old.load);
      await old.begun;
      await cache.set("key", "set");
      old.end();
      assert.strictEqual(await first, "old");
      assert.strictEqual(await cache.get("key"), "set");
    },
  },
  {
    name: "gives what has expired once more, while a new one is loaded",
    async run(assert, cache) {
      await cache.set("key", "old");
      await cache.expire("key");
      assert.strictEqual((await cache.lookup("key")).state, "stale");
      const next = held("new");
      assert.strictEqual(await cache.getOrLoad("key", next.load), "old");
      await next.begun;
      next.end();
      for (let i = 0; (await cache.get("key")) !== "new"; i++) {
        if (i > 1_000) throw new Error("the refresh has not arrived");
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    },
  },
  {
    name: "loads those of several that are not there, together and in order",
    async run(assert, cache) {
      await cache.set(["n", 2], 20);
      const asked: unknown[] = [];
      const keys = [1, 2, 3, 1].map((n) => ["n", n] as const);
      const load = (missing: readonly (readonly [string, number])[]): (number | undefined)[] => {
        asked.push(missing.map(([, n]) => n));
        return missing.map(([, n]) => (n === 3 ? undefined : n * 10));
      };
      assert.deepStrictEqual(await cache.getMany(keys, load), [10, 20, undefined, 10]);
      assert.deepStrictEqual(asked, [[1, 3]]);
      assert.deepStrictEqual(await cache.getMany(keys.slice(0, 2), never), [10, 20]);
    },
  },
  {
    name: "keeps tenants apart, also in tags and clear",
    async run(assert, cache) {
      const [a, b] = [cache.within("a"), cache.within("b")];
      await Promise.all([a, b, cache].map((one, i) => one.set("key", i, { tags: ["t"] })));
      const all = async (): Promise<unknown[]> => Promise.all([a, b, cache].map((one) => one.get("key")));
      assert.deepStrictEqual(await all(), [0, 1, 2]);
      await a.invalidate("t");
      assert.deepStrictEqual(await all(), [undefined, 1, 2]);
      await b.clear();
      assert.deepStrictEqual(await all(), [undefined, undefined, 2]);
    },
  },
  {
    name: "gives what another instance has stored",
    ofSeveral: true,
    async run(assert, cache, other) {
      await cache.set("key", { a: 1 });
      assert.deepStrictEqual(await other.get("key"), { a: 1 });
      assert.deepStrictEqual(await other.getOrLoad("key", never), { a: 1 });
    },
  },
  {
    name: "stores nothing that another instance has made void while it was loaded",
    ofSeveral: true,
    async run(assert, cache, other) {
      const tags = (): readonly string[] => ["row"];
      for (const makeVoid of [() => other.delete("key"), () => other.invalidate("row"), () => other.clear()]) {
        await cache.delete("key");
        const old = held("old");
        const first = cache.getOrLoad("key", old.load, { tags });
        await old.begun;
        await makeVoid();
        old.end();
        assert.strictEqual(await first, "old");
        assert.strictEqual(await other.getOrLoad("key", () => "new", { tags }), "new");
      }
    },
  },
  {
    name: "loads once for all instances that miss at the same time",
    ofSeveral: true,
    async run(assert, cache, other) {
      let loads = 0;
      const load = async (): Promise<number> => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        return ++loads;
      };
      const both = Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? cache : other).getOrLoad("key", load));
      assert.deepStrictEqual([...new Set(await Promise.all(both))], [1]);
    },
  },
];

/**
 * Declares the cases that every cache has to pass: one over ports of your own, or a cache of your own.
 *
 * @param create Makes a cache that is empty, for each case.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { CacheManager } from "@steward/cache";
 * import { cacheContract } from "@steward/cache/testing";
 * let cases = 0;
 * cacheContract({ test: () => cases++, assert }, async () => {
 *   const manager = await new CacheManager({ ttlMs: 60_000, staleMs: 60_000 }).start();
 *   return { cache: manager.client, [Symbol.asyncDispose]: () => manager.stop() };
 * });
 * console.log(cases > 10); // => true
 * ```
 */
export function cacheContract({ test, assert }: CacheContractRunner, create: () => Promise<Examined>): void {
  for (const { name, ofSeveral = false, run } of CASES)
    test(name, async () => {
      const examined = await create();
      try {
        const { cache, other } = examined;
        if (!ofSeveral || other !== undefined) await run(assert, cache, other ?? cache);
      } finally {
        await examined[Symbol.asyncDispose]();
      }
    });
}
