import { resource, type CachedResponse, type CacheOptions, type ResponseCache } from "@steward/core";
import type { AnyDefinition } from "@steward/core/container";
import type { ContractAssert } from "../contract/factory.ts";
import { until } from "../waits.ts";
import type { Answer } from "./client.ts";
import { open, write } from "./client.ts";
import { gate, type ServerCase, type World } from "./world.ts";

/** A cache of answers whose fresh time a case ends when it wants to. */
class Answers implements ResponseCache {
  readonly #kept = new Map<string, CachedResponse>();
  readonly #loads = new Map<string, Promise<CachedResponse>>();
  readonly #fresh = new Set<string>();
  /** Requests that have asked. */
  asked = 0;

  expire(): void {
    this.#fresh.clear();
  }

  get size(): number {
    return this.#kept.size;
  }

  async getOrLoad(
    key: string,
    load: (signal: AbortSignal) => Promise<CachedResponse>,
    { waitForRefresh }: CacheOptions = {},
  ): Promise<CachedResponse> {
    this.asked++;
    const old = this.#kept.get(key);
    const others = this.#loads.get(key);
    if (old !== undefined && (this.#fresh.has(key) || others !== undefined)) return old;
    if (others !== undefined) return others;
    const loading = this.#load(key, load);
    if (old === undefined) return loading;
    return waitForRefresh === true ? loading.catch(() => old) : old;
  }

  async #load(key: string, load: (signal: AbortSignal) => Promise<CachedResponse>): Promise<CachedResponse> {
    const loading = load(new AbortController().signal);
    this.#loads.set(key, loading);
    try {
      const made = await loading;
      this.#kept.set(key, made);
      this.#fresh.add(key);
      return made;
    } finally {
      this.#loads.delete(key);
    }
  }
}

/** Who asks, by the token; one without the right is 403. */
function meOf({ adapter }: World): AnyDefinition {
  return resource("me", {
    lifetime: "request",
    needs: { token: adapter.from.bearer() as never },
    start: ({ token }) => {
      if (token === "eve") throw new adapter.HttpError(403, "not for you");
      return { subject: String(token) };
    },
  }) as AnyDefinition;
}

function as(token: string): { readonly headers: Readonly<Record<string, string>> } {
  return { headers: { authorization: `Bearer ${token}` } };
}

function status({ headers }: Answer): string | undefined {
  return headers["cache-status"];
}

/** Compares lists and objects of JSON. */
function same(assert: ContractAssert, actual: unknown, expected: unknown, what?: string): void {
  assert.strictEqual(JSON.stringify(actual), JSON.stringify(expected), what);
}

/** What is cached of answers. */
export const cacheCases: readonly ServerCase[] = [
  {
    name: "a cached answer is given to no one whom the route refuses, nor to another than its principal",
    async run(world) {
      const { assert } = world;
      const cache = new Answers();
      let made = 0;
      const options = { cacheResponse: { cache, principal: ({ me }: { me: { subject: string } }) => me.subject } };
      const answer = ({ me }: { me: { subject: string } }): object => ({ of: me.subject, made: ++made });
      const up = await world.up([{ method: "GET", path: "/own", needs: { me: meOf(world) }, answer, options }]);
      const everybody = async (): Promise<readonly [number, string][]> => {
        const answers = [
          await up.ask("/own"),
          await up.ask("/own", as("eve")),
          await up.ask("/own", as("ann")),
          await up.ask("/own", as("bob")),
        ];
        return answers.map(({ status, text }) => [status, status === 200 ? text : ""]);
      };
      const refused = [
        [401, ""],
        [403, ""],
      ];
      const [one, two, three, four] = [1, 2, 3, 4].map((n) => [
        200,
        `{"of":"${n % 2 === 1 ? "ann" : "bob"}","made":${n}}`,
      ]);
      same(assert, await everybody(), [...refused, one, two], "cold");
      same(assert, await everybody(), [...refused, one, two], "warm");
      cache.expire();
      same(assert, await everybody(), [...refused, three, four], "stale");
      same(assert, [made, cache.size], [4, 2]);
    },
  },
  {
    name: "one request makes the answer for all who ask meanwhile; 304 and HEAD come from it too",
    async run(world) {
      const { assert } = world;
      const cache = new Answers();
      const { passed, open: goOn } = gate();
      let made = 0;
      const answer = async (): Promise<object> => {
        made++;
        await passed;
        return { text: "é" };
      };
      const up = await world.up([
        { method: "GET", path: "/all/:part", needs: {}, answer, options: { cacheResponse: { cache, shared: true } } },
      ]);
      const asking = Array.from({ length: 20 }, () => up.ask("/all/1?b=2&a=1"));
      await until(() => cache.asked === 20, "all have asked");
      goOn();
      const answers = await Promise.all(asking);
      same(assert, [...new Set(answers.map(({ text }) => text))], ['{"text":"\u00c3\u00a9"}']);
      same(assert, [made, answers.filter((one) => status(one)?.includes("stored")).length], [1, 1]);
      const again = await up.ask("/all/1?a=1&b=2");
      const { etag = "", "content-type": type } = again.headers;
      same(
        assert,
        [status(again), type, again.headers["cache-control"], again.headers["age"]],
        ["steward; hit", "application/json; charset=utf-8", "no-cache", "0"],
      );
      assert.strictEqual(again.headers["x-request-id"] === answers[0]?.headers["x-request-id"], false);
      const known = await up.ask("/all/1?a=1&b=2", { headers: { "if-none-match": `W/${etag}, "x"` } });
      same(assert, [known.status, known.text, known.headers["etag"]], [304, "", etag]);
      const head = await up.ask("/all/1?a=1&b=2", { method: "HEAD" });
      same(assert, [head.status, head.text, head.headers["etag"]], [200, "", etag]);
      assert.strictEqual(head.headers["content-length"], again.headers["content-length"]);
      assert.strictEqual(made, 1);
      await Promise.all([
        up.ask("/all/2?a=1&b=2"),
        up.ask("/all/1?a=1"),
        up.ask("/all/1", { headers: { host: "other" } }),
      ]);
      assert.strictEqual(made, 4);
    },
  },
  {
    name: "no answer is kept that is not a success, sets a cookie, is private or depends on what is not in the key",
    async run(world) {
      const { assert } = world;
      const cache = new Answers();
      const cacheResponse = { cache, shared: true, vary: ["accept-language"] };
      const kinds: Readonly<Record<string, () => unknown>> = {
        status: () => new Response("x", { status: 201 }),
        "set-cookie": () => new Response("x", { headers: { "set-cookie": "a=1" } }),
        "cache-control": () => new Response("x", { headers: { "cache-control": "private" } }),
        vary: () => new Response("x", { headers: { vary: "Accept-Language, X-Other" } }),
        stream: () =>
          world.adapter.stream(
            (async function* () {
              yield "x";
            })(),
          ),
        "too-long": () => "x".repeat(1_048_577),
        error: () => Promise.reject(new world.adapter.HttpError(404, "none")),
        kept: () => new Response("x", { headers: { vary: "Accept-Language", "x-own": "1" } }),
      };
      const routes = Object.entries(kinds).map(([name, answer]) => ({
        method: "GET" as const,
        path: `/${name}`,
        needs: {},
        answer,
        options: { cacheResponse },
      }));
      const up = await world.up(routes);
      for (const name of Object.keys(kinds)) {
        const [first, second] = [await up.ask(`/${name}`), await up.ask(`/${name}`)];
        assert.strictEqual(first.status, second.status);
        assert.strictEqual(status(second) === "steward; hit", name === "kept", name);
        if (name !== "kept" && name !== "error")
          assert.strictEqual(status(second), `steward; fwd=miss; detail=${name}`);
      }
      assert.strictEqual(cache.size, 1);
      const other = await up.ask("/kept", { headers: { "accept-language": "de" } });
      same(assert, [status(other), cache.size], ["steward; fwd=miss; stored", 2]);
    },
  },
  {
    name: "an answer whose time is over stands in for an error of ours, and for no error of the client's",
    async run(world) {
      const { assert, adapter } = world;
      const cache = new Answers();
      let error: unknown;
      const answer = (): string => {
        if (error !== undefined) throw error;
        return "as before";
      };
      const lease = world.lease();
      const needs = { lease: lease.definition as AnyDefinition };
      const up = await world.up([
        { method: "GET", path: "/", needs, answer, options: { cacheResponse: { cache, shared: true } } },
      ]);
      await up.ask("/");
      cache.expire();
      error = new Error("the database is away");
      const stale = await up.ask("/");
      same(assert, [stale.status, stale.text, status(stale)], [200, "as before", "steward; hit"]);
      error = new adapter.HttpError(404, "gone");
      assert.strictEqual((await up.ask("/")).status, 404);
      error = undefined;
      assert.strictEqual(status(await up.ask("/")), "steward; fwd=miss; stored");
      await up.idle();
      assert.strictEqual(lease.counts.given, lease.counts.taken);
    },
  },
  {
    name: "when the client goes whose request makes the answer, one of those who wait makes it",
    async run(world) {
      const { assert } = world;
      const cache = new Answers();
      const { signal } = world.adapter.from;
      let made = 0;
      const answer = async ({ gone }: { gone: AbortSignal }): Promise<string> => {
        if (++made > 1) return "made";
        await until(() => gone.aborted, "the client has gone");
        throw new Error("no use");
      };
      const up = await world.up([
        {
          method: "GET",
          path: "/",
          needs: { gone: signal },
          answer,
          options: { cacheResponse: { cache, shared: true } },
        },
      ]);
      const first = await open(up.port);
      write(first, "/");
      await until(() => made === 1, "it is being made");
      const others = Array.from({ length: 5 }, () => up.ask("/"));
      await until(() => cache.asked === 6, "all have asked");
      first.destroy();
      const answers = await Promise.all(others);
      same(
        assert,
        answers.map(({ status, text }) => [status, text]),
        others.map(() => [200, "made"]),
      );
      assert.strictEqual(made, 2);
      await up.idle();
    },
  },
];
