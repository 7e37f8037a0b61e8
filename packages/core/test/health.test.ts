import { FakeClock } from "../src/testing.ts";
import t from "tap";
import { HealthTracker, ProbeScheduler, type ProbeTarget } from "../src/container.ts";
import type { PassiveEvidence } from "../src/driver.ts";

const quiet: PassiveEvidence = {
  lastSuccessAt: 0,
  failingRatio: 0,
  degradedRatio: 0,
  reason: "",
  isSuspect: false,
};
const error = new Error("no answer");

t.test("a status falls after three failures in a row and rises after two answers", (t) => {
  const tracker = new HealthTracker(0);
  t.match(tracker.health, { status: "unknown", evidence: "none" });
  tracker.started(0);
  t.equal(tracker.health.status, "healthy");
  t.notOk(tracker.failed(1, error));
  t.ok(tracker.isSuspect);
  t.notOk(tracker.answered(2));
  t.notOk(tracker.failed(3, error));
  t.notOk(tracker.failed(4, error));
  t.ok(tracker.failed(5, error));
  t.match(tracker.health, {
    status: "unhealthy",
    since: 5,
    reason: /3 probes in a row failed: no answer/,
    evidence: "active",
  });
  t.notOk(tracker.answered(6));
  t.ok(tracker.answered(7));
  t.match(tracker.health, { status: "healthy", since: 7, reason: "" });
  t.end();
});

t.test("an open breaker is enough to fall; one of several degrades, and its closing heals", (t) => {
  const tracker = new HealthTracker(0);
  tracker.started(0);
  t.ok(tracker.observed(1, { ...quiet, failingRatio: 0.5, reason: "half" }));
  t.match(tracker.health, { status: "degraded", reason: "half", evidence: "passive" });
  t.ok(tracker.observed(2, quiet));
  t.equal(tracker.health.status, "healthy");
  t.ok(tracker.observed(3, { ...quiet, failingRatio: 1, reason: "5 failures in a row" }));
  t.match(tracker.health, { status: "unhealthy", reason: "5 failures in a row" });
  t.notOk(tracker.observed(4, quiet), "that it closed is not yet an answer");
  tracker.answered(5);
  t.ok(tracker.answered(6));
  t.equal(tracker.health.status, "healthy");
  t.end();
});

t.test("a resource that keeps changing is held at degraded for a while", (t) => {
  const tracker = new HealthTracker(0);
  tracker.started(0);
  for (let i = 0; i < 3; i++) {
    tracker.observed(i * 1_000, { ...quiet, failingRatio: 1, reason: "down" });
    tracker.answered(i * 1_000 + 100);
    tracker.answered(i * 1_000 + 200);
  }
  t.match(tracker.health, { status: "degraded", evidence: "damped", reason: /keeps changing/ });
  tracker.answered(2_000 + 14_000);
  t.equal(tracker.health.status, "degraded");
  tracker.answered(2_000 + 16_000);
  t.equal(tracker.health.status, "healthy");
  t.end();
});

/** A target that answers as a test says, and counts. */
class Target implements ProbeTarget {
  readonly name: string;
  probes = 0;
  atOnce = 0;
  results: unknown[] = [];
  lastSuccessAt = Number.NEGATIVE_INFINITY;
  isSuspect = false;
  answer: () => Promise<void> = () => Promise.resolve();
  constructor(name = "target") {
    this.name = name;
  }
  async probe(): Promise<void> {
    this.probes++;
    this.atOnce++;
    try {
      await this.answer();
    } finally {
      this.atOnce--;
    }
  }
  onProbe(result: unknown): void {
    this.results.push(result);
  }
}

