import {
  cached,
  current,
  fresh,
  generator,
  input,
  lazy,
  optional,
  resource,
  type Definition,
  when,
} from "@steward/core";
import { FakeClock } from "@steward/testing";
import t from "tap";
import { container, explain } from "../src/index.ts";

/** A cache that is down until `up` is set. */
function unreliable(): { readonly cache: Definition<{ get(): string }, "application~">; up: boolean } {
  const state = { up: false };
  const cache = resource("cache", {
    criticality: "optional",
    start: () => {
      if (!state.up) throw new Error("still down");
      return { get: () => "hit" };
    },
  });
  return Object.assign(state, { cache });
}

t.test("what may be down is undefined for who needs it as current, in resources, scopes and get alike", async (t) => {
  const clock = new FakeClock();
  const remote = unreliable();
  const { cache } = remote;
  const users = resource("users", {
    needs: { cache: current(cache) },
    start:
      ({ cache }) =>
      () =>
        cache.current?.get() ?? "miss",
  });
  const me = resource("me", {
    lifetime: "request",
    needs: { cache: current(cache) },
    start: ({ cache }) => cache.current?.get() ?? "miss",
  });
  const running = await container([users, me], { clock }).start();
  const asked = (): Promise<readonly unknown[]> =>
    running.scope([], { me, cache: current(cache) }, ({ me, cache: held }) => [
      running.get(users)(),
      me,
      held.current?.get() ?? "miss",
      running.get(cache)?.get() ?? "miss",
    ]);
  t.strictSame(await asked(), ["miss", "miss", "miss", "miss"]);
  remote.up = true;
  await clock.advance(2_000);
  t.strictSame(await asked(), ["hit", "hit", "hit", "hit"]);
  await running.stop();
});

t.test("what may be down and is needed otherwise is refused, also where a scope asks for it", async (t) => {
  const { cache } = unreliable();
  const never = cache as never; // the compiler refuses it in the same words
  for (const need of [never, optional(never), lazy(never), fresh(never)]) {
    const users = resource("users", { needs: { cache: need as never }, start: () => 1 });
    await t.rejects(container([users]).start(), {
      code: "GRAPH_OPTIONAL",
      message: /"users" needs "cache", which is optional .* need it as current\(cache\)/,
    });
  }
  const flag = resource("flag", { criticality: "optional", start: () => true });
  const either = resource("either", { needs: { it: when(flag, cache, cache) as never }, start: () => 1 });
  await t.rejects(container([either]).start(), { code: "GRAPH_OPTIONAL", message: /"flag"/ });
  await using running = await container([cache, flag], { clock: new FakeClock() }).start();
  for (const need of [never, optional(never), lazy(never)])
    await t.rejects(
      running.scope([], { need } as {}, () => 1),
      {
        code: "GRAPH_OPTIONAL",
        message: /the scope needs "cache", which is optional .* current\(cache\)/,
      },
    );
  await t.rejects(
    running.scope([], { it: when(flag, cache, cache) } as {}, () => 1),
    { code: "GRAPH_OPTIONAL" },
  );
});

t.test("an override by a value is there, whatever it replaces", async (t) => {
  const { cache } = unreliable();
  const users = resource("users", { needs: { cache: current(cache) }, start: ({ cache }) => cache.current?.get() });
  await using running = await container([users])
    .override(cache, { get: () => "fake" })
    .start();
  t.equal(running.get(users), "fake");
});

t.test(
  "a shared instance has its own name wherever it is listed; a private one is named after its asker",
  async (t) => {
    let made = 0;
    const id = resource("id", { lifetime: "transient", start: () => ++made });
    const conn = resource("conn", { start: () => ({ no: ++made }) });
    const a = resource("a", { needs: { own: fresh(conn), shared: conn, other: fresh(conn), id }, start: (x) => x });
    const b = resource("b", { needs: { shared: conn, own: fresh(conn) }, start: (x) => x });
    await using running = await container([a, b]).start();
    t.equal(running.byName("conn"), running.get(conn));
    t.equal(running.get(a).shared, running.get(conn));
    t.equal(running.byName("conn@a"), running.get(a).own);
    t.equal(running.byName("conn@a#2"), running.get(a).other);
    t.equal(running.byName("conn@b"), running.get(b).own);
    t.equal(running.byName("id@a"), running.get(a).id);
    t.strictSame(Object.keys(running.stats()).sort(), ["a", "b", "conn", "conn@a", "conn@a#2", "conn@b", "id@a"]);
  },
);

