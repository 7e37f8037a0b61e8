import { afterReply, cached, current, fresh, generator, input, lazy, optional, resource, when } from "@steward/core";
import { FakeClock } from "@steward/testing";
import { inspect } from "node:util";
import t from "tap";
import { container } from "../src/index.ts";

const request = input<{ readonly id: string }>()("request", { lifetime: "request" });

/** A generator resource that writes to a log when it enters and how it ends. */
function logged<const L extends "request" | "handler">(log: string[], name: string, lifetime: L) {
  return resource(name, {
    lifetime,
    async *start() {
      log.push(`${name}+`);
      try {
        yield name;
        log.push(`${name} commits`);
      } catch (error) {
        log.push(`${name} sees ${(error as Error).message}`);
        throw error;
      } finally {
        log.push(`${name}-`);
      }
    },
  });
}

t.test("a synchronous graph is resolved and its work called in the same tick", async (t) => {
  const id = resource("id", { lifetime: "request", needs: { request }, start: ({ request }) => request.id });
  const twice = resource("twice", { lifetime: "request", needs: { id }, start: ({ id }) => id + id });
  await using running = await container([twice]).start();
  for (let i = 0; i < 100; i++) {
    let called = false;
    const result = running.scope([request.is({ id: `${i}` })], { twice, id }, ({ twice, id }) => {
      called = true;
      return `${id}:${twice}`;
    });
    t.ok(called);
    t.equal(await result, `${i}:${i}${i}`);
  }
});

t.test("a value is made once for a scope, and anew for the next", async (t) => {
  let made = 0;
  const stamp = resource("stamp", { lifetime: "request", start: () => ++made });
  const left = resource("left", { lifetime: "request", needs: { stamp }, start: ({ stamp }) => stamp });
  const right = resource("right", {
    lifetime: "request",
    needs: { stamp, own: fresh(stamp) },
    start: (needs) => needs,
  });
  await using running = await container([left, right]).start();
  const work = () => running.scope([], { left, right, stamp }, (values) => values);
  const one = await work();
  t.equal(one.left, one.stamp);
  t.equal(one.right.stamp, one.stamp);
  t.not(one.right.own, one.stamp);
  t.not((await work()).stamp, one.stamp);
});

t.test("concurrent scopes share nothing", async (t) => {
  const holder = resource("holder", {
    lifetime: "request",
    needs: { request },
    start: async ({ request }) => {
      await new Promise((resolve) => setImmediate(resolve));
      return { id: request.id };
    },
  });
  await using running = await container([holder]).start();
  const ids = Array.from({ length: 50 }, (_, i) => `${i}`);
  const seen = await Promise.all(
    ids.map((id) => running.scope([request.is({ id })], { holder }, ({ holder }) => holder.id)),
  );
  t.strictSame(seen, ids);
});

t.test(
  "cleanup runs last entered first: handler resources once the handler has settled, request resources at the end",
  async (t) => {
    const log: string[] = [];
    const session = logged(log, "session", "request");
    const tx = logged(log, "tx", "handler");
    await using running = await container([session, tx]).start();
    const result = await running.scope([], { tx, session }, () => {
      log.push("handler");
      return "done";
    });
    t.equal(result, "done");
    t.strictSame(log, ["tx+", "session+", "handler", "tx commits", "tx-", "session commits", "session-"]);
  },
);

t.test("the handler's error is thrown into every generator and out of the scope", async (t) => {
  const log: string[] = [];
  const outer = logged(log, "outer", "request");
  const inner = resource("inner", {
    lifetime: "request",
    needs: { outer },
    *start() {
      try {
        yield "inner";
      } catch (error) {
        throw new Error(`wrapped ${(error as Error).message}`, { cause: error });
      }
    },
  });
  await using running = await container([inner]).start();
  await t.rejects(
    running.scope([], { inner }, () => {
      throw new Error("boom");
    }),
    { message: "wrapped boom", cause: { message: "boom" } },
  );
  t.strictSame(log, ["outer+", "outer sees wrapped boom", "outer-"]);
});

