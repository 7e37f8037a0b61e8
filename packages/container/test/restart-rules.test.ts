import { lazy, resource, type StewardError } from "@steward/core";
import { FakeClock } from "@steward/testing";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import t from "tap";
import { container } from "../src/index.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const failureOf = (promise: Promise<unknown>): Promise<StewardError | undefined> =>
  promise.then(
    () => undefined,
    (error: unknown) => error as StewardError, // what restarts and stops reject with
  );

/** A resource of which there is one at a time, whose second start fails. */
function makePort() {
  let starts = 0;
  return resource("port", {
    restart: "stop-first",
    start: () => {
      if (++starts === 2) throw new Error("address in use");
      return starts;
    },
  });
}

t.test(
  "what a failed restart has left nothing of concerns only what needs it, and any restart makes it good",
  async (t) => {
    const port = makePort();
    const free = resource("free", { start: () => "free" });
    const user = resource("user", { needs: { free: lazy(free) }, start: ({ free }) => free });
    await using running = await container([user, port]).start();
    await t.rejects(running.restart(port), { code: "RESTART_FAILED" });
    t.equal(await running.get(user)(), "free", "a lazy start that does not need it goes on");
    await running.restart(user);
    t.equal(running.get(port), 3);
    t.equal(await running.scope([], { port }, ({ port }) => port), 3);
  },
);

t.test("a caller that has gone learns that there is none, and scopes why that is", async (t) => {
  const port = makePort();
  await using running = await container([port]).start();
  await t.rejects(running.restart(port), { code: "RESTART_FAILED" });
  const failure = await failureOf(running.restart(port, { signal: AbortSignal.abort() }));
  t.match(failure?.message, /its caller has gone; the old one had to stop first, so there is none until/);
  await new Promise((resolve) => setImmediate(resolve));
  await t.rejects(
    running.scope([], { port }, () => 1),
    { code: "RESTART_FAILED", message: /address in use/ },
  );
});

t.test("a lazy start in progress is finished before what it needs has to stop first", async (t) => {
  const clock = new FakeClock();
  const open = new Set<number>();
  let starts = 0;
  const port = resource("port", {
    restart: "stop-first",
    start: () => (open.add(++starts), starts),
    stop: (no) => void open.delete(no),
  });
  const late = resource("late", {
    needs: { port },
    start: async ({ port }) => {
      await clock.sleep(50);
      t.ok(open.has(port), `instance ${port} is up`);
      return port;
    },
  });
  const user = resource("user", { needs: { late: lazy(late) }, start: ({ late }) => late });
  const running = await container([user, port], { clock }).start();
  const used = running.get(user)();
  await clock.advance(10);
  await clock.runUntil(running.restart(port));
  t.equal(await used, 1);
  t.equal(await running.get(user)(), 2);
  await clock.runUntil(running.stop());
});

