import { container, StartError } from "../src/index.ts";
import { current, fresh, input, isStewardError, lazy, optional, resource, when, type Definition } from "@steward/core";
import { Manager, defineDriver, OptionsError, type ManagerContext } from "@steward/core/driver";
import { FakeClock } from "@steward/testing";
import t from "tap";
import * as v from "valibot";

/** A resource that takes its time and writes to a log. */
function timed(
  clock: FakeClock,
  log: string[],
  name: string,
  ms: number,
  needs: Record<string, Definition<string>> = {},
) {
  return resource(name, {
    needs,
    start: async (_needs, { signal }) => {
      log.push(`>${name}`);
      await clock.sleep(ms, signal);
      log.push(`+${name}`);
      return name;
    },
    stop: async () => {
      await clock.sleep(ms);
      log.push(`-${name}`);
    },
  });
}

t.test("starts in parallel along the graph, in the time of its longest path", async (t) => {
  const clock = new FakeClock();
  const log: string[] = [];
  const a = timed(clock, log, "a", 10);
  const b = timed(clock, log, "b", 60);
  const c = timed(clock, log, "c", 10, { a });
  const d = timed(clock, log, "d", 10, { c });
  const e = timed(clock, log, "e", 10, { b, d });
  const starting = container([e], { clock }).start();
  await clock.advance(59.9);
  t.strictSame(log, [">b", ">a", "+a", ">c", "+c", ">d", "+d"]);
  await clock.advance(10.2);
  const running = await starting;
  t.equal(running.startedInMs, 70, "exactly the longest path");
  const stopping = running.stop();
  await clock.runUntil(stopping);
  t.strictSame(
    log.filter((line) => line.startsWith("-")),
    ["-e", "-d", "-c", "-a", "-b"],
  );
  t.equal(clock.holding, 0, "no timer is left");
});

t.test("a failing start aborts the siblings, waits for them, rolls back in reverse and says all of it", async (t) => {
  const clock = new FakeClock();
  const log: string[] = [];
  const config = timed(clock, log, "config", 1);
  const cache = timed(clock, log, "cache", 2, { config });
  const slow = timed(clock, log, "slow", 1_000, { config });
  const bad = resource("bad", {
    needs: { config },
    start: async (): Promise<string> => {
      await clock.sleep(5);
      throw new Error("no route to host");
    },
  });
  const never = timed(clock, log, "never", 1, { bad });
  const failing = container([cache, slow, never], { clock }).start();
  const error = await clock.runUntil(
    failing.then(
      () => undefined,
      (thrown: unknown) => thrown,
    ),
  );
  t.ok(error instanceof StartError && isStewardError(error, "START_FAILED"));
  if (!(error instanceof StartError)) return;
  t.equal(error.resource, "bad");
  t.equal(error.failures[0]?.phase, "start");
  t.equal(error.failures[0]?.durationMs, 5);
  t.match(error.message, /"bad" failed in start after 5 ms: no route to host/);
  t.strictSame(error.rolledBack, ["cache", "config"]);
  t.strictSame(
    log,
    [">config", "+config", ">cache", ">slow", "+cache", "-cache", "-config"],
    "slow was aborted, never was not started",
  );
  t.equal(clock.holding, 0);
});

t.test("a start that ignores its abort is named, and stopped when it arrives", async (t) => {
  const clock = new FakeClock();
  const log: string[] = [];
  const deaf = resource("deaf", {
    start: async () => {
      await clock.sleep(5_000);
      log.push("+deaf");
      return "deaf";
    },
    stop: () => void log.push("-deaf"),
  });
  const bad = resource("bad", { start: () => clock.sleep(1).then(() => Promise.reject(new Error("no"))) });
  const error = await clock.runUntil(
    container([deaf, bad], { clock })
      .start()
      .then(
        () => undefined,
        (thrown: unknown) => thrown,
      ),
  );
  t.ok(error instanceof StartError);
  t.strictSame(error instanceof StartError && error.stillStarting, ["deaf"]);
  t.ok(clock.now() < 2_000, "it is not waited for");
  await clock.advance(5_000);
  t.strictSame(log, ["+deaf", "-deaf"]);
});