t.test("targets are probed within their interval, spread, and not while real calls show enough", async (t) => {
  const clock = new FakeClock();
  const scheduler = new ProbeScheduler(clock);
  const targets = Array.from({ length: 20 }, (_, i) => new Target(`t${i}`));
  for (const target of targets) scheduler.add(target);
  await clock.advance(10_000);
  t.ok(targets.every((target) => target.probes >= 1));
  t.equal(clock.pending <= 2, true, "one timer, and a pulse while probes run");
  const busy = targets[0] as Target;
  const before = busy.probes;
  for (let i = 0; i < 60; i++) {
    busy.lastSuccessAt = clock.now();
    await clock.advance(1_000);
  }
  t.equal(busy.probes, before);
  t.ok((targets[1] as Target).probes >= 5);
  await scheduler.close();
  t.equal(clock.pending, 0);
});

t.test("a suspect target is probed within a second, then less and less often", async (t) => {
  const clock = new FakeClock();
  const scheduler = new ProbeScheduler(clock, {}, () => 0.5);
  const target = new Target();
  scheduler.add(target);
  await clock.advance(5_000);
  t.equal(target.probes, 1);
  target.isSuspect = true;
  scheduler.hurry(target);
  await clock.advance(100);
  t.equal(target.probes, 2);
  await clock.advance(1_001);
  t.equal(target.probes, 3);
  await clock.advance(1_501);
  t.equal(target.probes, 4);
  await scheduler.close();
});

t.test("one probe of a target at a time, and few at once in all", async (t) => {
  const clock = new FakeClock();
  const scheduler = new ProbeScheduler(clock, { intervalMs: 100, maxConcurrent: 3 });
  const targets = Array.from({ length: 10 }, () => new Target());
  let most = 0;
  for (const target of targets) {
    target.answer = async () => {
      most = Math.max(
        most,
        targets.reduce((sum, each) => sum + each.atOnce, 0),
      );
      await clock.sleep(500);
    };
    scheduler.add(target);
  }
  await clock.advance(10_000);
  t.equal(most, 3);
  t.ok(
    targets.every((target) => target.probes >= 2),
    "everyone has its turn",
  );
  const closing = scheduler.close();
  await clock.advance(1_000);
  await closing;
  t.equal(clock.pending, 0);
});

/** A clock that stands still for a while, as a blocked event loop makes it. */
class StallingClock extends FakeClock {
  late = 0;
  override now(): number {
    return super.now() + this.late;
  }
}

t.test("a probe that fails while the event loop stalled says nothing", async (t) => {
  const clock = new StallingClock();
  const scheduler = new ProbeScheduler(clock, { intervalMs: 1_000 }, () => 0.5);
  const target = new Target();
  let reject: (error: unknown) => void = () => {};
  target.answer = () => new Promise((_, no) => (reject = no));
  scheduler.add(target);
  await clock.advance(500);
  t.equal(target.probes, 1);
  clock.late += 600;
  reject(error);
  await clock.settle();
  t.strictSame(target.results, [], "inconclusive");
  await clock.advance(1_100);
  t.equal(target.probes, 2);
  reject(error);
  await clock.settle();
  t.strictSame(target.results, [error]);
  await scheduler.close();
});

t.test("an hour with 1 % random failures and stalls of the event loop flips nothing", async (t) => {
  let seed = 1;
  const random = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
  for (let run = 0; run < 20; run++) {
    const clock = new StallingClock();
    const scheduler = new ProbeScheduler(clock, {}, random);
    const tracker = new HealthTracker(0);
    tracker.started(0);
    let flips = 0;
    const target = new Target();
    target.answer = async () => {
      await clock.sleep(5);
      if (random() < 0.05) {
        clock.late += 600;
        throw new Error("timed out, for the event loop stood still");
      }
      if (random() < 0.01) throw new Error("random");
    };
    scheduler.add({
      name: "x",
      probe: () => target.probe(),
      lastSuccessAt: Number.NEGATIVE_INFINITY,
      get isSuspect() {
        return tracker.isSuspect;
      },
      onProbe: (result) => {
        if (result === undefined ? tracker.answered(clock.now()) : tracker.failed(clock.now(), result)) flips++;
      },
    });
    await clock.advance(3_600_000);
    t.equal(flips, 0, `seed ${run}`);
    await scheduler.close();
  }
});
