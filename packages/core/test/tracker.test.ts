import t from "tap";
import { HealthTracker } from "../src/container.ts";
import type { PassiveEvidence } from "../src/driver.ts";
import { FailureShare } from "../src/health/failure-share.ts";
import { callsOf, evidenceOf } from "../src/health/tracker.ts";
import { Guard, type GuardOptions } from "../src/index.ts";
import { FakeClock } from "../src/testing.ts";

const quiet: PassiveEvidence = { lastSuccessAt: 0, failingRatio: 0, degradedRatio: 0, reason: "", isSuspect: false };
const down: PassiveEvidence = { ...quiet, failingRatio: 1, reason: "down" };
const error = new Error("no answer");

function healthy(now = 0): HealthTracker {
  const tracker = new HealthTracker(now);
  tracker.started(now);
  return tracker;
}

/** Lets it fall and rise again by two probes, `restMs` apart from the next time. */
function flap(tracker: HealthTracker, times: number, restMs: number): void {
  for (let i = 0; i < times; i++) {
    tracker.observed(i * restMs, down);
    tracker.answered(i * restMs + 1);
    tracker.answered(i * restMs + 2);
  }
}

t.test("before anything is known it is suspect, and one answer or a start is enough", (t) => {
  const asked = new HealthTracker(7);
  t.strictSame(asked.health, { status: "unknown", since: 7, reason: "not asked yet", evidence: "none", failures: 0 });
  t.ok(asked.isSuspect);
  t.ok(asked.answered(9));
  t.strictSame(asked.health, { status: "healthy", since: 9, reason: "", evidence: "active", failures: 0 });
  t.notOk(asked.isSuspect);
  const started = healthy(3);
  t.match(started.health, { status: "healthy", since: 3, evidence: "active" });
  started.observed(4, down);
  started.started(5);
  t.equal(started.health.status, "unhealthy", "a start says nothing against what is known");
  t.end();
});

t.test("thresholds can be set, and undefined means the default", (t) => {
  const tracker = new HealthTracker(0, { unhealthyAfter: 1, healthyAfter: 1, flapThreshold: undefined });
  tracker.started(0);
  t.ok(tracker.failed(1, error));
  t.equal(tracker.health.failures, 1);
  t.ok(tracker.isSuspect);
  t.ok(tracker.answered(2));
  t.end();
});

t.test("answers have to follow one another to count, and so do failures", (t) => {
  const tracker = healthy();
  for (const at of [1, 2, 3]) tracker.failed(at, error);
  tracker.answered(4);
  tracker.failed(5, error);
  t.notOk(tracker.answered(6));
  t.equal(tracker.health.status, "unhealthy");
  t.ok(tracker.answered(7));
  t.end();
});

t.test("more failures of what has fallen change nothing", (t) => {
  const tracker = healthy();
  for (const at of [1, 2, 3]) tracker.failed(at, error);
  const { health } = tracker;
  t.notOk(tracker.failed(4, error));
  t.notOk(tracker.observed(5, down));
  t.equal(tracker.health, health);
  t.ok(Object.isFrozen(health));
  t.end();
});

t.test("real calls that succeed are an answer every 250 ms, after a fall that real calls have shown", (t) => {
  const tracker = healthy();
  tracker.observed(1_000, down);
  t.notOk(tracker.observed(2_000, { ...quiet, lastSuccessAt: 1_000 }), "that was before");
  t.notOk(tracker.observed(1_249, { ...quiet, lastSuccessAt: 1_200 }), "too soon");
  t.notOk(tracker.observed(1_250, { ...quiet, lastSuccessAt: 1_200 }), "the first answer");
  t.notOk(tracker.observed(1_400, { ...quiet, lastSuccessAt: 1_390 }), "too soon after it");
  t.notOk(tracker.observed(1_600, { ...quiet, lastSuccessAt: 1_240 }), "none since");
  t.ok(tracker.observed(1_600, { ...quiet, lastSuccessAt: 1_590 }), "the second");
  t.match(tracker.health, { status: "healthy", since: 1_600, reason: "" });
  t.end();
});