t.test("a resource that is not ready in time fails the start, within its own start timeout", async (t) => {
  const clock = new FakeClock();
  const hanging = resource("hanging", { startTimeoutMs: 200, start: (_, { signal }) => clock.sleep(1e9, signal) });
  const error = await clock.runUntil(
    container([hanging], { clock })
      .start()
      .then(
        () => undefined,
        (thrown: unknown) => thrown,
      ),
  );
  t.match(error, { code: "START_FAILED", cause: { code: "START_TIMEOUT" } });
  t.ok(clock.now() <= 200);
});

t.test("the total start timeout names what it waits for", async (t) => {
  const clock = new FakeClock();
  const hanging = resource("hanging", { start: (_, { signal }) => clock.sleep(1e9, signal) });
  const error = await clock.runUntil(
    container([hanging], { clock, startTimeoutMs: 300 })
      .start()
      .then(
        () => undefined,
        (thrown: unknown) => thrown,
      ),
  );
  t.match(error, { code: "START_FAILED", message: /did not start within 300 ms; waiting for: hanging/ });
});

t.test("a caller's signal gives up the start and everything that has started is stopped", async (t) => {
  const clock = new FakeClock();
  const log: string[] = [];
  const a = timed(clock, log, "a", 1);
  const b = timed(clock, log, "b", 1_000, { a });
  const abort = new AbortController();
  const starting = container([b], { clock })
    .start([], { signal: abort.signal })
    .then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
  await clock.advance(10);
  abort.abort(new Error("Ctrl-C"));
  const error = await clock.runUntil(starting);
  t.match(error, { code: "START_FAILED", message: /Ctrl-C/ });
  t.strictSame(log, [">a", "+a", ">b", "-a"]);
});

t.test("what is needed twice starts once, and what is not needed does not start", async (t) => {
  let starts = 0;
  const shared = resource("shared", { start: () => ++starts });
  const left = resource("left", { needs: { shared }, start: ({ shared }) => shared });
  const right = resource("right", { needs: { shared }, start: ({ shared }) => shared });
  const unused = resource("unused", { start: () => t.fail("it is not needed") });
  await using running = await container([left, right]).start();
  t.equal(starts, 1);
  t.equal(running.get(left), running.get(right));
  t.throws(() => running.get(unused), { code: "NOT_IN_GRAPH" });
});

t.test("fresh and transient needs get an instance of their own, stopped with the rest", async (t) => {
  let made = 0;
  const stopped: number[] = [];
  const counter = resource("counter", { start: () => ++made, stop: (n) => void stopped.push(n) });
  const stamp = resource("stamp", { lifetime: "transient", start: () => ++made, stop: (n) => void stopped.push(n) });
  const a = resource("a", { needs: { counter, own: fresh(counter), stamp }, start: (needs) => needs });
  const b = resource("b", { needs: { counter, stamp }, start: (needs) => needs });
  const running = await container([a, b]).start();
  const [first, second] = [running.get(a), running.get(b)];
  t.equal(first.counter, second.counter);
  t.not(first.own, first.counter);
  t.not(first.stamp, second.stamp);
  await running.stop();
  t.strictSame(stopped.sort(), [1, 2, 3, 4]);
});

t.test("a lazy need starts at its first use, once, with what it needs, and stops in order", async (t) => {
  const log: string[] = [];
  const engine = resource("engine", { start: () => void log.push("+engine"), stop: () => void log.push("-engine") });
  const search = resource("search", {
    needs: { engine },
    start: () => (log.push("+search"), { find: () => "found" }),
    stop: () => void log.push("-search"),
  });
  const page = resource("page", {
    needs: { search: lazy(search) },
    start: ({ search }) => ({ search }),
    stop: () => void log.push("-page"),
  });
  const running = await container([page]).start();
  t.strictSame(log, []);
  t.throws(() => running.get(search), { code: "NOT_IN_GRAPH", message: /only lazily/ });
  const [one, two] = await Promise.all([running.get(page).search(), running.get(page).search()]);
  t.equal(one, two);
  t.strictSame(log, ["+engine", "+search"]);
  await running.stop();
  t.strictSame(log.slice(2), ["-page", "-search", "-engine"]);
});