t.test("every edge is explained with its kind", async (t) => {
  const id = resource("id", { lifetime: "transient", start: () => 1 });
  const conn = resource("conn", { start: () => 1 });
  const flag = resource("flag", { start: () => true });
  const off = resource("off", { enabled: false, start: () => 1 });
  const a = resource("a", {
    needs: {
      plain: conn,
      own: fresh(conn),
      id,
      late: lazy(conn),
      now: current(conn),
      maybe: optional(off),
      either: when(flag, conn, lazy(conn)),
    },
    start: () => 1,
  });
  const kinds = new Map(
    container([a])
      .graph()
      .nodes.find(({ name }) => name === "a")
      ?.needs.map(({ key, name, kind, optional }) => [`${key} ${kind}`, `${name}${optional ? "?" : ""}`]),
  );
  t.strictSame(Object.fromEntries(kinds), {
    "plain plain": "conn",
    "own fresh": "conn@a",
    "id transient": "id@a",
    "late lazy": "conn",
    "now current": "conn",
    "maybe plain": "off?",
    "either condition": "flag",
    "either when": "conn",
    "either when lazy": "conn",
  });
  t.match(explain(container([a])), /a: not started; needs conn, conn@a \(fresh\), id@a \(transient\), conn \(lazy\)/);
  t.throws(() => explain(container([a]), "svg" as never), {
    code: "OPTIONS_INVALID",
    message: /explain: expected "text" \| "mermaid" \| "json", received "svg"/,
  });
  t.end();
});

t.test(
  "a predicate over a definition chooses a branch, in a resource and in a scope; the other does not start",
  async (t) => {
    const started: string[] = [];
    const config = resource("config", { start: () => ({ smtp: false }) });
    const smtp = resource("smtp", { start: () => (started.push("smtp"), "smtp") });
    const printed = resource("printed", { start: () => (started.push("printed"), "printed") });
    const mailer = resource("mailer", {
      needs: { mail: when(config, (c) => c.smtp, smtp, printed) },
      start: ({ mail }) => mail,
    });
    {
      await using running = await container([mailer]).start();
      t.equal(running.get(mailer), "printed");
      t.strictSame(started, ["printed"]);
    }
    const perRequest = resource("perRequest", {
      lifetime: "request",
      needs: { mail: when(config, (c) => c.smtp, smtp, printed) },
      start: ({ mail }) => mail,
    });
    await using running = await container([perRequest, smtp, printed]).override(config, { smtp: true }).start();
    t.equal(await running.scope([], { perRequest }, ({ perRequest }) => perRequest), "smtp");
    t.equal(await running.scope([], { it: when(config, (c) => !c.smtp, smtp, printed) }, ({ it }) => it), "printed");
  },
);

t.test("a predicate that throws fails the start of who asks", async (t) => {
  const config = resource("config", { start: () => ({}) });
  const one = resource("one", { start: () => 1 });
  const chooser = resource("chooser", {
    needs: {
      it: when(
        config,
        () => {
          throw new Error("no such setting");
        },
        one,
        one,
      ),
    },
    start: ({ it }) => it,
  });
  await t.rejects(container([chooser]).start(), { message: /no such setting/ });
});

t.test("a plain start that returns a generator is refused, with the word that is missing", async (t) => {
  async function* lifecycle(): AsyncGenerator<number, void, undefined> {
    yield 1;
  }
  function* plain(): Generator<number, void, undefined> {
    yield 1;
  }
  for (const start of [() => lifecycle(), async () => plain(), () => plain()]) {
    const held = resource("n", { start: start as () => unknown });
    await t.rejects(container([held]).start(), {
      code: "START_FAILED",
      message: /resource "n": its start is no generator function .* write start: generator\(fn\)/,
    });
  }
  await using empty = await container([]).start();
  for (const start of [() => lifecycle(), async () => plain(), () => plain()])
    for (const lifetime of ["request", "handler", "transient"] as const) {
      const scoped = resource("scoped", { lifetime, start: start as () => unknown });
      await t.rejects(
        empty.scope([], { scoped }, () => 1),
        { code: "DEFINITION_INVALID", message: /resource "scoped": its start is no generator function/ },
      );
    }
  const marked = resource("marked", { start: generator(() => lifecycle()) });
  await using running = await container([marked]).start();
  t.equal(running.get(marked), 1);
});

