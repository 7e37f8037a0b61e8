import assert from "node:assert/strict";
import { FakeClock } from "../src/testing.ts";
import fc from "fast-check";
import t from "tap";
import { Breaker } from "../src/guard/breaker.ts";
import { LatencyHistory } from "../src/guard/latency.ts";
import { RetryPolicy } from "../src/guard/retry.ts";
import { RollingWindow } from "../src/guard/window.ts";
import { Guard, isStewardError } from "../src/index.ts";

const NEVER = Number.POSITIVE_INFINITY;

/** Lets `n` calls fail, one after another. */
function fail(breaker: Breaker, n: number, now = 0): void {
  for (let i = 0; i < n; i++) breaker.failed(breaker.admit(now), now);
}

t.test("it opens on failures in a row, and one success in between starts the count anew", (t) => {
  const breaker = new Breaker("db");
  fail(breaker, 4);
  breaker.succeeded(breaker.admit(0), 0, 1);
  fail(breaker, 4);
  t.equal(breaker.state, "closed");
  fail(breaker, 1);
  t.equal(breaker.state, "open");
  t.equal(breaker.admit(1), -1);
  const refusal = breaker.refusal(1);
  t.match(refusal, { code: "CIRCUIT_OPEN", resource: "db", retryable: true, message: /5 failures in a row/ });
  t.ok((refusal.retryAfterMs ?? 0) >= 119 && (refusal.retryAfterMs ?? 0) <= 180, "as long as it stays open");
  t.end();
});

t.test("it opens on a share of failures, once there are enough calls to speak of a share", (t) => {
  const breaker = new Breaker("db", { consecutiveFailures: 1_000 });
  for (let i = 0; i < 9; i++) {
    fail(breaker, 1);
    breaker.succeeded(breaker.admit(0), 0, 1);
  }
  t.equal(breaker.state, "closed", "18 calls are too few");
  fail(breaker, 2);
  t.equal(breaker.state, "open");
  const old = new Breaker("db", { consecutiveFailures: 1_000 });
  fail(old, 19);
  fail(old, 1, 20_000);
  t.equal(old.state, "closed", "what lies behind the window does not count");
  t.end();
});

t.test("it opens on a share of slow calls where slow is defined", (t) => {
  const breaker = new Breaker("db", { slowCallMs: 100 });
  for (let i = 0; i < 20; i++) breaker.succeeded(breaker.admit(0), 0, 101);
  t.equal(breaker.state, "open");
  t.match(breaker.reason, /20 of 20 calls were slow/);
  t.end();
});

t.test("one call at a time tries after the break; its success begins a ramp, and the ramp ends closed", (t) => {
  const breaker = new Breaker("db", { breakDurationMs: 100, rampMs: 1_000, rampConcurrency: 4 });
  fail(breaker, 5);
  t.equal(breaker.admit(70), -1, "still open");
  const trial = breaker.admit(130);
  t.ok(trial >= 0);
  t.equal(breaker.state, "half-open");
  t.equal(breaker.admit(130), -1, "nobody else meanwhile");
  breaker.succeeded(trial, 140, 10);
  t.equal(breaker.state, "ramp");
  const both = [breaker.admit(141), breaker.admit(141)];
  t.ok(both.every((ticket) => ticket >= 0));
  t.equal(breaker.admit(141), -1);
  for (const ticket of both) breaker.succeeded(ticket, 150, 9);
  const four = [1, 2, 3, 4].map(() => breaker.admit(151));
  t.ok(four.every((ticket) => ticket >= 0));
  t.equal(breaker.admit(151), -1, "never more than the bound");
  t.ok(breaker.admit(1_141) >= 0);
  t.equal(breaker.state, "closed");
  t.end();
});

t.test("a failed trial opens it again, and results of an earlier generation are ignored", (t) => {
  const breaker = new Breaker("db", { breakDurationMs: 100 });
  const early = breaker.admit(0);
  const other = breaker.admit(0);
  fail(breaker, 5);
  breaker.succeeded(early, 10, 10);
  t.equal(breaker.state, "open", "a success from before says nothing about now");
  const trial = breaker.admit(130);
  breaker.failed(other, 131);
  breaker.succeeded(early, 132, 132);
  t.equal(breaker.state, "half-open", "only the one that tries says how it is now");
  breaker.failed(trial, 140);
  t.equal(breaker.state, "open");
  t.equal(breaker.stats().opened, 2);
  const next = breaker.admit(280);
  breaker.ignored(next);
  t.ok(breaker.admit(281) >= 0, "an aborted trial gives its place to the next");
  t.end();
});

