import { cached, lazy, resource } from "@steward/core";
import { FakeClock } from "@steward/testing";
import t from "tap";
import { container, runMain, type RunningContainer } from "../src/index.ts";
import { FakeProcess } from "./fake-process.ts";

const never = (): Promise<never> => new Promise(() => {});

/** Stops a container and says how long that took, in ms, and with what error. */
async function stopped(
  clock: FakeClock,
  running: RunningContainer,
  timeoutMs: number,
): Promise<{ readonly ms: number; readonly error: unknown }> {
  const since = clock.now();
  const outcome = running.stop({ timeoutMs }).then(
    () => undefined,
    (error: unknown) => error,
  );
  const error = await clock.runUntil(outcome);
  return { ms: clock.now() - since, error };
}

t.test("a stop aborts a restart whose new instance hangs, and stops the old one, in its time", async (t) => {
  for (const isDeaf of [false, true]) {
    const clock = new FakeClock();
    let starts = 0;
    const log: string[] = [];
    const db = resource("db", {
      startTimeoutMs: 60_000,
      start: async (_, { signal }) => {
        const no = ++starts;
        if (no > 1) await (isDeaf ? clock.sleep(30_000) : clock.sleep(3_600_000, signal));
        return no;
      },
      stop: (no) => void log.push(`-${no}`),
    });
    const running = await container([db], { clock }).start();
    const restarted = t.rejects(running.restart(db), { code: "RESTART_FAILED", message: /the container stops/ });
    await clock.advance(10);
    const { ms } = await stopped(clock, running, 1_500);
    t.ok(ms <= 1_500, `took ${ms} ms`);
    t.strictSame(log, ["-1"]);
    await clock.advance(60_000);
    await restarted;
    t.strictSame(log, isDeaf ? ["-1", "-2"] : ["-1"], "what arrives late is stopped then");
    t.equal(clock.holding, 0);
  }
});

t.test(
  "a stop does not wait for a restart that waits for a scope; the scope has its time, and all is stopped",
  async (t) => {
    const clock = new FakeClock();
    const log: string[] = [];
    let starts = 0;
    const db = resource("db", { start: () => ++starts, stop: (no) => void log.push(`-${no}`) });
    const view = resource("view", { lifetime: "request", needs: { db }, start: ({ db }) => db });
    const running = await container([view], { clock }).start();
    void running.scope([], { view }, never);
    const restarted = running.restart(db);
    await clock.settle();
    const { ms, error } = await stopped(clock, running, 2_000);
    t.ok(ms <= 2_000, `took ${ms} ms`);
    t.match(error, {
      code: "STOP_FAILED",
      message: /1 scopes were still open and were aborted; 1 of them did not end/,
    });
    t.strictSame(log.sort(), ["-1", "-2"]);
    await restarted;
  },
);

t.test("restarts that wait for their turn are refused when the container stops", async (t) => {
  const clock = new FakeClock();
  let starts = 0;
  const db = resource("db", {
    start: async (_, { signal }) => (++starts === 1 ? undefined : clock.sleep(60_000, signal)),
  });
  const running = await container([db], { clock }).start();
  const restarts = [1, 2, 3].map(() => t.rejects(running.restart(db), { code: "RESTART_FAILED" }));
  await clock.settle();
  await stopped(clock, running, 1_000);
  await Promise.all(restarts);
  t.equal(starts, 2);
});

t.test("scopes that hang end within the time of the stop", async (t) => {
  const clock = new FakeClock();
  const running = await container([], { clock }).start();
  void running.scope([], {}, never);
  const { ms, error } = await stopped(clock, running, 1_500);
  t.ok(ms <= 1_500, `took ${ms} ms`);
  t.match((error as Error).message, /^the container did not stop cleanly:\n {2}scopes in drain after/);
});

t.test("what a scope holds that its caller left open is released when the container stops", async (t) => {
  const clock = new FakeClock();
  const log: string[] = [];
  const db = resource("db", { start: () => 1, stop: () => void log.push("db") });
  const unit = resource("unit", {
    lifetime: "request",
    needs: { db },
    start: () => 1,
    stop: () => void log.push("unit"),
  });
  const running = await container([unit], { clock, drainTimeoutMs: 300 }).start();
  const scope = running.scope();
  await scope.get(unit);
  await t.rejects(clock.runUntil(running.stop()), { code: "STOP_FAILED" });
  t.strictSame(log, ["unit", "db"]);
  t.ok(scope.signal.aborted);
  await scope.close();
});

t.test("a value that arrives after its scope was closed is released", async (t) => {
  const clock = new FakeClock();
  const log: string[] = [];
  const slow = resource("slow", {
    lifetime: "request",
    start: async () => (await clock.sleep(50), 1),
    stop: () => void log.push("slow"),
  });
  const running = await container([slow], { clock }).start();
  const scope = running.scope();
  const asked = t.rejects(scope.get(slow), { code: "SCOPE_CLOSED" });
  await scope.close();
  await clock.advance(50);
  await asked;
  t.strictSame(log, ["slow"]);
  await clock.runUntil(running.stop());
});