t.test(
  "a generator that swallows the error lets the outer ones commit, and the scope still fails, with the cause",
  async (t) => {
    const log: string[] = [];
    const outer = logged(log, "outer", "request");
    const mute = resource("mute", {
      lifetime: "request",
      needs: { outer },
      async *start() {
        try {
          yield 1;
        } catch {
          log.push("swallowed");
        }
      },
    });
    await using running = await container([mute]).start();
    await t.rejects(
      running.scope([], { mute }, () => Promise.reject(new Error("lost"))),
      { code: "GENERATOR_SWALLOWED_ERROR", cause: { message: "lost" } },
    );
    t.strictSame(log, ["outer+", "swallowed", "outer commits", "outer-"]);
  },
);

t.test("a failing commit is the outcome of the scope, and every other cleanup runs", async (t) => {
  const log: string[] = [];
  const outer = logged(log, "outer", "request");
  const tx = resource("tx", {
    lifetime: "handler",
    needs: { outer },
    async *start() {
      yield 1;
      throw new Error("commit failed");
    },
  });
  await using running = await container([tx]).start();
  await t.rejects(
    running.scope([], { tx }, () => "never seen"),
    { message: "commit failed" },
  );
  t.strictSame(log, ["outer+", "outer sees commit failed", "outer-"]);
});

t.test("a resource that fails to start unwinds those before it and the handler is not called", async (t) => {
  const log: string[] = [];
  const first = logged(log, "first", "request");
  const bad = resource("bad", { lifetime: "request", needs: { first }, start: () => Promise.reject(new Error("401")) });
  await using running = await container([bad]).start();
  await t.rejects(
    running.scope([], { bad }, () => t.fail("not called")),
    { message: "401" },
  );
  t.strictSame(log, ["first+", "first sees 401", "first-"]);
});

t.test("a plain resource with a stop is stopped in its place", async (t) => {
  const log: string[] = [];
  const a = resource("a", { lifetime: "request", start: () => "a", stop: (value) => void log.push(`stop ${value}`) });
  const b = resource("b", {
    lifetime: "request",
    needs: { a },
    start: async () => "b",
    stop: async (value) => void log.push(`stop ${value}`),
  });
  await using running = await container([b]).start();
  await running.scope([], { b }, () => void log.push("handler"));
  t.strictSame(log, ["handler", "stop b", "stop a"]);
});

t.test("a handler generator commits before the reply and releases after it", async (t) => {
  const log: string[] = [];
  const tx = resource("tx", {
    lifetime: "handler",
    async *start() {
      try {
        yield "tx";
        log.push("commit");
        yield afterReply;
        log.push("release");
      } catch (error) {
        log.push(`second yield sees ${(error as Error).message}`);
        throw error;
      }
    },
  });
  await using running = await container([tx]).start();
  const scope = running.scope([]);
  t.equal(await scope.get(tx), "tx");
  await scope.settle();
  t.strictSame(log, ["commit"]);
  await scope.close();
  t.strictSame(log, ["commit", "release"]);
  const aborted = running.scope([]);
  await aborted.get(tx);
  await aborted.settle();
  await t.rejects(aborted.close({ error: new Error("client gone") }), { message: "client gone" });
  t.equal(log.at(-1), "second yield sees client gone");
});

t.test("any other second yield is an error", async (t) => {
  const twice = resource("twice", {
    lifetime: "request",
    *start() {
      yield 1;
      yield 2;
    },
  });
  const late = resource("late", {
    lifetime: "request",
    *start() {
      yield 1;
      yield afterReply;
    },
  });
  const none = resource("none", { lifetime: "request", *start(): Generator<number> {} });
  await using running = await container([twice, late, none]).start();
  await t.rejects(
    running.scope([], { twice }, () => 1),
    { code: "GENERATOR_YIELDED_TWICE" },
  );
  await t.rejects(
    running.scope([], { late }, () => 1),
    { code: "GENERATOR_YIELDED_TWICE" },
  );
  await t.rejects(
    running.scope([], { none }, () => 1),
    { code: "GENERATOR_DID_NOT_YIELD" },
  );
});

t.test("a generator that yields once too often is ended before those behind it, and is an error", async (t) => {
  const log: string[] = [];
  const outer = resource("outer", { lifetime: "handler", start: () => 1, stop: () => void log.push("outer") });
  const twice = resource("twice", {
    lifetime: "handler",
    needs: { outer },
    async *start() {
      try {
        yield 1;
        yield 2;
      } finally {
        await new Promise((resolve) => setImmediate(resolve));
        log.push("twice");
      }
    },
  });
  await using running = await container([twice]).start();
  await t.rejects(
    running.scope([], { twice }, () => 1),
    { code: "GENERATOR_YIELDED_TWICE" },
  );
  t.strictSame(log, ["twice", "outer"]);
});

