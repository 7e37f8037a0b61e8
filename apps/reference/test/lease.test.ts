import t from "tap";
import { isStewardError } from "@steward/core";
import { FakeClock } from "@steward/testing";
import { Lease } from "../src/processing/lease.ts";

t.test("a lease ends by itself, unless it is extended", async (t) => {
  const clock = new FakeClock(1_000);
  const lease = new Lease("me", 300, clock, 1_000);
  await clock.advance(200);
  lease.extend(clock.now());
  await clock.advance(299);
  t.notOk(lease.signal.aborted);
  lease.check();
  await clock.advance(1);
  t.ok(lease.signal.aborted);
  t.throws(() => lease.check(), { code: "RESOURCE_UNAVAILABLE", message: /the lease has run out/ });
  lease.extend(clock.now());
  t.throws(() => lease.check(), "it does not come back");
});

t.test(
  "it counts from before the statement that took it, so it ends here before it ends in the database",
  async (t) => {
    const clock = new FakeClock(1_000);
    const slow = new Lease("me", 300, clock, 750);
    t.notOk(slow.signal.aborted);
    await clock.advance(50);
    t.ok(slow.signal.aborted);
    const tooSlow = new Lease("me", 300, clock, 700);
    t.throws(() => tooSlow.check(), { code: "RESOURCE_UNAVAILABLE" });
    const extended = new Lease("me", 300, clock, clock.now());
    extended.extend(clock.now() - 200);
    await clock.advance(299);
    extended.check();
    t.notOk(extended.signal.aborted, "an answer that comes late takes nothing away");
  },
);

t.test("a process that stood still finds its lease over before any timer tells", async (t) => {
  const still = { at: 0 };
  const never = { cancel: () => {} };
  const clock = {
    now: () => still.at,
    wallNow: () => still.at,
    setTimeout: () => never,
    sleep: () => Promise.resolve(),
  };
  const lease = new Lease("me", 300, clock, 0);
  still.at = 300;
  t.throws(() => lease.check(), { code: "RESOURCE_UNAVAILABLE" });
  t.ok(lease.signal.aborted);
});

t.test("one that is lost, or no longer needed, has no timer left", async (t) => {
  const clock = new FakeClock();
  const lost = new Lease("me", 300, clock, 0);
  const error = lost.lose("it has been taken");
  t.ok(isStewardError(error, "RESOURCE_UNAVAILABLE"));
  t.equal(lost.signal.reason, error);
  const ended = new Lease("me", 300, clock, 0);
  ended.end();
  await clock.advance(1_000);
  t.notOk(ended.signal.aborted);
});
