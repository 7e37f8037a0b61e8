import { getEventListeners } from "node:events";
import { fresh, lazy, resource } from "@steward/core";
import { failure, FakeClock } from "@steward/testing";
import t from "tap";
import { container, type RunningContainer } from "../src/index.ts";

const never = (): Promise<never> => new Promise(() => {});

/** What fails to start after 100 ms. */
const bad = (clock: FakeClock) =>
  resource("bad", { start: () => clock.sleep(100).then(() => Promise.reject(new Error("bad"))) });

t.test("a start says how long it took, and its caller's signal counts no longer", async (t) => {
  const clock = new FakeClock(1_000);
  const { signal } = new AbortController();
  const db = resource("db", { start: () => clock.sleep(50) });
  const running = await clock.runUntil(container([db], { clock }).start([], { signal }));
  t.equal(running.startedInMs, 50);
  t.same(getEventListeners(signal, "abort"), []);
  await running.stop();
});

t.test("a start that failed has ended what lazy needs had started", async (t) => {
  const clock = new FakeClock();
  const log: string[] = [];
  const late = resource("late", {
    start: async () => {
      await clock.sleep(200);
      log.push("+late");
    },
    stop: () => void log.push("-late"),
  });
  const user = resource("user", { needs: { late: lazy(late) }, start: ({ late }) => late() });
  await t.rejects(clock.runUntil(container([user, bad(clock)], { clock }).start()), { code: "START_FAILED" });
  t.strictSame(log, ["+late", "-late"]);
});

t.test("after a start that failed, what ignores its abort starts nothing more by a lazy need", async (t) => {
  const clock = new FakeClock();
  const late = resource("late", { start: () => t.fail("it starts") });
  const user = resource("user", {
    needs: { late: lazy(late) },
    start: async ({ late }) => {
      await clock.sleep(500);
      return late();
    },
  });
  await t.rejects(clock.runUntil(container([user, bad(clock)], { clock }).start()), { code: "START_FAILED" });
  await clock.advance(10_000);
});