t.test("a fall that probes have shown needs probes to rise", (t) => {
  const tracker = healthy();
  for (const at of [1, 2, 3]) tracker.failed(at, error);
  for (let now = 1_000; now < 5_000; now += 500) tracker.observed(now, { ...quiet, lastSuccessAt: now });
  t.equal(tracker.health.status, "unhealthy");
  t.end();
});

t.test("what answers badly in part is degraded, and healthy once all of it answers well", (t) => {
  const tracker = healthy();
  t.ok(tracker.observed(1, { ...quiet, degradedRatio: 0.2, reason: "status 503" }));
  t.match(tracker.health, { status: "degraded", reason: "status 503", evidence: "passive" });
  t.notOk(tracker.isSuspect);
  t.notOk(tracker.observed(2, { ...quiet, failingRatio: 0.5, reason: "half is down" }));
  t.equal(tracker.health.status, "degraded");
  t.ok(tracker.observed(3, quiet));
  t.equal(tracker.health.status, "healthy");
  t.notOk(tracker.observed(4, quiet));
  t.end();
});

t.test("what was never healthy does not degrade, and real calls alone do not make it healthy", (t) => {
  const tracker = new HealthTracker(0);
  t.notOk(tracker.observed(1, { ...quiet, degradedRatio: 1 }));
  t.notOk(tracker.observed(2, quiet));
  t.equal(tracker.health.status, "unknown");
  t.end();
});

t.test("the third fall within a moment holds it at degraded for 5 s for each fall, and says for how long", (t) => {
  const tracker = healthy();
  flap(tracker, 2, 10);
  t.equal(tracker.health.status, "healthy", "two falls are no flapping");
  tracker.observed(100, down);
  tracker.answered(101);
  t.ok(tracker.answered(102));
  t.match(tracker.health, {
    status: "degraded",
    evidence: "damped",
    reason: "it recovered but keeps changing; healthy in 15 s if it stays so",
  });
  t.ok(tracker.isSuspect, "it is asked again soon");
  t.notOk(tracker.answered(15_099));
  t.equal(tracker.health.status, "degraded");
  t.ok(tracker.answered(15_100));
  t.match(tracker.health, { status: "healthy", evidence: "active" });
  t.end();
});

t.test("falls are forgotten by half a minute by minute", (t) => {
  const tracker = healthy();
  flap(tracker, 20, 120_000);
  t.equal(tracker.health.status, "healthy", "one every two minutes is none too many");
  const often = healthy();
  flap(often, 20, 20_000);
  t.equal(often.health.status, "degraded", "one every 20 s is");
  t.end();
});

t.test("it is held for five minutes at most", (t) => {
  const tracker = healthy();
  flap(tracker, 500, 3);
  const last = 499 * 3;
  t.match(tracker.health.reason, /healthy in 300 s/);
  tracker.answered(last + 299_999);
  t.equal(tracker.health.status, "degraded");
  tracker.answered(last + 300_000);
  t.equal(tracker.health.status, "healthy");
  t.end();
});

t.test("a share of failures says nothing below 20 calls in 10 s, and counts from one half on", (t) => {
  const share = new FailureShare();
  for (let i = 0; i < 9; i++) share.count(i, 100 + 10);
  t.notOk(share.counts(10), "9 of 9");
  t.notOk(share.count(10, 100 + 10 + 9), "10 of 19");
  for (let i = 0; i < 8; i++) t.notOk(share.count(10, 100 + 10 + 20), "less than half");
  t.notOk(share.count(10, 100 + 10 + 20), "19 of 39");
  t.ok(share.count(10, 100 + 10 + 20), "20 of 40, for what succeeded before the first does not count");
  t.end();
});