t.test("a lazy start that fails keeps nothing and is tried again at the next use", async (t) => {
  let attempts = 0;
  let engines = 0;
  const engine = resource("engine", { start: () => ++engines, stop: () => void engines-- });
  const flaky = resource("flaky", {
    needs: { engine },
    start: () => {
      if (++attempts === 1) throw new Error("first time");
      return "second time";
    },
  });
  const page = resource("page", { needs: { flaky: lazy(flaky) }, start: ({ flaky }) => flaky });
  await using running = await container([page]).start();
  await t.rejects(running.get(page)(), { code: "START_FAILED" });
  t.equal(engines, 0, "what it had started was stopped");
  t.equal(await running.get(page)(), "second time");
});

t.test("a failed start ends once what lazy needs had begun is stopped too, and says to their askers why", async (t) => {
  const clock = new FakeClock();
  const log: string[] = [];
  const engine = timed(clock, log, "engine", 20);
  const late = resource("late", { needs: { engine }, start: (_needs, { signal }) => clock.sleep(9_000, signal) });
  const early = resource("early", {
    start: () => log.push("+early"),
    stop: () => void log.push("-early"),
    probe: () => {},
  });
  let asked: Promise<unknown> = Promise.resolve();
  const page = resource("page", {
    needs: { early: lazy(early), late: lazy(late) },
    start: async ({ early, late }) => {
      await early();
      asked = clock.sleep(10).then(late);
      asked.catch(() => {});
    },
  });
  const bad = resource("bad", {
    start: async () => {
      await clock.sleep(50);
      throw new Error("the disk is full");
    },
  });
  await t.rejects(clock.runUntil(container([page, bad], { clock }).start()), { message: /"bad" failed in start/ });
  t.strictSame(log, ["+early", ">engine", "+engine", "-engine", "-early"]);
  t.equal(clock.now(), 70);
  t.equal(clock.pending, 0, "nothing is probed any more");
  await t.rejects(asked, { code: "START_FAILED", message: /^"late" failed in start after 20 ms: the disk is full/ });
});

t.test("only the branch that the condition chooses starts", async (t) => {
  const started: string[] = [];
  const flag = resource("flag", { start: () => false as boolean });
  const remote = resource("remote", { start: () => (started.push("remote"), "remote") });
  const local = resource("local", { start: () => (started.push("local"), "local") });
  const cache = resource("cache", { needs: { store: when(flag, remote, local) }, start: ({ store }) => store });
  await using running = await container([cache]).start();
  t.equal(running.get(cache), "local");
  t.strictSame(started, ["local"]);
});

t.test("a disabled resource is undefined to optional askers, starts nothing, and is refused to others", async (t) => {
  const config = resource("config", { start: () => ({ cache: false }) });
  const server = resource("server", { start: () => t.fail("only the disabled one needs it") });
  const off = resource("off", { needs: { server }, enabled: false, start: () => "value" });
  const redis = resource("redis", { needs: { config }, enabled: ({ config }) => config.cache, start: () => "redis" });
  const users = resource("users", { needs: { redis: optional(redis), off: optional(off) }, start: (needs) => needs });
  const on = resource("on", { enabled: true, start: () => "value" });
  const later = resource("later", {
    needs: { off: optional(lazy(off)), on: optional(lazy(on)), now: optional(current(redis)) },
    start: (needs) => needs,
  });
  await using running = await container([users, later]).start();
  t.strictSame(running.get(users), { redis: undefined, off: undefined });
  t.match(running.get(later), { off: undefined, on: Function, now: undefined });
  t.equal(await running.get(later).on?.(), "value");
  t.equal(running.get(redis), undefined);
  // @ts-expect-error the types refuse it first
  const wrong = resource("wrong", { needs: { redis }, start: () => 1 });
  await t.rejects(container([wrong]).start(), {
    code: "START_FAILED",
    cause: {
      code: "GRAPH_DISABLED",
      resource: "wrong",
      message: /^"wrong" needs "redis", which configuration disabled/,
    },
  });
});

