import t from "tap";
import { Guard, isStewardError, type Call } from "../src/index.ts";
import { FakeClock } from "../src/testing.ts";

t.test("acquireTimeoutMs bounds the wait until a call has what it waited for, and no longer", async (t) => {
  const clock = new FakeClock();
  const guard = new Guard({
    resource: "pool",
    clock,
    maxConcurrent: 1,
    maxPending: 2,
    acquireTimeoutMs: 100,
    timeoutMs: 1_000,
    holdUntilSettled: true,
  });
  let lease: Call | undefined;
  let release: (value: string) => void = () => {};
  const leased = guard.run((call) => {
    lease = call;
    return new Promise<string>((resolve) => (release = resolve));
  });
  lease?.acquired(Number.POSITIVE_INFINITY);
  const queued = guard.run(() => "never").catch((error: unknown) => error);
  await clock.advance(110);
  t.ok(isStewardError(await queued, "DEADLINE_EXCEEDED"), "in the queue it counts");
  await clock.advance(10_000);
  release("done");
  t.equal(await leased, "done", "a lease takes as long as it takes");

  const slow = guard.run(() => new Promise(() => {})).catch((error: unknown) => error);
  await clock.advance(110);
  t.ok(isStewardError(await slow, "DEADLINE_EXCEEDED"), "it counts while it still connects");
});

t.test("after acquired the total deadline counts, or the one that is given", async (t) => {
  const clock = new FakeClock();
  const guard = new Guard({ resource: "pool", clock, acquireTimeoutMs: 100, timeoutMs: 1_000 });
  const ends: [string, number][] = [];
  const run = (label: string, timeoutMs?: number): Promise<unknown> =>
    guard
      .run((call) => {
        call.acquired(timeoutMs);
        return new Promise(() => {});
      })
      .catch(() => ends.push([label, clock.now()]));
  const all = Promise.all([run("total"), run("own", 300)]);
  await clock.advance(2_000);
  await all;
  t.same(
    ends.map(([label, at]) => [label, Math.round(at / 100) * 100]),
    [
      ["own", 300],
      ["total", 1_000],
    ],
  );
});
