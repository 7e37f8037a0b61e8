import t from "tap";
import { isStewardError, systemClock } from "../src/index.ts";
import { FakeClock } from "../src/testing.ts";

t.test("time stands still until it is moved", async (t) => {
  const clock = new FakeClock(1_000);
  let rang = false;
  clock.setTimeout(() => (rang = true), 10);
  await clock.settle();
  t.equal(clock.now(), 1_000);
  t.notOk(rang);
  await clock.advance(9);
  t.notOk(rang);
  await clock.advance(1);
  t.ok(rang);
  t.equal(clock.now(), 1_010);
});

t.test("timers run in the order of their instants, equal ones in the order they were set", async (t) => {
  const clock = new FakeClock();
  const seen: string[] = [];
  const note = (name: string) => () => seen.push(`${name}@${clock.now()}`);
  clock.setTimeout(note("late"), 20);
  clock.setTimeout(note("first"), 10);
  clock.setTimeout(note("second"), 10);
  clock.setTimeout(note("now"), -5);
  await clock.advance(100);
  t.same(seen, ["now@0", "first@10", "second@10", "late@20"]);
  t.equal(clock.now(), 100);
});

t.test("what a timer sets off runs before the next timer", async (t) => {
  const clock = new FakeClock();
  const seen: string[] = [];
  const work = async (): Promise<void> => {
    await clock.sleep(10);
    seen.push("awake");
    for (let n = 0; n < 20; n += 1) await Promise.resolve();
    seen.push("twenty promises later");
    await clock.sleep(5);
    seen.push(`asleep again until ${clock.now()}`);
  };
  const done = work();
  clock.setTimeout(() => seen.push("the other timer"), 11);
  await clock.advance(15);
  await done;
  t.same(seen, ["awake", "twenty promises later", "the other timer", "asleep again until 15"]);
});

t.test("a cancelled timer and an aborted sleep keep no timer", async (t) => {
  const clock = new FakeClock();
  const timer = clock.setTimeout(() => t.fail("was cancelled"), 10);
  const abort = new AbortController();
  const sleeping = clock.sleep(50, abort.signal);
  t.equal(clock.pending, 2);
  timer.cancel();
  timer.cancel();
  abort.abort(new Error("enough"));
  await t.rejects(sleeping, { message: "enough" });
  t.equal(clock.pending, 0);
  await clock.advance(100);
});

t.test("timers that would not keep a process alive are pending but not holding", (t) => {
  const clock = new FakeClock();
  clock.setTimeout(() => {}, 10, { unref: true });
  const held = clock.setTimeout(() => {}, 10);
  t.same([clock.pending, clock.holding], [2, 1]);
  held.cancel();
  t.same([clock.pending, clock.holding], [1, 0]);
  t.end();
});

t.test("goes from timer to timer", async (t) => {
  const clock = new FakeClock();
  const seen: number[] = [];
  for (const at of [30, 10, 10]) clock.setTimeout(() => seen.push(at), at);
  t.equal(clock.nextAt, 10);
  t.equal(await clock.advanceToNext(), 10);
  t.same(seen, [10, 10]);
  t.equal(await clock.advanceToNext(), 20);
  t.equal(await clock.advanceToNext(), 0);
  t.equal(clock.nextAt, undefined);
});

t.test("runs until a promise settles, and returns how long that took in its own time", async (t) => {
  const clock = new FakeClock();
  const hour = async (): Promise<string> => {
    for (let minute = 0; minute < 60; minute += 1) await clock.sleep(60_000);
    return "done";
  };
  t.equal(await clock.runUntil(hour()), "done");
  t.equal(clock.now(), 3_600_000);
  await t.rejects(clock.runUntil(Promise.reject(new Error("no"))), { message: "no" });
});

t.test("says so when no timer could settle the promise", async (t) => {
  const clock = new FakeClock();
  const error: unknown = await clock.runUntil(new Promise(() => {})).catch((reason: unknown) => reason);
  t.ok(isStewardError(error, "CLOCK_STUCK"));
});

t.test("the time of day goes with time, and a step of it moves neither time nor timers", async (t) => {
  const clock = new FakeClock(1_000, Date.UTC(2030, 0, 1));
  let rang = false;
  clock.setTimeout(() => (rang = true), 60_000);
  await clock.advance(30_000);
  t.equal(new Date(clock.wallNow()).toISOString(), "2030-01-01T00:00:30.000Z");
  clock.stepWall(-3_600_000);
  await clock.settle();
  t.equal(new Date(clock.wallNow()).toISOString(), "2029-12-31T23:00:30.000Z");
  t.equal(clock.now(), 31_000);
  t.notOk(rang);
  await clock.advance(30_000);
  t.ok(rang);
  t.equal(new FakeClock(5).wallNow() - Date.now() < 60_000, true, "it begins at the real time of day");
  const before = Date.now();
  const read = systemClock.wallNow();
  t.ok(read >= before && read <= Date.now());
});