t.test("isolation refuses everything until the last who asked for it lets go", (t) => {
  const breaker = new Breaker("db");
  const [first, second] = [breaker.isolate(), breaker.isolate()];
  t.equal(breaker.state, "isolated");
  first();
  first();
  t.equal(breaker.admit(0), -1);
  t.match(breaker.refusal(0), { message: /isolated by hand/ });
  second();
  t.ok(breaker.admit(0) >= 0);
  t.end();
});

t.test("a reset closes it and forgets what was counted; who isolated it still has to let go", (t) => {
  const breaker = new Breaker("db");
  fail(breaker, 5);
  const release = breaker.isolate();
  breaker.reset();
  t.equal(breaker.state, "isolated");
  release();
  t.match(breaker.stats(), { state: "closed", consecutiveFailures: 0 });
  const share = new Breaker("db", { consecutiveFailures: 1_000 });
  fail(share, 19);
  const early = share.admit(0);
  share.reset();
  share.failed(early, 0);
  fail(share, 19);
  t.equal(share.state, "closed", "neither the share from before counts, nor a call from before");
  t.end();
});

t.test("an answer by other means lets one call try at once", (t) => {
  const breaker = new Breaker("db", { breakDurationMs: 60_000 });
  fail(breaker, 5);
  breaker.tryNow();
  t.ok(breaker.admit(1) >= 0);
  t.equal(breaker.admit(1), -1);
  t.end();
});

interface Outage {
  /** When the first call was refused, in ms from the begin of the hang. */
  detectedMs: number;
  hung: number;
  recoveredMs: number;
  mostAtOnce: number;
}

/** 100 calls a second with a timeout of 1 s against a dependency that answers in `latency()` ms and hangs from `from` to `to`. */
async function drive(
  guard: Guard,
  clock: FakeClock,
  endMs: number,
  hang: { readonly from: number; readonly to: number },
  latency: () => number,
): Promise<Outage> {
  const outage: Outage = { detectedMs: NEVER, hung: 0, recoveredMs: NEVER, mostAtOnce: 0 };
  const start = clock.now();
  for (let at = 0; at < endMs; at += 10) {
    const now = clock.now() - start;
    void guard
      .run(async (call) => {
        const hangs = clock.now() - start >= hang.from && clock.now() - start < hang.to;
        if (hangs) outage.hung++;
        else if (now >= hang.to && guard.breaker?.state !== "closed")
          outage.mostAtOnce = Math.max(outage.mostAtOnce, guard.stats().inUse);
        await (hangs
          ? new Promise((_, reject) => call.signal.addEventListener("abort", reject))
          : clock.sleep(latency()));
      })
      .then(
        () => now >= hang.to && (outage.recoveredMs = Math.min(outage.recoveredMs, clock.now() - start - hang.to)),
        (error: unknown) =>
          isStewardError(error, "CIRCUIT_OPEN") &&
          now >= hang.from &&
          (outage.detectedMs = Math.min(outage.detectedMs, now - hang.from)),
      );
    await clock.advance(10);
  }
  return outage;
}

t.test(
  "a dependency that hangs is detected by the age of calls where latencies are known, and by timeouts where not",
  async (t) => {
    const clock = new FakeClock();
    const known = new Guard({ resource: "api", clock, timeoutMs: 1_000, breaker: {} });
    const latency = (): number => 5 + Math.random() * 15;
    const warm = await drive(known, clock, 55_000, { from: 30_000, to: 40_000 }, latency);
    t.ok(warm.detectedMs <= 550, `detected after ${warm.detectedMs} ms`);
    t.ok(warm.hung <= 60, `${warm.hung} calls hung`);
    t.ok(warm.recoveredMs <= 1_200, `recovered ${warm.recoveredMs} ms after it healed`);
    t.ok(warm.mostAtOnce <= 10, `${warm.mostAtOnce} at once in the ramp`);
    const cold = await drive(
      new Guard({ resource: "api", clock, timeoutMs: 1_000, breaker: {} }),
      clock,
      15_000,
      { from: 0, to: 10_000 },
      latency,
    );
    t.ok(cold.hung <= 120, `${cold.hung} calls hung`);
    t.ok(cold.detectedMs <= 1_100, `detected after ${cold.detectedMs} ms`);
    t.ok(cold.recoveredMs <= 1_200, `recovered ${cold.recoveredMs} ms after it healed`);
  },
);