t.test(
  "what a failed start takes down has the stop timeout of the container, and what does not stop is named",
  async (t) => {
    const clock = new FakeClock();
    const log = resource("log", { start: () => 1 });
    const db = resource("db", { needs: { log }, start: () => 1, stop: never, stopTimeoutMs: 60_000 });
    const users = resource("users", {
      needs: { db },
      start: () => {
        throw new Error("no users");
      },
    });
    const failed = failure(container([users], { clock, stopTimeoutMs: 1_000 }).start());
    await clock.advance(1_100);
    t.match(await failed, {
      code: "START_FAILED",
      message: /\n {2}stopped again: log\n {2}failed to stop again: "db" \(db: the time for the stop is over/,
      rollbackFailures: [{ resource: "db", durationMs: 1_000, cause: { code: "STOP_TIMEOUT" } }],
    });
    await clock.advance(60_000);
  },
);

t.test("a stop of a container that is starting gives the start up, and a drain of it does nothing", async (t) => {
  for (const isDeaf of [false, true]) {
    const clock = new FakeClock();
    const log: string[] = [];
    const db = resource("db", {
      start: () => 1,
      drain: () => void log.push("drain"),
      stop: () => void log.push("-db"),
    });
    const slow = resource("slow", {
      startTimeoutMs: 60_000,
      start: (_, { signal }) => clock.sleep(10_000, isDeaf ? undefined : signal),
    });
    let starting: RunningContainer | undefined;
    const started = failure(container([db, slow], { clock }).start([], { onStarting: (one) => (starting = one) }));
    await clock.advance(100);
    await starting?.drain();
    t.equal(starting?.phase, "starting");
    await clock.runUntil(starting?.stop({ timeoutMs: 500 }) ?? never());
    t.equal(clock.now(), isDeaf ? 600 : 100, "it waits for the end of the start as long as it may");
    t.match(await clock.runUntil(started), { code: "START_FAILED", message: /a stop was asked for/ });
    t.equal(starting?.phase, "failed");
    await starting?.stop();
    t.strictSame(log, ["-db"]);
    await clock.advance(60_000);
    t.equal(clock.holding, 0);
  }
});

t.test("a drain that was asked for during the start keeps nothing from coming up", async (t) => {
  const clock = new FakeClock();
  const late = resource("late", { start: () => "late" });
  const db = resource("db", { needs: { late: lazy(late) }, start: ({ late }) => clock.sleep(100).then(late) });
  let drained: Promise<void> | undefined;
  const onStarting = (one: RunningContainer): void => void (drained = one.drain());
  const running = await clock.runUntil(container([db], { clock }).start([], { onStarting }));
  await drained;
  t.equal(running.phase, "ready");
  t.equal(await running.scope([], { db }, ({ db }) => db), "late");
  await running.stop();
});

t.test("a drain on its own ends in its time", async (t) => {
  const clock = new FakeClock();
  const db = resource("db", { start: () => 1, drain: never, drainTimeoutMs: 60_000 });
  const running = await container([db], { clock, drainTimeoutMs: 1_000 }).start();
  void running.scope([], {}, never);
  await clock.runUntil(running.drain());
  t.ok(clock.now() <= 3_000, `took ${clock.now()} ms`);
  t.equal(running.phase, "draining");
  await clock.runUntil(failure(running.stop()));
  await running.drain();
});

t.test("while a scope is drained, its work may open others", async (t) => {
  const clock = new FakeClock();
  const db = resource("db", { start: () => 1 });
  const running = await container([db], { clock }).start();
  const work = running.scope([], {}, async () => {
    await clock.sleep(100);
    t.equal(running.phase, "draining");
    return running.scope([], { db }, ({ db }) => db);
  });
  const stopped = running.stop();
  t.equal(await clock.runUntil(work), 1);
  await clock.runUntil(stopped);
});

t.test("once the scopes have ended none opens while the resources drain", async (t) => {
  const clock = new FakeClock();
  const db = resource("db", { start: () => 1, drain: () => clock.sleep(1_000) });
  const view = resource("view", { lifetime: "request", needs: { db }, start: ({ db }) => db });
  const running = await container([view], { clock }).start();
  const stopped = running.stop();
  await clock.advance(100);
  t.equal(running.phase, "draining");
  await t.rejects(
    running.scope([], { view }, () => 1),
    { code: "CONTAINER_CLOSED", message: /is draining/ },
  );
  await clock.runUntil(stopped);
});

t.test("the health of a container whose stop failed does not say that it did not start", async (t) => {
  const db = resource("db", {
    start: () => 1,
    stop: () => {
      throw new Error("stuck");
    },
  });
  const running = await container([db]).start();
  await t.rejects(running.stop(), { code: "STOP_FAILED" });
  t.equal(running.health().reason, undefined);
});

t.test("a fresh instance stops when its scope closes, not when the handler has settled", async (t) => {
  const log: string[] = [];
  const stamp = resource("stamp", { start: () => 1, stop: () => void log.push("-stamp") });
  const view = resource("view", { lifetime: "request", needs: { own: fresh(stamp) }, start: ({ own }) => own });
  await using running = await container([view]).start();
  const scope = running.scope();
  t.equal(await scope.get(view), 1);
  await scope.settle();
  t.strictSame(log, []);
  await scope.close();
  t.strictSame(log, ["-stamp"]);
});

t.test(
  "a scope keeps what was started lazily before it, and holds what it starts lazily after a restart",
  async (t) => {
    const clock = new FakeClock();
    const open = new Set<number>();
    let starts = 0;
    const db = resource("db", { start: () => (open.add(++starts), starts), stop: (no) => void open.delete(no) });
    const early = resource("early", { needs: { db }, start: ({ db }) => db });
    const late = resource("late", { needs: { db }, start: ({ db }) => db });
    const user = resource("user", { needs: { early: lazy(early) }, start: ({ early }) => early });
    const view = resource("view", {
      lifetime: "request",
      needs: { early: lazy(early), late: lazy(late) },
      start: (values) => values,
    });
    const running = await container([user, view], { clock, drainTimeoutMs: 1_000 }).start();
    await running.get(user)();
    const scope = running.scope();
    const { early: ofScope, late: anew } = await scope.get(view);
    const first = running.restart(db);
    await clock.settle();
    t.equal(running.get(db), 2);
    t.equal(await ofScope(), 1, "it was there when the scope opened");
    t.equal(await anew(), 2, "it started after the restart");
    await clock.runUntil(first);
    t.strictSame([...open], [2], "the scope had its time on the first");
    const second = running.restart(db);
    await scope.settle();
    await clock.advance(500);
    t.strictSame([...open], [2, 3], "it holds the second until it closes");
    await scope.close();
    await clock.settle();
    t.strictSame([...open], [3]);
    await second;
    await running.stop();
  },
);

t.test("a value of a session follows an override of what it is made from, and comes back with it", async (t) => {
  const db = resource("db", { start: () => "db" });
  const rate = resource("rate", { lifetime: "transient", needs: { db }, start: async ({ db }) => `rate of ${db}` });
  const basket = resource("basket", { lifetime: "session", needs: { rate }, start: ({ rate }) => ({ rate }) });
  await using running = await container([basket]).start();
  const session = running.session("ann");
  const before = await session.get(basket);
  const override = running.override(rate, "fixed" as never);
  t.equal((await session.get(basket)).rate, "fixed");
  override[Symbol.dispose]();
  t.equal(await session.get(basket), before);
  t.equal(before.rate, "rate of db");
});
