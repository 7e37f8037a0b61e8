import t from "tap";
import { Guard, GuardedUse, StewardError, type Clock } from "../src/index.ts";

/** Time that moves only when told to. */
class ManualClock implements Clock {
  #now = 0;
  #timers = new Set<{ at: number; run: () => void }>();
  now(): number {
    return this.#now;
  }
  setTimeout(run: () => void, delayMs: number): { cancel(): void } {
    const timer = { at: this.#now + delayMs, run };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }
  sleep(): Promise<void> {
    return Promise.reject(new Error("nobody sleeps here"));
  }
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const due = [...this.#timers].filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#timers.delete(due);
      this.#now = Math.max(this.#now, due.at);
      due.run();
    }
    this.#now = end;
  }
}

class Use extends GuardedUse {
  readonly log: string[];
  readonly label: string;
  readonly onBegin: (use: Use) => void;
  constructor(label: string, log: string[], onBegin: (use: Use) => void = () => {}) {
    super();
    this.label = label;
    this.log = log;
    this.onBegin = onBegin;
  }
  protected override begin(): void {
    this.log.push(`${this.label} begins`);
    this.onBegin(this);
  }
  protected override giveUp(error: unknown): void {
    this.log.push(`${this.label} ${error instanceof StewardError ? error.code : String(error)}`);
  }
}

function setup(options: {
  maxConcurrent?: number;
  maxPending?: number;
  timeoutMs?: number;
  holdUntilSettled?: boolean;
}) {
  const clock = new ManualClock();
  const log: string[] = [];
  return { clock, log, guard: new Guard({ resource: "r", clock, ...options }) };
}

t.test("a use waits for its place and gets it when the one before is done", async (t) => {
  const { guard, log } = setup({ maxConcurrent: 1, maxPending: 1 });
  const [a, b, c] = [new Use("a", log), new Use("b", log), new Use("c", log)];
  for (const use of [a, b, c]) guard.enter(use);
  t.same(log, ["a begins", "c OVERLOADED"]);
  a.succeed();
  t.same(log.slice(2), ["b begins"]);
  b.fail("broken");
  t.same(log.slice(3), ["b broken"]);
  t.match(guard.stats(), { inUse: 0, pending: 0, started: 2, succeeded: 1, failed: 1, overloaded: 1 });
});

t.test("a use that runs into its deadline is given up once, and its place goes on", async (t) => {
  const { guard, clock, log } = setup({ maxConcurrent: 1, maxPending: 1, timeoutMs: 100 });
  const a = new Use("a", log);
  guard.enter(a);
  clock.advance(50);
  guard.enter(new Use("b", log));
  clock.advance(58);
  t.same(log, ["a begins", "a DEADLINE_EXCEEDED", "b begins"]);
  a.succeed();
  a.fail("late");
  t.equal(log.length, 3);
  t.match(guard.stats(), { inUse: 1, timedOut: 1, failed: 1 });
});

t.test("a lease outlives the deadline and keeps its place until it ends", async (t) => {
  const { guard, clock, log } = setup({ maxConcurrent: 1, maxPending: 1, timeoutMs: 100 });
  const a = new Use("a", log);
  guard.enter(a);
  a.acquired(Number.POSITIVE_INFINITY);
  clock.advance(10_000);
  t.equal(guard.stats().inUse, 1);
  a.succeed();
  t.match(guard.stats(), { inUse: 0, succeeded: 1, timedOut: 0 });
});

t.test("a held place is freed when the driver lets go, not when the use is given up", async (t) => {
  const { guard, clock, log } = setup({ maxConcurrent: 1, maxPending: 1, timeoutMs: 100, holdUntilSettled: true });
  const a = new Use("a", log);
  guard.enter(a);
  clock.advance(200);
  t.match(guard.stats(), { inUse: 1, timedOut: 1 });
  a.fail("driver is done");
  t.equal(guard.stats().inUse, 0);
});

t.test("a refused use learns why and leaves no trace", async (t) => {
  const log: string[] = [];
  const guard = new Guard({
    resource: "r",
    clock: new ManualClock(),
    refusal: () => new StewardError("RESOURCE_UNAVAILABLE", "down"),
  });
  guard.enter(new Use("a", log));
  t.same(log, ["a RESOURCE_UNAVAILABLE"]);
  t.match(guard.stats(), { started: 0, inUse: 0 });
});

t.test("a long queue of uses that end at once does not nest", async (t) => {
  const { guard, log } = setup({ maxConcurrent: 1, maxPending: 100_000 });
  const first = new Use("first", log);
  guard.enter(first);
  for (let i = 0; i < 50_000; i++) guard.enter(new Use("x", [], (use) => use.fail("at once")));
  first.succeed();
  t.match(guard.stats(), { inUse: 0, pending: 0, failed: 50_000 });
});

t.test("what expires together is all told, also when one of it settles another", async (t) => {
  const { guard, clock, log } = setup({ timeoutMs: 100 });
  const uses: Use[] = [];
  for (const label of ["a", "b", "c", "d"]) uses.push(new Use(label, log));
  for (const use of uses) guard.enter(use);
  const [, , c, d] = uses;
  Object.assign(d ?? {}, { giveUp: () => c?.succeed() });
  clock.advance(120);
  t.equal(guard.stats().inUse, 0);
  t.equal(guard.stats().timedOut + guard.stats().succeeded, 4);
});

/** A use that fails at each attempt but the last, and asks for another. */
class Trying extends Use {
  readonly asked: number;
  constructor(label: string, log: string[], fails: number, askedMs = 0) {
    let left = fails;
    super(label, log, (use) => (left-- > 0 ? (use as Trying).stumble() : use.succeed()));
    this.asked = askedMs;
  }
  stumble(): void {
    const error = new StewardError("BUSY", "busy", { retryable: true });
    const pauseMs = this.claimAttempt(error, this.asked);
    if (pauseMs === undefined) this.fail(error);
    else this.tryAgainIn(pauseMs, error);
  }
}

t.test("a use may ask for another attempt, which begins after a pause and without its old place", async (t) => {
  const clock = new ManualClock();
  const log: string[] = [];
  const guard = new Guard({
    resource: "r",
    clock,
    maxConcurrent: 1,
    maxPending: 1,
    timeoutMs: 10_000,
    retry: { maxAttempts: 3, baseDelayMs: 1 },
  });
  guard.enter(new Trying("a", log, 2, 500));
  t.match(guard.stats(), { inUse: 0, retried: 1 });
  t.notOk(guard.isIdle, "it is still under way");
  const idle = guard.idle();
  guard.enter(new Use("b", log, (use) => use.succeed()));
  clock.advance(508);
  clock.advance(508);
  await idle;
  t.same(log, ["a begins", "b begins", "a begins", "a begins"]);
  t.match(guard.stats(), { started: 4, succeeded: 2, failed: 2, retried: 2 });
});

t.test("no attempt begins beyond the last one, or when time would run out before it", async (t) => {
  const clock = new ManualClock();
  const log: string[] = [];
  const guard = new Guard({ resource: "r", clock, timeoutMs: 1_000, retry: { maxAttempts: 2, baseDelayMs: 1 } });
  guard.enter(new Trying("a", log, 9));
  clock.advance(100);
  guard.enter(new Trying("b", log, 9, 5_000));
  t.same(log, ["a begins", "a begins", "a BUSY", "b begins", "b BUSY"]);
});

t.test("a use between two attempts is rejected with what waits", async (t) => {
  const clock = new ManualClock();
  const log: string[] = [];
  const guard = new Guard({ resource: "r", clock, retry: { maxAttempts: 2, baseDelayMs: 1 } });
  guard.enter(new Trying("a", log, 1, 100));
  guard.rejectPending(new StewardError("GONE_NOW", "gone"));
  clock.advance(1_000);
  t.same(log, ["a begins", "a GONE_NOW"]);
  t.ok(guard.isIdle);
});

t.test("a use whose failure opens the breaker tries again all the same, and takes no permit with it", async (t) => {
  const clock = new ManualClock();
  const log: string[] = [];
  const breaker = { consecutiveFailures: 1, breakDurationMs: 100 };
  const guard = new Guard({ resource: "r", clock, retry: { maxAttempts: 2, baseDelayMs: 1 }, breaker });
  guard.enter(new Trying("a", log, 1, 500));
  t.equal(guard.breaker?.state, "open");
  guard.enter(new Use("b", log));
  clock.advance(600);
  t.same(log, ["a begins", "b CIRCUIT_OPEN", "a begins"]);
  t.equal(guard.breaker?.state, "ramp", "the second attempt was the trial, and succeeded");
  t.ok(guard.isIdle);
});