t.test("a dependency with 5 % legitimate slow calls does not trip it in ten minutes", async (t) => {
  const clock = new FakeClock();
  const guard = new Guard({ resource: "api", clock, timeoutMs: 1_000, breaker: {} });
  await drive(guard, clock, 600_000, { from: NEVER, to: NEVER }, () => (Math.random() < 0.05 ? 800 : 20));
  t.equal(guard.breaker?.stats().opened, 0);
});

/** A clock that stands still for a while, as a blocked event loop makes it: everything is late, answers come after timers. */
class StallingClock extends FakeClock {
  late = 0;
  override now(): number {
    return super.now() + this.late;
  }
}

t.test(
  "an event loop that stood still speaks against nobody: answers that came meanwhile are read first",
  async (t) => {
    const clock = new StallingClock();
    const guard = new Guard({ resource: "api", clock, timeoutMs: 1_000, breaker: {} });
    const codes = new Set<string>();
    for (const stallMs of [600, 1_500]) {
      for (let at = 0; at < 5_000; at += 10) {
        void guard
          .run(() => clock.sleep(25))
          .then(
            () => codes.add("ok"),
            (error: unknown) => codes.add(isStewardError(error) ? error.code : "failed"),
          );
        await clock.advance(10);
      }
      clock.late += stallMs;
    }
    t.strictSame([...codes], ["ok"]);
    t.equal(guard.breaker?.stats().opened, 0);
  },
);

t.test("a deadline that passed while the event loop stood still gives answers one turn to be read", async (t) => {
  const clock = new StallingClock();
  const guard = new Guard({ resource: "api", clock, timeoutMs: 1_000 });
  const answers: ((value: string) => void)[] = [];
  const calls = ["read late", "never comes"].map(() =>
    guard
      .run(() => new Promise<string>((resolve) => answers.push(resolve)))
      .catch((error: unknown) => (isStewardError(error) ? error.code : error)),
  );
  await clock.advance(999);
  clock.late = 600;
  await clock.advance(1);
  answers[0]?.("in time");
  await clock.advance(10);
  t.strictSame(await Promise.all(calls), ["in time", "DEADLINE_EXCEEDED"]);
});

t.test("an event loop that stands still again and again gives that one turn only", async (t) => {
  const clock = new StallingClock();
  const guard = new Guard({ resource: "api", clock, timeoutMs: 1_000 });
  let code: unknown;
  guard.run(() => new Promise(() => {})).catch((error: unknown) => (code = isStewardError(error) && error.code));
  await clock.advance(999);
  for (let turn = 0; turn < 2; turn++) {
    clock.late += 600;
    await clock.advance(1);
  }
  t.equal(code, "DEADLINE_EXCEEDED");
});

t.test("a refused connection is detected at once, and those who wait in the queue learn it then", async (t) => {
  const clock = new FakeClock();
  const guard = new Guard({ resource: "db", clock, breaker: {}, maxConcurrent: 1, maxPending: 100, timeoutMs: 1_000 });
  const calls = Array.from({ length: 50 }, () =>
    guard
      .run(() => clock.sleep(1).then(() => Promise.reject(new Error("ECONNREFUSED"))))
      .then(
        () => "ok",
        (error: unknown) => (isStewardError(error) ? error.code : "refused"),
      ),
  );
  const results = await clock.runUntil(Promise.all(calls));
  t.equal(results.filter((result) => result === "refused").length, 5);
  t.equal(results.filter((result) => result === "CIRCUIT_OPEN").length, 45);
  t.ok(clock.now() <= 100);
});

