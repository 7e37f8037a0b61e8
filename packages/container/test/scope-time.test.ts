import { afterReply, resource } from "@steward/core";
import { failure, FakeClock } from "@steward/testing";
import t from "tap";
import { container } from "../src/index.ts";

const never = (): Promise<never> => new Promise(() => {});

t.test("a cleanup that never ends is given up after its stop timeout and named; those behind it run", async (t) => {
  const clock = new FakeClock();
  const log: string[] = [];
  const outer = resource("outer", { lifetime: "request", start: () => 1, stop: () => void log.push("outer") });
  const tx = resource("tx", {
    lifetime: "request",
    needs: { outer },
    stopTimeoutMs: 200,
    async *start() {
      yield 1;
      await never();
    },
  });
  await using running = await container([tx], { clock }).start();
  const since = clock.now();
  const error = await clock.runUntil(failure(running.scope([], { tx }, () => "fine")));
  t.match(error, {
    code: "STOP_TIMEOUT",
    resource: "tx",
    message: "tx: its cleanup did not end within 200 ms; it is left behind",
  });
  t.ok(clock.now() - since <= 210, `took ${clock.now() - since} ms`);
  t.strictSame(log, ["outer"]);
});

t.test("a cleanup that hangs never hides the handler's own error", async (t) => {
  const clock = new FakeClock();
  const file = resource("file", { lifetime: "handler", start: () => 1, stop: never });
  await using running = await container([file], { clock }).start();
  const cause = new Error("the real cause");
  const since = clock.now();
  const error = await clock.runUntil(failure(running.scope([], { file }, () => Promise.reject(cause))));
  t.equal(error, cause);
  t.match(error, { suppressed: { code: "STOP_TIMEOUT", resource: "file" } });
  t.ok(clock.now() - since <= 5_010, "the default is that of every resource");
});

t.test("the signal of a cleanup aborts before its time is over; one that heeds it has ended well", async (t) => {
  const clock = new FakeClock();
  const log: string[] = [];
  const socket = resource("socket", {
    lifetime: "request",
    stopTimeoutMs: 1_000,
    start: () => 1,
    stop: async (_, { signal }) => {
      await clock.sleep(60_000, signal).catch(() => log.push("by force"));
    },
  });
  await using running = await container([socket], { clock }).start();
  t.equal(await clock.runUntil(running.scope([], { socket }, () => "fine")), "fine");
  t.strictSame(log, ["by force"]);
});

t.test("a start that never ends is given up after its start timeout; what arrives late is released", async (t) => {
  for (const lifetime of ["request", "handler", "session"] as const) {
    const clock = new FakeClock();
    const log: string[] = [];
    const slow = resource("slow", {
      lifetime,
      startTimeoutMs: 300,
      start: () => clock.sleep(1_000).then(() => ({})),
      stop: () => void log.push("-slow"),
    });
    await using running = await container([slow], { clock }).start();
    for (let round = 0; round < 30; round++) {
      // so often that the plan is generated code
      const since = clock.now();
      const error = await clock.runUntil(failure(running.session("ann").scope([], { slow }, () => "never")));
      t.match(error, { code: "START_TIMEOUT", resource: "slow", message: /^slow: not ready within 300 ms/ });
      t.ok(clock.now() - since <= 310, `took ${clock.now() - since} ms`);
    }
    await clock.advance(2_000);
    if (lifetime === "session") await running.session("ann").end();
    t.equal(log.length, 30, `each that arrived late is released (${lifetime})`);
  }
});

t.test("a generator that was given up is resumed to its end when it arrives after all", async (t) => {
  const clock = new FakeClock();
  const log: string[] = [];
  const tx = resource("tx", {
    lifetime: "handler",
    stopTimeoutMs: 100,
    async *start() {
      yield 1;
      await clock.sleep(1_000);
      yield afterReply;
      log.push("released");
    },
  });
  const again = resource("again", {
    lifetime: "handler",
    stopTimeoutMs: 100,
    async *start() {
      try {
        yield 1;
        await clock.sleep(1_000);
        yield afterReply;
        yield afterReply;
      } finally {
        log.push("again released");
      }
    },
  });
  const late = resource("late", {
    lifetime: "request",
    startTimeoutMs: 100,
    async *start() {
      await clock.sleep(1_000);
      try {
        yield 1;
      } finally {
        log.push("late released");
      }
    },
  });
  await using running = await container([tx, again, late], { clock }).start();
  t.match(await clock.runUntil(failure(running.scope([], { tx }, () => 1))), { code: "STOP_TIMEOUT" });
  t.match(await clock.runUntil(failure(running.scope([], { again }, () => 1))), { code: "STOP_TIMEOUT" });
  t.match(await clock.runUntil(failure(running.scope([], { late }, () => 1))), { code: "START_TIMEOUT" });
  t.strictSame(log, []);
  await clock.advance(2_000);
  t.strictSame(log, ["released", "again released", "late released"]);
});

