// What a newcomer writes first. Each program either works, or is refused in words that say what to write; what the
// compiler refuses stands in test/types/bad/first-programs.ts.
import { container } from "../src/index.ts";
import {
  cached,
  current,
  guarded,
  input,
  isStewardError,
  lazy,
  optional,
  resource,
  systemClock,
  when,
} from "@steward/core";
import { FakeClock } from "@steward/testing";
import t from "tap";

t.test("p01: a database and what uses it", async (t) => {
  const log: string[] = [];
  class Db {
    async query(sql: string): Promise<string[]> {
      return [sql];
    }
    async end(): Promise<void> {
      log.push("end");
    }
  }
  const db = resource("db", { start: async () => new Db(), stop: (db) => db.end() });
  const users = resource("users", { needs: { db }, start: ({ db }) => ({ all: () => db.query("select 1") }) });
  {
    await using running = await container([users]).start();
    t.strictSame(await running.get(users).all(), ["select 1"]);
    t.ok(running.get(db) instanceof Db, "what a root needs can be had too");
  }
  t.strictSame(log, ["end"]);
});

t.test("p02: classes that are given what they need", async (t) => {
  class Config {
    url = "x";
  }
  class Repository {
    readonly #config: Config;
    constructor(config: Config) {
      this.#config = config;
    }
    get url(): string {
      return this.#config.url;
    }
  }
  const config = resource("config", { start: () => new Config() });
  const repository = resource("repository", { needs: { config }, start: ({ config }) => new Repository(config) });
  await using running = await container([repository]).start();
  t.equal(running.get(repository).url, "x");
});

t.test("p03: a request, and who asks", async (t) => {
  interface Request {
    readonly headers: Readonly<Record<string, string>>;
  }
  const request = input<Request>()("request", { lifetime: "request" });
  const user = resource("user", {
    lifetime: "request",
    needs: { request },
    start: ({ request }) => request.headers["user"] ?? "anonymous",
  });
  await using running = await container([user]).start();
  const ask = (headers: Record<string, string>): Promise<string> =>
    running.scope([request.is({ headers })], { user }, ({ user }) => user);
  t.strictSame([await ask({ user: "ann" }), await ask({})], ["ann", "anonymous"]);
});

t.test("p04: a transaction that commits with its handler, and rolls back with its error", async (t) => {
  const log: string[] = [];
  const begin = async () => ({
    commit: async () => void log.push("commit"),
    rollback: async () => void log.push("rollback"),
  });
  const db = resource("db", { start: () => ({ begin }) });
  const tx = resource("tx", {
    lifetime: "handler",
    needs: { db },
    async *start({ db }) {
      const open = await db.begin();
      try {
        yield open;
      } catch (error) {
        await open.rollback();
        throw error;
      }
      await open.commit();
    },
  });
  await using running = await container([tx]).start();
  await running.scope([], { tx }, () => 1);
  await t.rejects(
    running.scope([], { tx }, () => {
      throw new Error("no");
    }),
    { message: "no" },
  );
  t.strictSame(log, ["commit", "rollback"]);
});

t.test("p05: a cache that may be down is undefined while it is", async (t) => {
  const clock = new FakeClock();
  let isUp = false;
  const cache = resource("cache", {
    criticality: "optional",
    start: async () => {
      if (!isUp) throw new Error("down");
      return new Map([["a", "b"]]);
    },
  });
  const users = resource("users", {
    needs: { cache: current(cache) },
    start:
      ({ cache }) =>
      (key: string) =>
        cache.current?.get(key) ?? "miss",
  });
  const running = await container([users], { clock }).start();
  t.equal(running.get(users)("a"), "miss");
  t.equal(running.get(cache), undefined);
  isUp = true;
  await clock.advance(2_000);
  t.equal(running.get(users)("a"), "b", "and is there once it is up");
  await running.stop();
});

t.test("p05: in JavaScript, where no compiler refuses it, the start says what to write", async (t) => {
  const cache = resource("cache", { criticality: "optional", start: () => new Map<string, string>() });
  const users = resource("users", { needs: { cache: optional(cache) } as {}, start: () => 1 });
  await t.rejects(container([users]).start(), {
    code: "GRAPH_OPTIONAL",
    message: /"users" needs "cache", which is optional .* need it as current\(cache\)/,
  });
});

t.test("p06: a choice by configuration, and a part that configuration switches off", async (t) => {
  interface Mailer {
    send(): string;
  }
  const started: string[] = [];
  const mailer = (name: string) =>
    resource(name, {
      start: (): Mailer => {
        started.push(name);
        return { send: () => name };
      },
    });
  const config = resource("config", { start: () => ({ smtp: false, metrics: false }) });
  const [smtp, toConsole] = [mailer("smtp"), mailer("console")];
  const metrics = resource("metrics", {
    needs: { config },
    enabled: ({ config }) => config.metrics,
    start: () => ({ count: 1 }),
  });
  const news = resource("news", {
    needs: { mail: when(config, (c) => c.smtp, smtp, toConsole), metrics: optional(metrics) },
    start: ({ mail, metrics }) => `${mail.send()} ${metrics?.count ?? 0}`,
  });
  await using running = await container([news]).start();
  t.equal(running.get(news), "console 0");
  t.strictSame(started, ["console"]);
});