t.test("whatever happens to it, at most one call is in flight half-open, and few in the ramp", async () => {
  const steps = fc.array(
    fc.record({
      kind: fc.constantFrom("admit", "succeed", "fail", "ignore", "wait"),
      at: fc.nat(),
      ms: fc.integer({ min: 1, max: 300 }),
    }),
    { maxLength: 200, size: "max" },
  );
  fc.assert(
    fc.property(steps, (commands) => {
      const breaker = new Breaker("db", { rampConcurrency: 4, consecutiveFailures: 2 });
      let now = 0;
      const open: { ticket: number; state: string }[] = [];
      for (const { kind, at, ms } of commands) {
        if (kind === "wait") now += ms;
        else if (kind === "admit") {
          const ticket = breaker.admit(now);
          if (ticket >= 0) open.push({ ticket, state: breaker.state });
        } else if (open.length > 0) {
          const [call] = open.splice(at % open.length, 1);
          if (call === undefined) continue;
          if (kind === "succeed") breaker.succeeded(call.ticket, now, 1);
          else if (kind === "fail") breaker.failed(call.ticket, now);
          else breaker.ignored(call.ticket);
        }
        const current = open.filter(
          (call) => call.state === breaker.state && (call.state === "half-open" || call.state === "ramp"),
        );
        const latest = Math.max(...current.map((call) => call.ticket));
        const atOnce = current.filter((call) => call.ticket === latest).length;
        assert.ok(atOnce <= (breaker.state === "half-open" ? 1 : 4), `${atOnce} at once while ${breaker.state}`);
      }
    }),
    { numRuns: 500 },
  );
});

t.test("the rolling window counts as a list of timestamps would", async () => {
  const events = fc.array(
    fc.record({ gap: fc.integer({ min: 0, max: 3_000 }), failed: fc.boolean(), slow: fc.boolean() }),
    { maxLength: 100, size: "max" },
  );
  fc.assert(
    fc.property(events, (list) => {
      const window = new RollingWindow(10_000);
      const all: { slot: number; failed: boolean; slow: boolean }[] = [];
      let now = 0;
      for (const { gap, failed, slow } of list) {
        now += gap;
        window.record(now, failed, slow);
        all.push({ slot: Math.floor(now / 1_000), failed, slow });
        const inside = all.filter((event) => event.slot > Math.floor(now / 1_000) - 10);
        assert.equal(window.total, inside.length);
        assert.equal(window.failed, inside.filter((e) => e.failed).length);
        assert.equal(window.slow, inside.filter((e) => e.slow).length);
      }
    }),
  );
});

t.test("a quantile of latencies is at most a quarter too high and never too low, and forgets what is old", async () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0.01, max: 60_000, noNaN: true }), { minLength: 100, maxLength: 400, size: "max" }),
      fc.double({ min: 0, max: 0.99, noNaN: true }),
      (latencies, q) => {
        const history = new LatencyHistory();
        for (const latency of latencies) history.record(latency, 0);
        const sorted = latencies.slice().sort((a, b) => a - b);
        const exact = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;
        const found = history.quantile(q) ?? -1;
        assert.ok(found >= exact * 0.999 && found <= exact * 1.26 + 0.01, `${found} for ${exact}`);
      },
    ),
  );
  const history = new LatencyHistory();
  for (let i = 0; i < 99; i++) history.record(1, 0);
  assert.equal(history.quantile(0.5), undefined, "99 samples are too few");
  for (let i = 0; i < 200; i++) history.record(1_000, 1);
  for (let i = 0; i < 200; i++) history.record(10, 70_000);
  assert.ok((history.quantile(0.9) ?? 0) < 20);
});

t.test("delays between attempts grow to their ceiling with full jitter", (t) => {
  const policy = new RetryPolicy({ maxAttempts: 10, baseDelayMs: 100, maxDelayMs: 500 }, () => 0.999_999);
  t.strictSame(
    [1, 2, 3, 4].map((attempt) => Math.round(policy.next(attempt) ?? -1)),
    [100, 200, 400, 500],
  );
  t.equal(policy.next(10), undefined, "that was the last");
  const none = new RetryPolicy({}, () => 0);
  t.equal(none.next(1), 0);
  t.end();
});