t.test("an optional resource that is down does not fail the start and is tried again", async (t) => {
  const clock = new FakeClock();
  let attempts = 0;
  const search = resource("search", {
    criticality: "optional",
    start: () => {
      if (++attempts < 3) throw new Error("still down");
      return "up";
    },
  });
  const page = resource("page", { needs: { search: current(search) }, start: ({ search }) => search });
  const running = await container([page], { clock }).start();
  t.equal(running.get(page).current, undefined);
  t.equal(running.get(search), undefined);
  t.equal(running.health().status, "degraded");
  await clock.advance(2_000);
  t.equal(running.get(page).current, "up");
  t.equal(running.health().status, "healthy");
  const holds = resource("holds", { needs: { search: search as never }, start: ({ search }) => search });
  await t.rejects(container([holds]).start(), { code: "GRAPH_OPTIONAL", message: /current\(search\)/ });
  await running.stop();
});

class PingManager extends Manager<string> {
  constructor(_options: unknown, context: ManagerContext) {
    super("ping", context);
  }
  override get client(): string {
    return this.name;
  }
  protected override onStart(): void {}
  protected override onProbe(): void {}
  protected override onStop(): void {}
}
const pinger = defineDriver<{ url: string; retries?: number; timeoutMs?: number }, string>({
  kind: "ping",
  schema: v.strictObject({ url: v.string(), retries: v.optional(v.number()), timeoutMs: v.optional(v.number(), 5) }),
  create: (options, context) => new PingManager(options, context),
});

t.test("wrong literal options of all resources are one error, with the nearest known key", async (t) => {
  // @ts-expect-error two wrong keys
  const one = pinger("one", { ulr: "x", retries: "many" });
  // @ts-expect-error a duration without its unit
  const two = pinger("two", { url: "x", timeout: 3 });
  const error = await container([one, two])
    .start()
    .then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
  t.ok(error instanceof OptionsError);
  t.match(error, { code: "OPTIONS_INVALID", message: /one\.ulr: is not an option; did you mean "url"\?/ });
  t.match(error, { message: /one\.retries: expected number, received a string/ });
  t.match(error, { message: /two\.timeout: is not an option; did you mean "timeoutMs"\?/ });
});

t.test("derived options are checked before anything connects, all together", async (t) => {
  const config = resource("config", { start: async () => ({ url: 3 as unknown as string }) });
  let connected = false;
  const good = resource("good", { needs: { config }, start: async () => void (connected = true) });
  const one = pinger("one", { needs: { config }, options: ({ config }) => ({ url: config.url }) });
  const two = pinger("two", { needs: { config }, options: ({ config }) => ({ url: config.url, nope: 1 }) });
  const error = await container([one, two])
    .start()
    .then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
  t.match(error, {
    code: "OPTIONS_INVALID",
    problems: [{ resource: "one" }, { resource: "two" }, { resource: "two" }],
  });
  t.notOk(connected);
  t.ok(good);
});

t.test("an input is given when the container starts, and named when it is not", async (t) => {
  const greeting = input<string>()("greeting");
  const greeter = resource("greeter", { needs: { greeting }, start: ({ greeting }) => `${greeting}, world` });
  await using running = await container([greeter]).start([greeting.is("hello")]);
  t.equal(running.get(greeter), "hello, world");
  // @ts-expect-error the types name it first
  await t.rejects(container([greeter]).start(), {
    code: "INPUT_MISSING",
    message: /"greeting" has no value.*needed by greeter/,
  });
});

t.test("two resources of one name are refused", async (t) => {
  const one = resource("same", { start: () => 1 });
  const two = resource("same", { start: () => 2 });
  await t.rejects(container([one, two]).start(), { code: "GRAPH_DUPLICATE_NAME" });
});