t.test("a handler generator may wait for the reply once", async (t) => {
  const tx = resource("tx", {
    lifetime: "handler",
    *start() {
      yield 1;
      yield afterReply;
      yield afterReply;
    },
  });
  await using running = await container([tx]).start();
  await t.rejects(
    running.scope([], { tx }, () => 1),
    { code: "GENERATOR_YIELDED_TWICE" },
  );
});

t.test("a wrapped generator function is recognised by its mark", async (t) => {
  const log: string[] = [];
  function* inner(): Generator<string> {
    yield "value";
    log.push("released");
  }
  const traced = generator(() => inner());
  const wrapped = resource("wrapped", { lifetime: "request", start: traced });
  await using running = await container([wrapped]).start();
  t.equal(await running.scope([], { wrapped }, ({ wrapped }) => wrapped), "value");
  t.strictSame(log, ["released"]);
});

t.test("transient values are made for each asker and released with the scope", async (t) => {
  let made = 0;
  const released: number[] = [];
  const stamp = resource("stamp", { lifetime: "transient", start: () => ++made, stop: (n) => void released.push(n) });
  const a = resource("a", { lifetime: "request", needs: { stamp }, start: ({ stamp }) => stamp });
  await using running = await container([a]).start();
  const seen = await running.scope([], { a, stamp }, (values) => values);
  t.not(seen.a, seen.stamp);
  t.strictSame(released.sort(), [1, 2]);
});

t.test("lazy needs are resolved when called, once, and are the same for all", async (t) => {
  let made = 0;
  const heavy = resource("heavy", {
    lifetime: "request",
    needs: { request },
    start: ({ request }) => ({ id: request.id, n: ++made }),
  });
  const user = resource("user", { lifetime: "request", needs: { heavy: lazy(heavy) }, start: ({ heavy }) => heavy });
  const eager = resource("eager", {
    lifetime: "request",
    needs: { user, heavy },
    start: async ({ user, heavy }) => [await user(), heavy] as const,
  });
  await using running = await container([user, eager]).start();
  await running.scope([request.is({ id: "1" })], { user }, () => t.equal(made, 0));
  const same = await running.scope([request.is({ id: "2" })], { user, eager }, async ({ user, eager }) => [
    await user(),
    ...eager,
  ]);
  t.equal(made, 1);
  t.ok(same.every((value) => value === same[0]));
});

t.test("a lazy need that is used while its own step is still ahead is not made twice", async (t) => {
  let made = 0;
  const heavy = resource("heavy", { lifetime: "request", start: async () => ++made });
  const early = resource("early", {
    lifetime: "request",
    needs: { heavy: lazy(heavy) },
    start: ({ heavy }) => heavy(),
  });
  await using running = await container([early, heavy]).start();
  t.strictSame(await running.scope([], { early, heavy }, (values) => ({ ...values })), { early: 1, heavy: 1 });
  t.equal(made, 1);
});

t.test("conditional needs resolve only the chosen branch", async (t) => {
  const made: string[] = [];
  const isAdmin = resource("isAdmin", {
    lifetime: "request",
    needs: { request },
    start: ({ request }) => request.id === "admin",
  });
  const all = resource("all", { lifetime: "request", start: () => (made.push("all"), "all") });
  const own = resource("own", { lifetime: "request", start: () => (made.push("own"), "own") });
  const rows = resource("rows", {
    lifetime: "request",
    needs: { scope: when(isAdmin, all, own) },
    start: ({ scope }) => scope,
  });
  await using running = await container([rows]).start();
  t.equal(await running.scope([request.is({ id: "admin" })], { rows }, ({ rows }) => rows), "all");
  t.equal(await running.scope([request.is({ id: "bob" })], { rows }, ({ rows }) => rows), "own");
  t.strictSame(made, ["all", "own"]);
});

