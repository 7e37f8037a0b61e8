import t from "tap";
import { Guard } from "../src/index.ts";
import { FakeClock } from "../src/testing.ts";

function paused(maxPending: number, clock: FakeClock = new FakeClock()): Guard {
  const guard = new Guard({ resource: "r", clock, maxPending, timeoutMs: 50 });
  guard.pause();
  return guard;
}

t.test("a paused guard begins nothing, and what waited begins in its order once it resumes", async (t) => {
  const guard = paused(2);
  const begun: number[] = [];
  const calls = [1, 2].map((n) => guard.run(() => begun.push(n)));
  await Promise.resolve();
  t.same(begun, []);
  t.equal(guard.stats().pending, 2);
  guard.resume();
  await Promise.all(calls);
  t.same(begun, [1, 2]);
  t.equal(await guard.run(() => "at once"), "at once");
});

t.test("a call that waits in a paused guard keeps its deadline, and the queue its bound", async (t) => {
  const clock = new FakeClock();
  const guard = paused(1, clock);
  const waiting = guard.run(() => "never");
  await t.rejects(
    guard.run(() => "one too many"),
    { code: "OVERLOADED" },
  );
  void clock.advance(60);
  await t.rejects(waiting, { code: "DEADLINE_EXCEEDED", retryable: true });
  t.equal(guard.stats().started, 0);
});

t.test("a pause in the middle of resuming keeps the rest in the queue", async (t) => {
  const guard = paused(3);
  const first = guard.run(() => guard.pause());
  const second = guard.run(() => "second").catch((error: unknown) => error);
  guard.resume();
  await first;
  t.equal(guard.stats().pending, 1);
  guard.resume();
  t.equal(await second, "second");
});