t.test("a captive dependency that a cast hides from the types is refused in the same words", async (t) => {
  const me = resource("me", { lifetime: "request", start: () => 1 });
  // @ts-expect-error the types refuse it first
  const holder = resource("holder", { needs: { me }, start: () => 1 });
  await t.rejects(container([holder]).start(), {
    code: "GRAPH_CAPTIVE",
    message: /an application resource cannot need 'me': it lives shorter/,
  });
});

t.test("names from data find resources, or the nearest known name", async (t) => {
  const aes = resource("aes", { start: () => "AES" });
  await using running = await container([aes]).start();
  t.equal(running.byName("aes"), "AES");
  t.throws(() => running.byName("eas"), { code: "NOT_IN_GRAPH", message: /did you mean "aes"\?/ });
});

t.test("a process resource is shared by containers and stopped by the last", async (t) => {
  const log: string[] = [];
  const pool = resource("pool", {
    lifetime: "process",
    start: () => (log.push("+"), {}),
    stop: () => void log.push("-"),
  });
  const user = resource("user", { needs: { pool }, start: ({ pool }) => pool });
  const [one, two] = await Promise.all([container([user]).start(), container([user]).start()]);
  t.equal(one.get(user), two.get(user));
  await one.stop();
  t.strictSame(log, ["+"]);
  await two.stop();
  t.strictSame(log, ["+", "-"]);
  const three = await container([user]).start();
  await three.stop();
  t.strictSame(log, ["+", "-", "+", "-"]);
});

t.test("background work runs while ready and ends first of all", async (t) => {
  const log: string[] = [];
  const queue = resource("queue", {
    start: () => ({ take: () => 1 }),
    drain: () => void log.push("drain queue"),
    stop: () => void log.push("stop queue"),
  });
  const consumer = resource("consumer", {
    needs: { queue },
    run: async ({ queue }, { signal }) => {
      log.push(`took ${queue.take()}`);
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      log.push("ended");
    },
  });
  const running = await container([consumer]).start();
  await running.stop();
  t.strictSame(log, ["took 1", "ended", "drain queue", "stop queue"]);
});

t.test("a lifecycle generator yields its value and releases behind it", async (t) => {
  const log: string[] = [];
  const lock = resource("lock", {
    async *start() {
      log.push("lock");
      yield "locked";
      log.push("unlock");
    },
  });
  const running = await container([lock]).start();
  t.equal(running.get(lock), "locked");
  await running.stop();
  t.strictSame(log, ["lock", "unlock"]);
  const empty = resource("empty", { *start(): Generator<number> {} });
  await t.rejects(container([empty]).start(), { cause: { code: "GENERATOR_DID_NOT_YIELD" } });
});

t.test("what failed is reported once, also where it is needed again later", async (t) => {
  let tries = 0;
  const flag = resource("flag", { start: async () => true as boolean });
  const broken = pinger("broken", { needs: { flag }, options: () => (tries++, { url: 3 as unknown as string }) });
  const other = resource("other", { start: () => 1 });
  const early = resource("early", { needs: { broken }, start: () => 1 });
  const late = resource("late", { needs: { choice: when(flag, broken, other) }, start: () => 1 });
  await t.rejects(container([early, late]).start(), { code: "OPTIONS_INVALID", problems: { length: 1 } });
  t.equal(tries, 1);
});

t.test("what a start is handed can be copied and stood for by a proxy", async (t) => {
  const db = resource("db", { start: () => "db" });
  const seen: unknown[] = [];
  const users = resource("users", {
    needs: { db: current(db) },
    start: ({ db }, context) => {
      const [copy, proxy] = [{ ...context }, new Proxy(context, {})];
      seen.push(copy.signal === context.signal, proxy.signal === context.signal, Object.keys(context));
      seen.push({ ...db }.current, new Proxy(db, {}).current, Object.keys(db));
    },
  });
  await using _running = await container([users]).start();
  t.strictSame(seen, [true, true, ["signal"], "db", "db", ["current"]]);
});