t.test("a cleanup that ends after it was given up changes nothing of those behind it", async (t) => {
  for (const fails of [false, true]) {
    const clock = new FakeClock();
    const log: string[] = [];
    const outer = resource("outer", { lifetime: "request", start: () => 1, stop: () => void log.push("outer") });
    const middle = resource("middle", {
      lifetime: "request",
      needs: { outer },
      start: () => 1,
      stop: async () => {
        await clock.sleep(300);
        log.push("middle");
      },
    });
    const late = resource("late", {
      lifetime: "request",
      needs: { middle },
      stopTimeoutMs: 200,
      start: () => 1,
      stop: async () => {
        await clock.sleep(400);
        log.push("late");
        if (fails) throw new Error("nothing to hear of any more");
      },
    });
    await using running = await container([late], { clock }).start();
    const error = await clock.runUntil(failure(running.scope([], { late }, () => "fine")));
    t.match(error, { code: "STOP_TIMEOUT", resource: "late", suppressed: undefined });
    t.strictSame(log, ["late", "middle", "outer"]);
  }
});

t.test("what waits for nothing arms no timer, and none is left behind", async (t) => {
  const clock = new FakeClock();
  const quick = resource("quick", { lifetime: "request", start: () => 1, stop: () => {} });
  const slower = resource("slower", {
    lifetime: "request",
    async *start() {
      yield await Promise.resolve(1);
      await Promise.resolve();
    },
  });
  await using running = await container([quick, slower], { clock, health: false }).start();
  await running.scope([], { quick }, () => 1);
  t.equal(clock.nextAt, undefined);
  await running.scope([], { slower }, () => 1);
  t.equal(clock.holding, 0, "nothing keeps the process alive");
});

t.test("one cleanup of a session that hangs past a stop keeps none of the others from being asked", async (t) => {
  const clock = new FakeClock();
  const log: string[] = [];
  const db = resource("db", { start: () => 1, stop: () => void log.push("-db") });
  const cart = resource("cart", {
    lifetime: "session",
    needs: { db },
    start: () => 1,
    stop: () => void log.push("-cart"),
  });
  const page = resource("page", {
    lifetime: "session",
    needs: { cart },
    stopTimeoutMs: 60_000,
    start: () => 1,
    stop: () => (log.push("page?"), never()),
  });
  const running = await container([page], { clock }).start();
  await running.session("ann").get(page);
  const since = clock.now();
  const error = await clock.runUntil(failure(running.stop({ timeoutMs: 1_000 })));
  t.match(error, { code: "STOP_FAILED", message: /sessions in stop .*page: its cleanup did not end before/ });
  t.ok(clock.now() - since <= 1_000, `took ${clock.now() - since} ms`);
  t.strictSame(log, ["page?", "-cart", "-db"]);
});

t.test("one cleanup of a session that hangs past a restart keeps none of the others from being asked", async (t) => {
  const clock = new FakeClock();
  const log: string[] = [];
  const db = resource("db", { start: () => 1, stop: () => void log.push("-db") });
  const cart = resource("cart", {
    lifetime: "session",
    needs: { db },
    start: () => 1,
    stop: () => void log.push("-cart"),
  });
  const page = resource("page", {
    lifetime: "session",
    needs: { cart },
    stopTimeoutMs: 60_000,
    start: () => 1,
    stop: () => (log.push("page?"), never()),
  });
  const running = await container([page, db], { clock, stopTimeoutMs: 1_000 }).start();
  await running.session("ann").get(page);
  await clock.runUntil(running.restart(db));
  t.strictSame(log, ["page?", "-cart", "-db"]);
});

t.test("cleanups of a scope that is cut off by a stop are all asked, however many hang", async (t) => {
  const clock = new FakeClock();
  const log: string[] = [];
  const make = (name: string, needs = {}) =>
    resource(name, {
      lifetime: "request",
      needs,
      stopTimeoutMs: 60_000,
      start: () => 1,
      stop: () => (log.push(name), never()),
    });
  const a = make("a");
  const b = make("b", { a });
  const c = make("c", { b });
  const running = await container([c], { clock }).start();
  const scope = failure(running.scope([], { c }, () => 1));
  const error = await clock.runUntil(failure(running.stop({ timeoutMs: 1_000 })));
  t.match(error, { code: "STOP_FAILED" });
  t.strictSame(log, ["c", "b", "a"]);
  t.match(await scope, { code: "STOP_TIMEOUT", resource: "c", suppressed: {} });
});