t.test("an override that replaces nothing is refused with the name and the nearest", async (t) => {
  const db = resource("db", { start: () => "db" });
  const cache = resource("cache", { start: () => "cache" });
  const users = resource("users", { needs: { db, cache }, start: ({ db }) => db });
  const app = container([users]);
  const other = resource("dbb", { start: () => "x" });
  await t.rejects(app.override(other, "y").start(), {
    code: "NOT_IN_GRAPH",
    resource: "dbb",
    message: /the override of "dbb" replaces nothing: .* did you mean "db"\?/,
  });
  const twin = resource("db", { start: () => "x" });
  await t.rejects(app.override(twin, "y").start(), { message: /it needs another definition of that name/ });
  t.throws(() => app.override(resource("zebra", { start: () => 1 }), 2).graph(), { message: /nothing .* needs it$/ });
  for (const nothing of [undefined, null, "db", {}])
    t.throws(() => app.override(nothing as never, 1 as never), {
      code: "OPTIONS_INVALID",
      message: /override: must be a definition \(where it is undefined, most often two modules import each other\)/,
    });
  const both = app.override(users, "fake").override(db, "not started, because users is replaced");
  await both.start().then((running) => running.stop());
  const wrapped = resource("wrapped", { needs: { cache }, start: ({ cache }) => cache });
  await app
    .override(db, wrapped)
    .override(wrapped, "w")
    .start()
    .then((running) => running.stop());
  await using running = await app.start();
  t.throws(() => running.override(other, "y"), { code: "NOT_IN_GRAPH", message: /override of "dbb"/ });
  t.throws(() => running.override(undefined as never, 1 as never), { code: "OPTIONS_INVALID" });
  const later = resource("later", { lifetime: "request", start: () => 1 });
  running.override(later, 2)[Symbol.dispose](); // what scopes alone use comes with what asks for it
});

t.test("containers, starts, stops and roots refuse options that are unknown or wrong, all at once", async (t) => {
  const one = resource("one", { start: () => 1 });
  const clock = input<number>()("clock");
  const wrong = {
    startTimoutMs: 5,
    startTimeoutMs: NaN,
    drainTimeoutMs: "5s",
    name: "",
    clock: {},
    sessions: { maxx: 5, idleTimeoutMs: -1 },
    health: { interval: 5, intervalMs: 0, unhealthyAfter: 1.5 },
  };
  t.throws(() => container([one], wrong as {}), {
    code: "OPTIONS_INVALID",
    message: [
      "10 options are wrong:",
      '  container.startTimoutMs: is not an option; did you mean "startTimeoutMs"?',
      "  container.startTimeoutMs: expected number, received NaN",
      "  container.drainTimeoutMs: expected number, received a string",
      "  container.name: must not be empty",
      "  container.clock: must be a clock",
      '  container.sessions.maxx: is not an option; did you mean "max"?',
      "  container.sessions.idleTimeoutMs: must be at least 1 ms",
      '  container.health.interval: is not an option; did you mean "intervalMs"?',
      "  container.health.intervalMs: must be at least 1 ms",
      "  container.health.unhealthyAfter: must be a whole number",
    ].join("\n"),
  });
  t.throws(() => container([one, undefined as never]), { message: /container\.1: must be a definition \(where it is/ });
  const app = container([one], { startTimeoutMs: undefined, health: false } as {});
  await t.rejects(app.start([], { signl: 1 } as {}), { message: /start\.signl: .* did you mean "signal"/ });
  await t.rejects(app.start([{ input: 5 }] as never), { message: /start\.0: must be an input with its value/ });
  const running = await app.start();
  t.throws(() => running.stop({ timeout: 5 } as {}), { message: /stop\.timeout: .* did you mean "timeoutMs"/ });
  t.throws(() => running.stop({ timeoutMs: NaN }), { message: /stop\.timeoutMs: expected number, received NaN/ });
  t.equal(running.phase, "ready");
  await running.stop({ timeoutMs: undefined });
  t.throws(() => cached(one, { ttl: 5 } as never), { message: /cached\(one\)\.ttl: .* did you mean "ttlMs"/ });
  t.equal(clock.name, "clock");
});