t.test(
  "cleanups of sessions, cached instances and scopes that hang are named and take no more than the time",
  async (t) => {
    const clock = new FakeClock();
    const basket = resource("basket", { lifetime: "session", start: () => 1, stop: never });
    const model = resource("model", { start: () => 1, stop: never, stopTimeoutMs: 60_000 });
    const query = resource("query", {
      lifetime: "request",
      needs: { model: cached(model, { ttlMs: 1_000 }), basket },
      start: () => 1,
      stop: never,
    });
    const last = resource("last", { start: () => 1, stop: () => void log.push("last") });
    const log: string[] = [];
    const running = await container([query, last], { clock }).start();
    const scope = t.rejects(
      running.session("ann").scope([], { query }, () => 1),
      { code: "STOP_TIMEOUT", message: /^query: its cleanup did not end before the time for it was over/ },
    );
    await clock.settle();
    const { ms, error } = await stopped(clock, running, 2_000);
    t.ok(ms <= 2_000, `took ${ms} ms`);
    await scope;
    t.match(error, {
      code: "STOP_FAILED",
      message: /sessions and cached instances in stop after \d+ ms: they had not ended/,
    });
    t.strictSame(log, ["last"]);
  },
);

t.test("a chain of stops that hang ends in its time, and each of them was asked to stop", async (t) => {
  const clock = new FakeClock();
  const asked: string[] = [];
  const make = (name: string, needs = {}) =>
    resource(name, { needs, start: () => 1, stopTimeoutMs: 60_000, stop: () => (asked.push(name), never()) });
  const a = make("a");
  const b = make("b", { a });
  const c = make("c", { b });
  const d = make("d", { c });
  const running = await container([d], { clock }).start();
  const { ms, error } = await stopped(clock, running, 1_000);
  t.ok(ms <= 1_000, `took ${ms} ms`);
  t.match((error as Error).message, /^4 of 4 resources did not stop cleanly/);
  t.strictSame(asked, ["d", "c", "b", "a"]);
});

t.test("a second stop with less time makes the first one hurry", async (t) => {
  const clock = new FakeClock();
  const db = resource("db", { start: () => 1, stopTimeoutMs: 60_000, drain: never, drainTimeoutMs: 60_000 });
  const running = await container([db], { clock }).start();
  const first = running.stop();
  void first.catch(() => {});
  await clock.advance(100);
  const { ms } = await stopped(clock, running, 500);
  t.ok(ms <= 500, `took ${ms} ms`);
  await t.rejects(first, { code: "STOP_FAILED" });
});

t.test("a stop cuts short a drain that was asked for before", async (t) => {
  const clock = new FakeClock();
  const running = await container([], { clock }).start();
  void running.scope([], {}, never);
  void running.drain();
  await clock.advance(100);
  const { ms } = await stopped(clock, running, 600);
  t.ok(ms <= 600, `took ${ms} ms`);
});

t.test("a stop aborts probes that are in progress", async (t) => {
  const clock = new FakeClock();
  const d = resource("d", { start: () => 1, probe: never });
  const running = await container([d], { clock, health: { intervalMs: 100 } }).start();
  await clock.advance(150);
  const { ms } = await stopped(clock, running, 5_000);
  t.equal(ms, 0);
});

t.test("a lazy start in progress is finished for a scope in flight, and aborted once scopes have ended", async (t) => {
  const clock = new FakeClock();
  const log: string[] = [];
  const mailer = resource("mailer", {
    start: async (_, { signal }) => (await clock.sleep(100, signal), log.push("+mailer")),
    stop: () => void log.push("-mailer"),
  });
  const idle = resource("idle", { start: (_, { signal }) => clock.sleep(60_000, signal) });
  const user = resource("user", { needs: { mailer: lazy(mailer), idle: lazy(idle) }, start: (needs) => needs });
  const running = await container([user], { clock }).start();
  const { idle: startIdle } = running.get(user);
  const handled = running.scope([], { user }, async ({ user }) => {
    await clock.sleep(50);
    return user.mailer();
  });
  const given = t.rejects(startIdle(), { code: "START_FAILED", message: /the container stops/ });
  await clock.settle();
  const { ms, error } = await stopped(clock, running, 3_000);
  t.equal(error, undefined);
  t.equal(await handled, 1);
  t.equal(ms, 150);
  await given;
  t.strictSame(log, ["+mailer", "-mailer"]);
  await t.rejects(startIdle(), { code: "CONTAINER_CLOSED" });
});

t.test("SIGTERM during a restart that hangs still stops everything", async (t) => {
  const clock = new FakeClock();
  const process = new FakeProcess();
  const log: string[] = [];
  let starts = 0;
  const db = resource("db", {
    startTimeoutMs: 3_600_000,
    start: () => (++starts === 1 ? 1 : never()),
    stop: () => void log.push("db stopped"),
  });
  const code = runMain(container([db], { clock, startTimeoutMs: 3_600_000 }), {
    clock,
    process,
    onReady: (running) =>
      void running.restart(db).catch((error: unknown) => log.push((error as { code: string }).code)),
    onError: () => {},
  });
  await clock.advance(100);
  process.send("SIGTERM");
  await clock.advance(60_000);
  await code;
  t.strictSame(log, ["RESTART_FAILED", "db stopped"]);
  t.ok(!process.written.join().includes("SHUTDOWN_TIMEOUT"));
});
