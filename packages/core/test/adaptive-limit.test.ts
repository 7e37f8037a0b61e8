import t from "tap";
import { adaptiveLimit, type AdaptiveLimit, type AdaptiveLimitOptions } from "../src/adaptive-limit/index.ts";
import { Gradient } from "../src/adaptive-limit/gradient.ts";
import { Guard, StewardError, type Call } from "../src/index.ts";
import { FakeClock } from "../src/testing.ts";

/** A server that works on `capacity` calls at once, and shares itself among those that are more. */
class Server {
  capacity: number;
  taskMs: number;
  readonly #clock: FakeClock;
  #running = 0;

  constructor(clock: FakeClock, capacity: number, taskMs: number) {
    this.#clock = clock;
    this.capacity = capacity;
    this.taskMs = taskMs;
  }

  async call({ signal }: Call): Promise<void> {
    this.#running++;
    const tookMs = this.taskMs * Math.max(1, this.#running / this.capacity);
    await this.#clock.sleep(tookMs, signal).finally(() => this.#running--);
  }
}

interface Scene {
  readonly clock: FakeClock;
  readonly guard: Guard;
  readonly server: Server;
  readonly limit: AdaptiveLimit;
  /** Lets time pass, with a call every so often, and gives how many have succeeded. */
  run(seconds: number, everyMs: number): Promise<number>;
}

function scene(capacity: number, options: AdaptiveLimitOptions = {}): Scene {
  const clock = new FakeClock();
  const guard = new Guard({ resource: "search", clock, timeoutMs: 2_000 });
  const server = new Server(clock, capacity, 50);
  const limit = adaptiveLimit(guard, { clock, ...options });
  const run = async (seconds: number, everyMs: number): Promise<number> => {
    const before = guard.stats().succeeded;
    for (const end = clock.now() + seconds * 1_000; clock.now() < end;) {
      guard.run((call) => server.call(call)).catch(() => {});
      await clock.advance(everyMs);
    }
    return guard.stats().succeeded - before;
  };
  return { clock, guard, server, limit, run };
}

/** The limit that the closed form comes to rest at: what the server works on at once, and a queue of sqrt(limit). */
const restOf = (capacity: number): number => capacity + Math.sqrt(capacity) + 1;

for (const [capacity, initial] of [
  [20, 200],
  [20, 1],
  [5, 20],
] as const)
  t.test(`from ${initial} it comes to within a quarter of what is right for a server of ${capacity}`, async (t) => {
    const { limit, run } = scene(capacity, { initial, max: 200 });
    await run(20, 50 / capacity / 1.5); // half as many again as it can take
    const found = limit.limit;
    t.ok(found >= capacity && found <= restOf(capacity) * 1.25, `${found}`);
  });

t.test("what overloads a server costs it no work, and fewer wait there than with a fixed limit", async (t) => {
  const { run, server, limit } = scene(10, { max: 200 });
  await run(10, 3);
  const done = await run(10, 3);
  const most = (10_000 / server.taskMs) * server.capacity;
  t.ok(done > most * 0.85, `${done} of ${most} that the server can do`);
  t.ok(limit.limit < 20, `${limit.limit}`);
});

t.test("it goes down while the server is slow, not below min, and comes back after it", async (t) => {
  const { run, server, limit } = scene(20, { min: 2, max: 100 });
  await run(15, 1.6);
  const before = limit.limit;
  server.capacity = 1;
  await run(15, 1.6);
  const slow = limit.limit;
  t.ok(slow >= 2 && slow <= before / 3, `${before}, then ${slow}`);
  server.capacity = 20;
  await run(20, 1.6);
  t.ok(limit.limit >= before * 0.7, `${limit.limit} again, of ${before}`);
});

t.test("where calls take longer for good, that is what a call takes, after a minute at the latest", async (t) => {
  const { run, server, limit } = scene(20, { max: 100 });
  await run(15, 1.6);
  server.taskMs = 100;
  await run(75, 3.3);
  const found = limit.limit;
  t.ok(found >= 17 && found <= restOf(20) * 1.35, `${found}`);
  t.equal(Math.round(limit.stats().freeMs ?? 0), 100);
});

t.test("few calls change nothing, however fast or slow they are", async (t) => {
  const { run, server, limit } = scene(20, { max: 100 });
  await run(5, 40);
  t.equal(limit.limit, 20);
  server.taskMs = 90;
  await run(5, 40);
  t.equal(limit.limit, 20);
});

t.test("never below 1 or min, never above max, whatever it is told", (t) => {
  for (const [min, max] of [
    [1, 1],
    [1, 10],
    [3, 40],
  ] as const) {
    const gradient = new Gradient(20, { min, max });
    for (let i = 0; i < 3_000; i++) {
      const sample = {
        meanMs: 10 ** (Math.random() * 6 - 2),
        concurrency: Math.random() * 100,
        failedShare: Math.random() < 0.3 ? Math.random() : 0,
      };
      gradient.update(sample);
      const { limit } = gradient;
      if (!Number.isInteger(limit) || limit < min || limit > max) t.fail(`${limit} after ${JSON.stringify(sample)}`);
    }
  }
  t.pass();
  t.end();
});

t.test("an interval of much faster calls, as from a cache, costs some intervals, not a minute", (t) => {
  const gradient = new Gradient(20, { min: 1, max: 200 });
  const capacity = 20;
  /** A server of that capacity, with as many callers as may call. */
  const pass = (intervals: number, taskMs: number): void => {
    for (let i = 0; i < intervals; i++) {
      const meanMs = taskMs * Math.max(1, gradient.limit / capacity);
      gradient.update({ meanMs, concurrency: gradient.limit, failedShare: 0 });
    }
  };
  pass(70, 50); // it has just been measured
  const before = gradient.limit;
  pass(1, 5);
  pass(15, 50);
  t.ok(gradient.limit >= before * 0.7, `${before} before, ${gradient.limit} after 15 intervals`);
  t.equal(gradient.freeMs, 50);
  t.end();
});

t.test("calls that fail at once are not taken for fast ones", async (t) => {
  const clock = new FakeClock();
  const guard = new Guard({ resource: "search", clock });
  using limit = adaptiveLimit(guard, { clock, max: 500 });
  for (let i = 0; i < 2_000; i++) {
    guard.run(() => Promise.reject(new StewardError("DEADLINE_EXCEEDED", "no"))).catch(() => {});
    await clock.advance(5);
  }
  t.match(limit.stats(), { limit: 20, freeMs: undefined });
});

t.test("a guard that becomes smaller lets what runs go on, and one that becomes larger lets waiters in", async (t) => {
  const clock = new FakeClock();
  const guard = new Guard({ resource: "r", clock, maxConcurrent: 3 });
  const running: (() => void)[] = [];
  const calls = Array.from({ length: 6 }, () => guard.run(() => new Promise<void>((resolve) => running.push(resolve))));
  t.equal(running.length, 3);
  guard.resize(1);
  running.splice(0, 2).forEach((end) => end());
  await clock.settle();
  t.match(guard.stats(), { inUse: 1, pending: 3, maxConcurrent: 1 });
  guard.resize(2);
  t.match(guard.stats(), { inUse: 2, pending: 2 });
  guard.pause();
  guard.resize(10);
  t.match(guard.stats(), { inUse: 2, pending: 2 }, "a paused one begins nothing");
  guard.resume();
  t.match(guard.stats(), { inUse: 4, pending: 0 });
  running.splice(0).forEach((end) => end());
  await Promise.all(calls);
  guard.resize(0);
  t.equal(guard.stats().maxConcurrent, 1);
});

t.test("it may be stopped by a call that begins because there is more room", async (t) => {
  const clock = new FakeClock();
  const guard = new Guard({ resource: "search", clock });
  const limit = adaptiveLimit(guard, { clock, initial: 4, max: 4, fewest: 1, everyMs: 100 });
  const busy = (calls: number): void => {
    for (let i = 0; i < calls; i++) void guard.run(() => clock.sleep(90));
  };
  busy(4);
  await clock.advance(100);
  t.equal(limit.limit, 2, "it measures");
  busy(2);
  await clock.advance(100);
  busy(2);
  await clock.advance(95);
  for (const last of [() => new Promise(() => {}), () => new Promise(() => {}), () => limit.stop()])
    void guard.run(last);
  t.match(guard.stats(), { inUse: 2, pending: 1 });
  await clock.advance(5);
  t.match(guard.stats(), { inUse: 2, pending: 0, maxConcurrent: 4 });
  t.equal(clock.pending, 0, "no timer is left");
});

t.test("one that is stopped does not leave the limit at the half at which it was measured", async (t) => {
  const { guard, limit, run } = scene(20, { max: 100 });
  await run(1.01, 1.6);
  t.equal(limit.limit, 10, "it measures");
  limit.stop();
  t.equal(limit.limit, 20);
  t.equal(guard.stats().maxConcurrent, 20);
  guard.resize(5);
  limit.stop();
  t.equal(guard.stats().maxConcurrent, 5, "it has no say any more");
});

t.test("one that follows another one may go as far as the guard was made for", (t) => {
  const clock = new FakeClock();
  for (const [maxConcurrent, most] of [
    [undefined, 50],
    [30, 30],
  ] as const) {
    const guard = new Guard({ resource: "search", clock, maxConcurrent });
    adaptiveLimit(guard, { clock, initial: 2 }).stop();
    using limit = adaptiveLimit(guard, { clock, initial: 50 });
    t.equal(limit.limit, most);
  }
  t.end();
});

t.test("options that are wrong are refused, and a value without a guard", (t) => {
  const guard = new Guard({ resource: "r", clock: new FakeClock(), maxConcurrent: 7 });
  t.throws(() => adaptiveLimit(guard, { min: 5, max: 4 }), {
    code: "OPTIONS_INVALID",
    message: /min: must not be more than max/,
  });
  t.throws(() => adaptiveLimit(guard, { min: 8 }), {
    code: "OPTIONS_INVALID",
    message: /min: must not be more than 7, what the guard was made with; give max, too/,
  });
  t.throws(() => adaptiveLimit(new Guard({ resource: "r", clock: new FakeClock() }), { min: 2_000 }), {
    code: "OPTIONS_INVALID",
    message: /min: must not be more than the default of max, 1000; give max, too/,
  });
  adaptiveLimit(guard, { min: 8, max: 9 }).stop();
  t.equal(guard.stats().maxConcurrent, 9);
  t.throws(() => adaptiveLimit(guard, { most: 4 } as AdaptiveLimitOptions), {
    code: "OPTIONS_INVALID",
    message: /most/,
  });
  t.throws(() => adaptiveLimit({}), { code: "NOT_GUARDED" });
  using limit = adaptiveLimit(guard, { initial: 100 });
  t.equal(limit.limit, 7, "no more than the guard was made with");
  t.end();
});