t.test("p07: a test puts a fake in the place of a database", async (t) => {
  const db = resource("db", { start: () => ({ count: async () => 3, now: (): number => 1 }) });
  const users = resource("users", { needs: { db }, start: ({ db }) => ({ count: () => db.count() }) });
  await using test = await container([users])
    .strict()
    .override(db, { count: async () => 42, now: () => 2 })
    .start();
  t.equal(await test.get(users).count(), 42);
});

t.test("p08: a consumer in the background ends with its container", async (t) => {
  const clock = new FakeClock();
  const seen: number[] = [];
  const worker = resource("worker", {
    run: async (_needs, { signal }) => {
      while (!signal.aborted) {
        seen.push(seen.length);
        await clock.sleep(5, signal).catch(() => {});
      }
    },
  });
  const running = await container([worker], { clock }).start();
  await clock.advance(30);
  await running.stop();
  const count = seen.length;
  t.ok(count >= 6);
  await clock.advance(30);
  t.equal(seen.length, count);
  t.equal(running.phase, "stopped");
});

t.test("p10: a guard around a client of one's own retries what may be repeated, and refuses typos", async (t) => {
  const s3 = resource("s3", {
    guard: { timeoutMs: 1_000, maxConcurrent: 5, maxPending: 10, retry: { baseDelayMs: 1 } },
    start: () => ({ get: async (key: string) => `value of ${key}` }),
  });
  await using running = await container([s3]).start();
  let attempts = 0;
  const get = async (): Promise<string> => {
    if (attempts++ < 2) throw Object.assign(new Error("flaky"), { code: "ECONNRESET" });
    return running.get(s3).get("a");
  };
  t.equal(await guarded(running.get(s3), get, { idempotent: true }), "value of a");
  t.equal(attempts, 3);
  t.throws(() => resource("s3", { guard: { maxPendng: 3, timeoutMs: Number.NaN } as {}, start: () => ({}) }), {
    code: "OPTIONS_INVALID",
    message: /guard\.maxPendng: is not an option; did you mean "maxPending".*guard\.timeoutMs/s,
  });
});

t.test("p13: what a scope asks for needs what no root needs", async (t) => {
  const db = resource("db", { start: () => ({ q: 1 }) });
  const unit = resource("unit", { lifetime: "request", needs: { db }, start: ({ db }) => db });
  await using running = await container([]).start();
  await t.rejects(
    running.scope([], { unit }, () => 1),
    { code: "NOT_IN_GRAPH", message: 'this container does not hold "db": add it to the roots of container([...])' },
  );
});

t.test("p22: a lazy start during a restart of what it needs starts once more, and nothing is left", async (t) => {
  let [started, alive] = [0, 0];
  const db = resource("db", { start: () => ++started });
  const late = resource("late", {
    needs: { db },
    start: async ({ db }) => {
      await systemClock.sleep(1);
      alive++;
      return db;
    },
    stop: () => void alive--,
  });
  const asker = resource("asker", { needs: { late: lazy(late) }, start: ({ late }) => late });
  const running = await container([asker, db]).start();
  const first = running.get(asker)();
  await running.restart(db);
  t.ok([1, 2].includes(await first));
  t.equal(await running.get(asker)(), 2);
  await running.stop();
  t.equal(alive, 0);
});

t.test("p22: what is cached goes when what it holds is restarted", async (t) => {
  let made = 0;
  const db = resource("db", { start: () => ({ number: ++made, open: true }), stop: (db) => void (db.open = false) });
  const model = resource("model", { needs: { db }, start: ({ db }) => ({ db }) });
  const query = resource("query", {
    lifetime: "request",
    needs: { model: cached(model, { ttlMs: 60_000 }) },
    start: ({ model }) => model.db,
  });
  await using running = await container([query, db]).start();
  await running.scope([], { query }, () => 1);
  await running.restart(db);
  t.strictSame(await running.scope([], { query }, ({ query }) => ({ ...query })), { number: 2, open: true });
});

t.test("p37: edges of edges say which one goes inside", (t) => {
  const x = resource("x", { start: () => 1 });
  const wrong = [
    () => current(optional(x) as never),
    () => lazy(optional(x) as never),
    () => cached(lazy(x) as never, { ttlMs: 1 }),
  ];
  for (const make of wrong) {
    let error: unknown;
    try {
      make();
    } catch (thrown) {
      error = thrown;
    }
    t.ok(isStewardError(error, "NEED_INVALID"));
    t.match(error, { message: /was given an edge, not a definition: write optional\(/ });
  }
  t.ok(optional(lazy(x)));
  t.end();
});