t.test("a share of failures counts for less than a second after the last that made it too large", (t) => {
  const share = new FailureShare();
  t.notOk(share.counts(0));
  for (let i = 0; i < 20; i++) share.count(1_000 + i, 0);
  t.ok(share.counts(2_018));
  t.notOk(share.counts(2_019));
  t.ok(share.count(11_000, 0), "10 s are not over");
  t.notOk(share.count(11_001, 0), "it began anew with this one");
  t.equal(share.countedAt, 11_001);
  t.end();
});

t.test("a share of failures that was forgotten begins anew", (t) => {
  const share = new FailureShare();
  for (let i = 0; i < 20; i++) share.count(1_000, 0);
  share.forget();
  t.notOk(share.counts(1_001));
  t.notOk(share.count(1_001, 0));
  t.end();
});

function guards(clock: FakeClock, count: number, options: Partial<GuardOptions> = {}): Guard[] {
  return Array.from({ length: count }, () => new Guard({ resource: "api", clock, ...options }));
}

async function failOn(guard: Guard | undefined, times: number): Promise<void> {
  for (let i = 0; i < times; i++) await guard?.run(() => Promise.reject(error)).catch(() => {});
}

t.test("of several guards the share that does not answer counts, of those used in the last minute", async (t) => {
  const clock = new FakeClock(1_000_000);
  const [first, second, third] = guards(clock, 4);
  const all = [first, second, third].filter((guard) => guard !== undefined);
  t.strictSame(evidenceOf([], 0), { ...quiet, lastSuccessAt: Number.NEGATIVE_INFINITY });
  await first?.run(() => 1);
  await failOn(second, 5);
  t.match(evidenceOf(all, clock.now()), {
    lastSuccessAt: 1_000_000,
    failingRatio: 0.5,
    degradedRatio: 0,
    reason: "5 calls in a row failed: no answer",
    isSuspect: true,
  });
  await clock.advance(60_000);
  t.equal(evidenceOf(all, clock.now()).failingRatio, 0.5);
  await clock.advance(1);
  t.equal(evidenceOf(all, clock.now()).failingRatio, 1, "the one that is well has not been used for a minute");
  t.equal(evidenceOf(all, clock.now()).lastSuccessAt, 1_000_000);
});

t.test("what does not answer is the reason before what answers badly, whichever came first", async (t) => {
  const clock = new FakeClock();
  const [failing, badly] = [guards(clock, 1)[0], guards(clock, 1, { judge: () => "degraded" })[0]];
  const well = guards(clock, 2);
  for (const guard of well) await guard.run(() => 1);
  await failOn(failing, 5);
  await failOn(badly, 5);
  const all = [failing, badly, ...well].filter((guard) => guard !== undefined);
  for (const order of [all, all.slice().reverse()])
    t.match(evidenceOf(order, 1), { failingRatio: 0.25, degradedRatio: 0.25, reason: /^5 calls in a row failed/ });
  t.match(evidenceOf(all.slice(1), 1).reason, /^it answers badly/);
});

t.test("numbers of several guards are their sums", async (t) => {
  const clock = new FakeClock();
  const [one, two] = guards(clock, 2, { maxConcurrent: 5 });
  t.equal(callsOf([]), undefined);
  if (one === undefined || two === undefined) return;
  t.match(callsOf([one]), { started: 0, meanMs: undefined, maxConcurrent: 5 });
  await clock.runUntil(Promise.all([one.run(() => clock.sleep(30)), one.run(() => clock.sleep(10))]));
  await clock.runUntil(two.run(() => clock.sleep(50)));
  await failOn(two, 1);
  void two.run(() => clock.sleep(1_000));
  t.strictSame(callsOf([one, two]), {
    started: 5,
    failed: 1,
    inUse: 1,
    peakInUse: 3,
    maxConcurrent: 10,
    meanMs: 22.5,
  });
  t.equal(callsOf([one, ...guards(clock, 1)])?.maxConcurrent, undefined, "one has no bound");
  await clock.advance(1_000);
});