t.test(
  "a restart waits for a lazy start that it affects until its caller goes, or the start timeout is over",
  async (t) => {
    for (const restart of ["start-first", "stop-first"] as const) {
      const clock = new FakeClock();
      const db = resource("db", { restart, start: () => 1 });
      const late = resource("late", { needs: { db }, startTimeoutMs: 60_000, start: () => clock.sleep(30_000) });
      const user = resource("user", { needs: { late: lazy(late) }, start: ({ late }) => late });
      const running = await container([user, db], { clock, startTimeoutMs: 1_000 }).start();
      const used = failureOf(running.get(user)());
      await clock.advance(10);
      const hasty = failureOf(running.restart(db, { timeoutMs: 100 }));
      const patient = failureOf(running.restart(db));
      await clock.advance(100);
      t.match((await hasty)?.message, /"db" was not restarted: .*its caller's time is over; the old one stays in use$/);
      await clock.advance(1_000);
      t.match((await patient)?.message, /of what it affects has not ended within 1000 ms; the old one stays in use$/);
      t.equal(await running.scope([], { db }, ({ db }) => db), 1);
      await clock.advance(60_000);
      t.match(await used, { code: "START_FAILED" });
      await clock.runUntil(running.stop());
    }
  },
);

t.test("a restart drains those that hold the resource before the resource itself", async (t) => {
  const clock = new FakeClock();
  const log: string[] = [];
  const db = resource("db", { start: () => 1, drain: () => void log.push("db") });
  const users = resource("users", {
    needs: { db },
    start: () => 1,
    drain: async () => {
      await clock.sleep(100);
      log.push("users");
    },
  });
  const running = await container([db, users], { clock }).start();
  await clock.runUntil(running.restart(db));
  t.strictSame(log, ["users", "db"]);
  await clock.runUntil(running.stop());
});

t.test("a stop lets scopes finish on an instance whose restart has taken its place", async (t) => {
  const clock = new FakeClock();
  const open = new Set<number>();
  let starts = 0;
  const db = resource("db", { start: () => (open.add(++starts), starts), stop: (no) => void open.delete(no) });
  const running = await container([db], { clock }).start();
  const work = running.scope([], { db }, async ({ db }) => {
    await clock.sleep(500);
    return open.has(db);
  });
  const restarted = running.restart(db);
  await clock.advance(100);
  t.strictSame([...open], [1, 2]);
  const stopped = running.stop();
  t.equal(await clock.runUntil(work), true);
  await clock.runUntil(Promise.all([stopped, restarted]));
  t.equal(open.size, 0);
});

t.test(
  "a stop in the middle of a restart stops what is up and not in use yet, when the rest ignores its abort",
  async (t) => {
    const clock = new FakeClock();
    const log: string[] = [];
    let starts = 0;
    const db = resource("db", { start: () => ++starts, stop: (no) => void log.push(`-db ${no}`) });
    const users = resource("users", {
      needs: { db },
      startTimeoutMs: 60_000,
      start: async ({ db }) => (db === 1 ? db : clock.sleep(30_000)),
      stop: () => void log.push("-users"),
    });
    const running = await container([users], { clock, startTimeoutMs: 60_000 }).start();
    const restarted = failureOf(running.restart(db));
    await clock.advance(10);
    await clock.runUntil(failureOf(running.stop({ timeoutMs: 300 })));
    t.ok(clock.now() <= 310);
    t.ok(log.includes("-db 2"), log.join());
    await clock.advance(60_000);
    t.match(await restarted, { code: "RESTART_FAILED" });
  },
);

t.test("what fails to stop after a restart is reported by the stop of the container, once", async (t) => {
  for (const restart of ["start-first", "stop-first"] as const) {
    let starts = 0;
    const db = resource("db", {
      restart,
      start: () => ++starts,
      stop: (no) => {
        if (no === 1) throw new Error("db 1 does not stop");
      },
    });
    const basket = resource("basket", {
      lifetime: "session",
      needs: { db },
      start: ({ db }) => db,
      stop: () => {
        throw new Error("the basket does not empty");
      },
    });
    const running = await container([db, basket]).start();
    await running.session("ann").get(basket);
    await running.restart(db);
    const failure = (await failureOf(running.stop())) as StewardError & { readonly failures: readonly unknown[] };
    t.match(failure.failures, [
      { resource: "sessions", phase: "stop", cause: new Error("the basket does not empty") },
      { resource: "db", phase: "stop", cause: new Error("db 1 does not stop") },
    ]);
    t.equal(failure.failures.length, 2, restart);
  }
});

t.test(
  "a restart waits for what sessions release, and for what hangs there until the stop timeout is over",
  async (t) => {
    const clock = new FakeClock();
    const log: string[] = [];
    let starts = 0;
    const db = resource("db", { start: () => ++starts, stop: (no) => void log.push(`-${no} at ${clock.now()}`) });
    const basket = resource("basket", {
      lifetime: "session",
      needs: { db },
      start: ({ db }) => db,
      stop: async (no) => clock.sleep(no === 1 ? 100 : 100_000),
    });
    const running = await container([db, basket], { clock, stopTimeoutMs: 1_000 }).start();
    const session = running.session("ann");
    await session.get(basket);
    await clock.runUntil(running.restart(db));
    await session.get(basket);
    await clock.runUntil(running.restart(db));
    t.strictSame(log, ["-1 at 100", "-2 at 1100"]);
    const failure = await clock.runUntil(failureOf(running.stop()));
    t.match(failure?.message, /basket: its cleanup did not end before the time for it was over/);
  },
);

t.test("of what restarts failed to stop the last hundred are kept", async (t) => {
  let starts = 0;
  const db = resource("db", {
    start: () => ++starts,
    stop: (no) => {
      if (no <= 102) throw new Error(`no. ${no}`);
    },
  });
  const running = await container([db], { health: false }).start();
  for (let i = 0; i < 102; i++) await running.restart(db);
  const failure = await failureOf(running.stop());
  const numbers = [...String(failure?.message).matchAll(/no\. (\d+)/g)].map(([, no]) => Number(no));
  t.strictSame(
    numbers,
    Array.from({ length: 100 }, (_, i) => i + 3),
  );
});

t.test("what restarts have replaced is forgotten once it has stopped", async (t) => {
  for (const restart of ["start-first", "stop-first"] as const) {
    const made: WeakRef<object>[] = [];
    const make = (): object => {
      const value = {};
      made.push(new WeakRef(value));
      return value;
    };
    const db = resource("db", { restart, start: make });
    const users = resource("users", { needs: { db }, start: make });
    await using running = await container([users], { clock: new FakeClock() }).start();
    for (let i = 0; i < 20; i++) {
      const scope = running.scope(); // it holds the old ones for a while
      const restarted = running.restart(db);
      await new Promise((resolve) => setImmediate(resolve));
      await scope.close();
      await restarted;
    }
    for (let turn = 0; turn < 3; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
      collect();
    }
    const kept = made.filter((one) => one.deref() !== undefined).length;
    t.ok(kept < 10, `${restart}: ${kept} of ${made.length} are kept`); // V8 may see some on the stack still
  }
});

t.test("a restart refuses what is no definition and options that are wrong, before anything starts", async (t) => {
  let starts = 0;
  const db = resource("db", { start: () => ++starts });
  const running = await container([db]).start();
  const wrong: unknown[] = [{ signl: 1 }, { timeoutMs: Number.NaN }, { timeoutMs: -1 }, { timeoutMs: "40" }];
  for (const options of [...wrong, { signal: 5 }, null, 5])
    await t.rejects(running.restart(db, options as object), { code: "OPTIONS_INVALID", resource: "restart" });
  for (const value of [undefined, null, {}, 5, "db"])
    await t.rejects(running.restart(value as never), {
      code: "OPTIONS_INVALID",
      message: /restart.*a definition \(where it is undefined/,
    });
  t.throws(() => running.get(undefined as never), { code: "OPTIONS_INVALID", resource: "get" });
  await t.rejects(running.renew(undefined as never), { code: "OPTIONS_INVALID", resource: "renew" });
  t.throws(() => container([db], null as never), { code: "OPTIONS_INVALID" });
  t.equal(starts, 1);
  await running.stop();
});
