import t from "tap";
import { ProbeScheduler, type ProbeTarget } from "../src/container.ts";
import { currentContext, runWithContext } from "../src/index.ts";
import { FakeClock } from "../src/testing.ts";

/** A target that notes when it was probed and what became of it. */
class Target implements ProbeTarget {
  readonly name = "target";
  readonly intervalMs: number | undefined;
  readonly at: number[] = [];
  readonly results: unknown[] = [];
  lastSuccessAt = Number.NEGATIVE_INFINITY;
  isSuspect = false;
  signal: AbortSignal | undefined;
  answer: () => Promise<void> = () => Promise.resolve();
  readonly #clock: FakeClock;

  constructor(clock: FakeClock, intervalMs?: number) {
    this.#clock = clock;
    this.intervalMs = intervalMs;
  }

  probe(signal: AbortSignal): Promise<void> {
    this.at.push(Math.round(this.#clock.now()));
    this.signal = signal;
    return this.answer();
  }

  onProbe(error: unknown): void {
    this.results.push(error);
  }
}

function probing(random: number, intervalMs?: number): { clock: FakeClock; probes: ProbeScheduler; target: Target } {
  const clock = new FakeClock();
  const probes = new ProbeScheduler(clock, {}, () => random);
  const target = new Target(clock, intervalMs);
  return { clock, probes, target };
}

t.test("what is well is probed every 10 s, varied by a fifth, first within its interval", async (t) => {
  for (const [random, instants] of [
    [0, [0, 8_000, 16_000, 24_000]],
    [0.5, [5_000, 15_000, 25_000]],
    [1, [10_000, 22_000]],
  ] as const) {
    const { clock, probes, target } = probing(random);
    probes.add(target);
    await clock.advance(30_000);
    t.strictSame(target.at, instants);
    t.strictSame(
      target.results,
      instants.map(() => undefined),
    );
    await probes.close();
  }
});

t.test("a target has an interval of its own where it says so", async (t) => {
  const { clock, probes, target } = probing(0.5, 2_000);
  probes.add(target);
  await clock.advance(6_000);
  t.strictSame(target.at, [1_000, 3_000, 5_000]);
  await probes.close();
});

t.test("it is not probed while a call has succeeded within its interval", async (t) => {
  const { clock, probes, target } = probing(0.5);
  probes.add(target);
  target.lastSuccessAt = 5_000 - 9_999;
  await clock.advance(5_000);
  t.strictSame(target.at, []);
  target.lastSuccessAt = 15_000 - 10_000;
  await clock.advance(10_000);
  t.strictSame(target.at, [15_000]);
  target.isSuspect = true;
  target.lastSuccessAt = 25_000;
  await clock.advance(11_000);
  t.strictSame(target.at, [15_000, 25_000, 26_000], "a suspect is, whatever calls show");
  await probes.close();
});

t.test(
  "a suspect is probed after 1 s, then after half as long again each time, and from then on at its interval",
  async (t) => {
    const { clock, probes, target } = probing(0.5);
    target.isSuspect = true;
    probes.add(target);
    await clock.advance(60_000);
    const pauses = target.at.map((at, i) => at - (target.at[i - 1] ?? 0)).slice(1);
    t.strictSame(pauses.slice(0, 9), [1_000, 1_500, 2_250, 3_375, 5_063, 7_593, 10_000, 10_000, 10_000]);
    target.isSuspect = false;
    await clock.advance(20_000);
    target.isSuspect = true;
    const before = target.at.length;
    await clock.advance(12_000);
    t.equal((target.at[before + 1] ?? 0) - (target.at[before] ?? 0), 1_000, "anew after it was well");
    await probes.close();
  },
);

t.test("a suspect with an interval below a second keeps it", async (t) => {
  const { clock, probes, target } = probing(0.5, 400);
  target.isSuspect = true;
  probes.add(target);
  await clock.advance(1_100);
  t.strictSame(target.at, [200, 600, 1_000]);
  await probes.close();
});

t.test(
  "what is hurried is probed within 50 ms, again a second later at the soonest, and nothing else is",
  async (t) => {
    const { clock, probes, target } = probing(0.9);
    const other = new Target(clock);
    probes.add(target);
    probes.add(other);
    await clock.advance(1_000);
    probes.hurry(target);
    await clock.advance(49);
    t.strictSame(target.at, []);
    await clock.advance(1);
    t.strictSame(target.at, [1_050]);
    probes.hurry(target);
    probes.hurry(target);
    await clock.advance(3_000);
    t.strictSame(target.at, [1_050, 2_050]);
    t.strictSame(other.at, []);
    await probes.close();
  },
);

t.test("hurrying makes nothing later, and does not disturb a probe that runs", async (t) => {
  const { clock, probes, target } = probing(0.5);
  probes.add(target);
  await clock.advance(4_990);
  probes.hurry(target);
  await clock.advance(10);
  t.strictSame(target.at, [5_000]);
  target.answer = () => clock.sleep(500);
  await clock.advance(10_000);
  probes.hurry(target);
  await clock.advance(400);
  t.equal(target.at.length, 2);
  const closing = probes.close();
  await clock.advance(500);
  await closing;
});

t.test("eight probes run at once where nothing else is said", async (t) => {
  const clock = new FakeClock();
  const probes = new ProbeScheduler(clock, { maxConcurrent: undefined }, () => 0);
  const targets = Array.from({ length: 12 }, () => new Target(clock));
  for (const target of targets) {
    target.answer = () => clock.sleep(100);
    probes.add(target);
  }
  await clock.advance(50);
  t.equal(targets.filter(({ at }) => at.length > 0).length, 8);
  await clock.advance(100);
  t.equal(targets.filter(({ at }) => at.length > 0).length, 12);
  const closing = probes.close();
  await clock.advance(200);
  await closing;
});

t.test("what was taken out is not probed again, and a probe that runs reports nothing to it", async (t) => {
  const { clock, probes, target } = probing(0.5);
  const remove = probes.add(target);
  target.answer = () => clock.sleep(100);
  await clock.advance(5_050);
  remove();
  await clock.advance(30_000);
  t.strictSame(target.at, [5_000]);
  t.strictSame(target.results, []);
  await probes.close();
});

t.test("a close aborts what runs, waits for it, reports nothing, and nothing begins afterwards", async (t) => {
  const { clock, probes, target } = probing(0.5);
  target.answer = () => clock.sleep(100);
  probes.add(target);
  await clock.advance(5_010);
  t.equal(clock.holding, 1, "only what the target waits for keeps the process alive");
  let closed = false;
  const closing = probes.close().then(() => (closed = true));
  t.match(target.signal?.reason, { message: "the container stops" });
  await clock.advance(80);
  t.notOk(closed, "it has not ended");
  await clock.advance(20);
  await closing;
  probes.add(new Target(clock));
  await clock.advance(60_000);
  t.equal(target.at.length, 1);
  t.strictSame(target.results, []);
  t.equal(clock.pending, 0);
});

t.test("a probe that rejects with nothing has failed all the same", async (t) => {
  const { clock, probes, target } = probing(0.5);
  target.answer = () => Promise.reject();
  probes.add(target);
  await clock.advance(5_000);
  t.match(target.results, [{ message: "rejected with nothing" }]);
  await probes.close();
});

t.test(
  "a stall of the event loop within a probe is seen from 400 ms on, by its end or by a pulse meanwhile",
  async (t) => {
    class Stalling extends FakeClock {
      late = 0;
      override now(): number {
        return super.now() + this.late;
      }
    }
    const results = async (lateMs: number, restMs: number): Promise<number> => {
      const clock = new Stalling();
      const probes = new ProbeScheduler(clock, {}, () => 0);
      const target = new Target(clock);
      let reject: (error: Error) => void = () => {};
      target.answer = () => new Promise((_, no) => (reject = no));
      probes.add(target);
      await clock.advance(0);
      clock.late += lateMs;
      await clock.advance(restMs);
      reject(new Error("no answer"));
      await clock.settle();
      await probes.close();
      return target.results.length;
    };
    t.equal(await results(500, 0), 1, "400 ms behind its pulse");
    t.equal(await results(501, 0), 0);
    t.equal(await results(400, 1_000), 1, "the pulse came 400 ms late");
    t.equal(await results(401, 1_000), 0);
  },
);

t.test(
  "a probe that a request has hurried is none of its work: its deadline, long over, bounds no probe",
  async (t) => {
    const { clock, probes, target } = probing(0.5);
    const seen: unknown[] = [];
    target.answer = async () => void seen.push(currentContext());
    probes.add(target);
    // The fake clock runs what is due in the context of who advances it, as real timers do in that of who has set them.
    await runWithContext({ deadline: 1, requestId: "one" }, async () => {
      probes.hurry(target);
      await clock.advance(30_000);
    });
    t.ok(seen.length > 2);
    t.ok(seen.every((context) => context === undefined));
    await probes.close();
  },
);