t.test("application resources reach scopes plainly, through current, optional and fresh", async (t) => {
  const stopped: number[] = [];
  let made = 0;
  const pool = resource("pool", { start: () => ++made, stop: (n) => void stopped.push(n) });
  const off = resource("off", { enabled: false, start: () => 1 });
  const view = resource("view", {
    lifetime: "request",
    needs: { pool, now: current(pool), off: optional(off), own: fresh(pool) },
    start: ({ pool, now, off, own }) => ({ pool, now: now.current, off, own }),
  });
  await using running = await container([view]).start();
  t.strictSame(await running.scope([], { view }, ({ view }) => view), { pool: 1, now: 1, off: undefined, own: 2 });
  t.strictSame(stopped, [2], "the own instance went with the scope");
});

t.test("a cached need starts once for all that ask in its time, and goes after its last user", async (t) => {
  const clock = new FakeClock();
  const log: string[] = [];
  let made = 0;
  const keys = resource("keys", {
    start: async () => {
      await clock.sleep(10);
      log.push(`+${++made}`);
      return made;
    },
    stop: (n) => void log.push(`-${n}`),
  });
  const verifier = resource("verifier", {
    lifetime: "request",
    needs: { keys: cached(keys, { ttlMs: 1_000 }) },
    start: ({ keys }) => keys,
  });
  const running = await container([verifier], { clock }).start();
  const both = Promise.all([1, 2].map(() => running.scope([], { verifier }, ({ verifier }) => verifier)));
  t.strictSame(await clock.runUntil(both), [1, 1]);
  let end: () => void = () => {};
  const long = running.scope(
    [],
    { verifier },
    ({ verifier }) => new Promise((resolve) => (end = () => resolve(verifier))),
  );
  await clock.advance(1_000);
  t.equal(await clock.runUntil(running.scope([], { verifier }, ({ verifier }) => verifier)), 2);
  t.strictSame(log, ["+1", "+2"], "the old one still has a user");
  end();
  t.equal(await long, 1);
  t.strictSame(log, ["+1", "+2", "-1"]);
  await clock.runUntil(running.stop());
  t.strictSame(log, ["+1", "+2", "-1", "-2"]);
});

t.test("a cached need that fails to start is not remembered", async (t) => {
  let attempts = 0;
  const keys = resource("keys", {
    start: async () => {
      if (++attempts === 1) throw new Error("first");
      return "keys";
    },
  });
  const verifier = resource("verifier", {
    lifetime: "request",
    needs: { keys: cached(keys, { ttlMs: 1_000 }) },
    start: ({ keys }) => keys,
  });
  await using running = await container([verifier]).start();
  await t.rejects(
    running.scope([], { verifier }, () => 1),
    { message: "first" },
  );
  t.equal(await running.scope([], { verifier }, ({ verifier }) => verifier), "keys");
});

t.test("a scope that its caller closes remembers what it made", async (t) => {
  const log: string[] = [];
  let made = 0;
  const stamp = resource("stamp", {
    lifetime: "request",
    needs: { request },
    start: ({ request }) => `${request.id}${++made}`,
    stop: (value) => void log.push(value),
  });
  await using running = await container([stamp]).start();
  {
    await using scope = running.scope([request.is({ id: "a" })]);
    t.equal(await scope.get(stamp), "a1");
    t.equal((await scope.resolve({ again: stamp })).again, "a1");
    t.notOk(scope.signal.aborted);
  }
  t.strictSame(log, ["a1"]);
  const scope = running.scope([request.is({ id: "b" })]);
  await scope.close();
  await scope.close();
  t.ok(scope.signal.aborted);
  await t.rejects(scope.get(stamp), { code: "SCOPE_CLOSED" });
});

