import { resource, type StewardError } from "@steward/core";
import { FakeClock } from "@steward/testing";
import t from "tap";
import { container } from "../src/index.ts";

const failureOf = (promise: Promise<unknown>): Promise<StewardError | undefined> =>
  promise.then(
    () => undefined,
    (error: unknown) => error as StewardError, // what restarts reject with
  );

function makeDb(clock: FakeClock, log: string[], restart: "stop-first" | "start-first") {
  let starts = 0;
  return resource("db", {
    restart,
    start: async () => {
      await clock.sleep(100);
      log.push(`+${++starts}`);
      return { no: starts };
    },
    drain: ({ no }) => void log.push(`drain ${no}`),
    stop: async ({ no }) => {
      await clock.sleep(1_000);
      log.push(`-${no}`);
    },
  });
}

/** A container with one resource that takes 100 ms to start and a second to stop. */
async function stage(restart: "stop-first" | "start-first") {
  const clock = new FakeClock();
  const log: string[] = [];
  const db = makeDb(clock, log, restart);
  const running = await clock.runUntil(container([db], { clock }).start());
  log.length = 0;
  return { clock, log, running, db };
}

t.test("a restart drains the old instance, stops it, and starts none twice", async (t) => {
  for (const [restart, steps] of [
    ["stop-first", ["drain 1", "-1", "+2"]],
    ["start-first", ["+2", "drain 1", "-1"]],
  ] as const) {
    const { clock, log, running, db } = await stage(restart);
    await clock.runUntil(running.restart(db));
    t.strictSame(log, steps);
    t.equal(running.get(db).no, 2);
    await clock.runUntil(running.stop());
    t.equal(log.filter((step) => step === "-1").length, 1);
    t.equal(log.at(-1), "-2");
  }
});

t.test("a caller that goes while the old instance stops is told that the restart goes on, and it does", async (t) => {
  const { clock, running, db } = await stage("stop-first");
  const abort = new AbortController();
  const failure = failureOf(running.restart(db, { signal: abort.signal }));
  await clock.advance(500);
  abort.abort();
  t.match(await failure, { code: "RESTART_FAILED", resource: "db", retryable: true, message: /; it goes on$/ });
  await clock.advance(700);
  t.equal(running.get(db).no, 2);
  await clock.runUntil(running.stop());
});

t.test("a caller that goes while its restart waits for another has changed nothing", async (t) => {
  const { clock, log, running, db } = await stage("start-first");
  const first = running.restart(db);
  const abort = new AbortController();
  const second = failureOf(running.restart(db, { signal: abort.signal }));
  await clock.advance(50);
  abort.abort();
  t.match(await second, { code: "RESTART_FAILED", message: /"db" was not restarted: .*; the old one stays in use$/ });
  await clock.runUntil(first);
  await clock.advance(10_000);
  t.strictSame(
    log.filter((step) => step.startsWith("+")),
    ["+2"],
  );
  await clock.runUntil(running.stop());
});

t.test("a caller that goes once the new instance is in use learns of no failure", async (t) => {
  const { clock, running, db } = await stage("start-first");
  const abort = new AbortController();
  const failure = failureOf(running.restart(db, { signal: abort.signal }));
  await clock.advance(500);
  t.equal(running.get(db).no, 2);
  abort.abort();
  t.equal(await failure, undefined, "only the old one has to stop");
  await clock.runUntil(running.stop());
});

t.test("a caller has as long as it says", async (t) => {
  const { clock, running, db } = await stage("stop-first");
  const failure = failureOf(running.restart(db, { timeoutMs: 300 }));
  await clock.advance(300);
  t.match(await failure, { code: "RESTART_FAILED", message: /the restart of "db": its caller's time is over/ });
  await clock.advance(2_000);
  await clock.runUntil(running.stop());
});

t.test("what has to stop first waits for the scopes that use it, and later scopes wait for what comes", async (t) => {
  const { clock, log, running, db } = await stage("stop-first");
  let end: () => void = () => {};
  const before = running.scope([], { db }, async ({ db }) => {
    await new Promise<void>((resolve) => (end = resolve));
    return db.no;
  });
  const restarted = running.restart(db);
  await clock.advance(3_000);
  t.strictSame(log, [], "it is in use");
  const after = running.scope([], { db }, ({ db }) => db.no);
  end();
  t.equal(await before, 1);
  t.equal(await clock.runUntil(after), 2);
  await clock.runUntil(restarted);
  t.strictSame(log, ["drain 1", "-1", "+2"]);
  await clock.runUntil(running.stop());
});

t.test("a caller that goes while what has to stop first waits for scopes has changed nothing", async (t) => {
  const { clock, log, running, db } = await stage("stop-first");
  let end: () => void = () => {};
  const before = running.scope([], { db }, () => new Promise<void>((resolve) => (end = resolve)));
  const failure = failureOf(running.restart(db, { timeoutMs: 300 }));
  await clock.advance(1_000);
  t.match(await failure, { code: "RESTART_FAILED", message: /; the old one stays in use$/ });
  t.equal(await running.scope([], { db }, ({ db }) => db.no), 1);
  end();
  await before;
  await clock.advance(10_000);
  t.strictSame(log, []);
  await clock.runUntil(running.stop());
});

t.test(
  "a container that stops opens no scope, says in which phase it is, and that trying elsewhere helps",
  async (t) => {
    const { clock, running, db } = await stage("start-first");
    const stopping = running.stop();
    await clock.advance(500);
    const refused = failureOf(Promise.resolve().then(() => running.scope([], { db }, () => 1)));
    t.match(await refused, {
      code: "CONTAINER_CLOSED",
      retryable: true,
      message: /^no scope can open: the container is /,
    });
    await clock.runUntil(stopping);
    t.equal(running.stop() instanceof Promise, true);
    await running.stop();
  },
);

t.test("whenever a caller goes, what it learns is what is in use", async (t) => {
  for (const restart of ["start-first", "stop-first"] as const)
    for (let turns = 0; turns < 60; turns++) {
      const abort = new AbortController();
      let starts = 0;
      const goLater = async () => {
        for (let i = 0; i < turns; i++) await undefined;
        abort.abort();
      };
      const db = resource("db", {
        restart,
        start: () => {
          if (++starts === 2) void goLater();
          return { no: starts };
        },
      });
      const running = await container([db], { clock: new FakeClock() }).start();
      const failure = await failureOf(running.restart(db, { signal: abort.signal }));
      const says = failure?.message.split("; ").at(-1);
      await new Promise((resolve) => setImmediate(resolve));
      const { no } = running.get(db);
      t.equal(
        no === 1,
        says === "the old one stays in use",
        `${restart}, ${turns} turns: ${says}, and ${no} is in use`,
      );
      await running.stop();
    }
});