t.test("an input that is missing is named", async (t) => {
  const me = resource("me", { lifetime: "request", needs: { request }, start: ({ request }) => request.id });
  await using running = await container([me]).start();
  await t.rejects(
    // @ts-expect-error the types name it first
    running.scope([], { me }, () => 1),
    { code: "INPUT_MISSING", message: /request\.is\(/ },
  );
});

t.test("what the container does not hold is named, also below what is asked for", async (t) => {
  const here = resource("here", { start: () => 1 });
  const db = resource("db", { start: () => 1 });
  const tx = resource("tx", { lifetime: "request", needs: { db }, start: ({ db }) => db });
  await using running = await container([here]).start();
  await t.rejects(
    running.scope([], { tx }, () => 1),
    { code: "NOT_IN_GRAPH", message: /does not hold "db"/ },
  );
  await t.rejects(
    running.scope([], { tx }, () => 1),
    { code: "NOT_IN_GRAPH" },
    "the second time too",
  );
});

t.test(
  "a current need of what only lazy needs start says that it has not started, and has it from then on",
  async (t) => {
    const late = resource("late", { start: () => "late" });
    const user = resource("user", { needs: { late: lazy(late) }, start: ({ late }) => late });
    await using running = await container([user]).start();
    await running.scope([], { late: current(late) }, async ({ late }) => {
      t.throws(() => late.current, { code: "NOT_IN_GRAPH", message: '"late" has not been started' });
      await running.get(user)();
      t.equal(late.current, "late");
    });
  },
);

t.test("sessions keep their values by key, end when unused or too old, and are capped", async (t) => {
  const clock = new FakeClock();
  const log: string[] = [];
  const user = input<string>()("user", { lifetime: "session" });
  const basket = resource("basket", {
    lifetime: "session",
    needs: { user },
    start: ({ user }) => ({ user, items: new Array<string>() }),
    stop: ({ user }) => void log.push(`-${user}`),
  });
  const view = resource("view", { lifetime: "request", needs: { basket }, start: ({ basket }) => basket });
  const running = await container([view], {
    clock,
    sessions: { idleTimeoutMs: 60_000, maxLifetimeMs: 600_000, max: 2 },
  }).start();
  const add = (key: string, item: string) =>
    running.session(key, [user.is(key)]).scope([], { view }, ({ view }) => view.items.push(item));
  await add("ann", "a");
  t.equal(await add("ann", "b"), 2);
  await add("bob", "c");
  await add("cid", "d");
  t.strictSame(log, ["-ann"], "the one unused for longest made room");
  await clock.advance(90_000);
  t.strictSame(log.sort(), ["-ann", "-bob", "-cid"]);
  t.equal(await add("bob", "new"), 1);
  await running.session("bob").end();
  t.equal(log.filter((line) => line === "-bob").length, 2);
  await t.rejects(
    // @ts-expect-error the types want the session's input
    running.scope([], { view }, () => 1),
    { code: "SESSION_MISSING" },
  );
  await running.stop();
});

t.test("a session in use does not end under its user, and all in use at the cap is an error", async (t) => {
  const clock = new FakeClock();
  let ended = false;
  const cart = resource("cart", { lifetime: "session", start: () => 1, stop: () => void (ended = true) });
  const running = await container([cart], { clock, sessions: { max: 1 } }).start();
  let end: () => void = () => {};
  const using = running.session("ann").scope([], { cart }, () => new Promise<void>((resolve) => (end = resolve)));
  await clock.settle();
  await t.rejects(running.session("bob").get(cart), { code: "SESSION_LIMIT" });
  await running.session("ann").end();
  t.notOk(ended);
  end();
  await using;
  await clock.settle();
  t.ok(ended);
  await running.stop();
});

t.test("a plan compiled to code and an interpreted one give the same", async (t) => {
  const strange = resource("strange", {
    lifetime: "request",
    needs: { request, ["__proto__x"]: request, 'quo"te\n': request },
    start: (needs) => Object.keys(needs).sort(),
  });
  const asynchronous = resource("asynchronous", {
    lifetime: "request",
    needs: { strange },
    start: async ({ strange }) => strange.length,
  });
  const last = resource("last", {
    lifetime: "request",
    needs: { asynchronous, strange },
    start: ({ asynchronous, strange }) => `${asynchronous} ${strange.join()}`,
    stop: () => {},
  });
  await using running = await container([last]).start();
  const results = new Set<string>();
  for (let i = 0; i < 60; i++)
    results.add(await running.scope([request.is({ id: "1" })], { last }, ({ last }) => last));
  t.equal(results.size, 1);
});

t.test("the handler's own error arrives, with every failure of cleanup behind it", async (t) => {
  const make = (name: string) =>
    resource(name, {
      lifetime: "request",
      start: () => name,
      stop: () => Promise.reject(new Error(`cleanup of ${name}`)),
    });
  const [a, b] = [make("a"), make("b")];
  await using running = await container([a, b]).start();
  const cause = new Error("the real cause");
  const error = await running.scope([], { a, b }, () => Promise.reject(cause)).catch((thrown: unknown) => thrown);
  t.equal(error, cause);
  t.match(inspect(error), /cleanup of a/);
  t.match(inspect(error), /cleanup of b/);
});
