import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { getEventListeners } from "node:events";
import t from "tap";
import { GuardedUse } from "../src/driver.ts";
import { CHANNELS, Guard, StewardError, type CallEvent, type Clock } from "../src/index.ts";

/** Time that moves only when a test moves it. */
class ManualClock implements Clock {
  #now = 0;
  #timers = new Set<{ at: number; run: () => void }>();
  now(): number {
    return this.#now;
  }
  wallNow(): number {
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

t.test("what a use was is looked at only by who asks for it", async (t) => {
  let asked = 0;
  class Described extends GuardedUse {
    override get operation(): string {
      asked++;
      return "GET";
    }
    override about(end?: { readonly error: unknown }) {
      asked++;
      return { attributes: { "db.response.status_code": String(end?.error) } };
    }
    protected override begin(): void {
      this.succeed();
    }
    protected override giveUp(): void {}
  }
  const about = () => ({ attributes: { "db.system.name": "redis" } });
  const guard = new Guard({ resource: "r", clock: new ManualClock(), about });
  const events: CallEvent[] = [];
  const hear = (event: unknown): void => void events.push(event as CallEvent);
  subscribe(CHANNELS.call, hear);
  guard.enter(new Described());
  unsubscribe(CHANNELS.call, hear);
  t.equal(asked, 0);
  t.match(events[0], {
    resource: "r",
    operation: "GET",
    durationMs: 0,
    queuedMs: 0,
    about: { attributes: { "db.system.name": "redis", "db.response.status_code": "undefined" } },
    error: undefined,
  });
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

t.test("a driver that lets go frees a place that it held, however the use ended, and none besides", async (t) => {
  const { guard, clock, log } = setup({ maxConcurrent: 1, maxPending: 0, timeoutMs: 100, holdUntilSettled: true });
  const [well, bad, none] = [new Use("well", log), new Use("bad", log), new Use("none", log)];
  guard.enter(well);
  guard.enter(none);
  none.succeed();
  t.equal(guard.stats().inUse, 1, "what was refused has no place to give back");
  well.succeed();
  t.equal(guard.stats().inUse, 0);
  guard.enter(bad);
  bad.fail("broken");
  t.equal(guard.stats().inUse, 0);
  t.same(log, ["well begins", "none OVERLOADED", "bad begins", "bad broken"]);
  clock.advance(1_000);
  t.match(guard.stats(), { inUse: 0, succeeded: 1, failed: 1, timedOut: 0 });
});

t.test("a use leaves nothing on the signal of its caller, and ends with it once", async (t) => {
  const { guard, log } = setup({});
  const caller = new AbortController();
  const [well, bad, given] = [new Use("well", log), new Use("bad", log), new Use("given", log)];
  for (const use of [well, bad, given]) guard.enter(use, { signal: caller.signal });
  t.equal(getEventListeners(caller.signal, "abort").length, 3);
  well.succeed();
  bad.fail("broken");
  t.equal(getEventListeners(caller.signal, "abort").length, 1);
  caller.abort();
  t.equal(getEventListeners(caller.signal, "abort").length, 0);
  t.same(log.slice(3), ["bad broken", "given CALL_ABORTED"]);
});

t.test("uses that fail together when the breaker opens are given up once each", async (t) => {
  class Connecting extends Use {
    partner: Connecting | undefined;
    override get isAcquiring(): boolean {
      return true;
    }
    protected override giveUp(error: unknown): void {
      super.giveUp(error);
      this.partner?.fail("broken beside it");
    }
  }
  const log: string[] = [];
  const guard = new Guard({ resource: "r", clock: new ManualClock(), breaker: { consecutiveFailures: 1 } });
  const [a, b] = [new Connecting("a", log), new Connecting("b", log)];
  [a.partner, b.partner] = [b, a];
  for (const use of [a, b]) guard.enter(use);
  guard.enter(new Use("c", log, (use) => use.fail("down")));
  t.same(log.slice(2), ["c begins", "c down", "a CIRCUIT_OPEN", "b broken beside it"]);
  t.match(guard.stats(), { inUse: 0, failed: 3 });
});

t.test("a refused use learns why and is counted nowhere", async (t) => {
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

t.test("all that expires together is notified, also when one of it settles another", async (t) => {
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
    const pauseMs = this.claimRetry(error, this.asked);
    if (pauseMs === undefined) this.fail(error);
    else this.retryIn(pauseMs, error);
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
  t.notOk(guard.isIdle, "it still runs");
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

t.test("a use that was given up is not tried again, and its driver's end frees its place", async (t) => {
  const clock = new ManualClock();
  const retry = { maxAttempts: 3, baseDelayMs: 1 };
  const guard = new Guard({ resource: "r", clock, timeoutMs: 100, holdUntilSettled: true, retry });
  let fail = (): void => {};
  const work = new Promise<never>((_, reject) => (fail = () => reject(new Error("too late"))));
  const call = guard.run(() => work, { idempotent: true });
  clock.advance(200);
  await t.rejects(call, { code: "DEADLINE_EXCEEDED" });
  t.match(guard.stats(), { inUse: 1, retried: 0 });
  fail();
  await new Promise(setImmediate);
  t.match(guard.stats(), { inUse: 0, retried: 0 });
  class Late extends Trying {
    override stumble(): void {
      const pauseMs = this.claimRetry(new Error("busy"));
      clock.advance(200);
      if (pauseMs !== undefined) this.retryIn(pauseMs, new Error("busy"));
      this.fail("let go");
    }
  }
  const log: string[] = [];
  guard.enter(new Late("late", log, 1));
  clock.advance(1_000);
  t.same(log, ["late begins", "late DEADLINE_EXCEEDED"]);
  t.match(guard.stats(), { inUse: 0, retried: 0 });
});

t.test("an attempt that is to be repeated frees its place, also where a place is held to the end", async (t) => {
  const clock = new ManualClock();
  const options = { maxConcurrent: 1, holdUntilSettled: true, retry: { maxAttempts: 2, baseDelayMs: 1 } };
  const guard = new Guard({ resource: "r", clock, ...options });
  guard.enter(new Trying("a", [], 1, 500));
  t.match(guard.stats(), { inUse: 0, retried: 1 });
  clock.advance(508);
  t.match(guard.stats(), { inUse: 0, succeeded: 1 });
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

t.test("an answer that speaks against the resource counts as its failure, while the use goes on", async (t) => {
  const clock = new ManualClock();
  const log: string[] = [];
  const errors: unknown[] = [];
  const listen = (event: unknown): void => void errors.push((event as CallEvent).error);
  subscribe(CHANNELS.call, listen);
  t.teardown(() => unsubscribe(CHANNELS.call, listen));
  const guard = new Guard({ resource: "r", clock, timeoutMs: 1_000, breaker: { consecutiveFailures: 2 } });
  const busy = new Error("busy");
  const uses = ["a", "b", "c"].map((label) => new Use(label, log));
  for (const use of uses) guard.enter(use);
  uses[0]?.answered(500, busy);
  t.match(guard.stats(), { inUse: 3, breaker: { state: "closed", consecutiveFailures: 1 } });
  uses[1]?.answered(500, busy);
  uses[1]?.answered(500);
  t.equal(guard.breaker?.state, "open", "at the answer, not at the end of the body");
  t.equal(guard.lastSuccessAt, Number.NEGATIVE_INFINITY);
  clock.advance(400);
  for (const use of uses) use.succeed();
  t.same(log, ["a begins", "b begins", "c begins"], "nobody is given up");
  t.match(guard.stats(), { started: 3, succeeded: 1, failed: 2, inUse: 0 });
  t.same(errors, [busy, busy, undefined]);
});

t.test("what an answer said against the resource does not stick to the next attempt", async (t) => {
  const clock = new ManualClock();
  const guard = new Guard({ resource: "r", clock, retry: { maxAttempts: 2, baseDelayMs: 1 } });
  class Once extends Trying {
    protected override begin(): void {
      if (this.log.length === 0) this.answered(Number.POSITIVE_INFINITY, new Error("busy"));
      super.begin();
    }
  }
  guard.enter(new Once("a", [], 1));
  clock.advance(100);
  t.match(guard.stats(), { started: 2, succeeded: 1, failed: 1 });
});

t.test("messages name what a guard stands before, and the resource stays the resource", async (t) => {
  const clock = new ManualClock();
  const errors: unknown[] = [];
  const events: unknown[] = [];
  const listen = (event: unknown): void => void events.push(event);
  subscribe(CHANNELS.breaker, listen);
  t.teardown(() => unsubscribe(CHANNELS.breaker, listen));
  const subject = "api https://a.example";
  const breaker = { consecutiveFailures: 1 };
  const guard = new Guard({
    resource: "api",
    subject,
    clock,
    maxConcurrent: 1,
    maxPending: 0,
    timeoutMs: 100,
    breaker,
  });
  class Reporting extends Use {
    protected override giveUp(error: unknown): void {
      errors.push(error);
    }
  }
  guard.enter(new Reporting("a", []));
  guard.enter(new Reporting("b", []));
  clock.advance(108);
  guard.enter(new Reporting("c", []));
  const about = (code: string, message: RegExp): object => ({ code, message, resource: "api" });
  t.match(errors, [
    about("OVERLOADED", /^api https:\/\/a\.example: the queue is full/),
    about("DEADLINE_EXCEEDED", /^api https:\/\/a\.example: no answer after/),
    about("CIRCUIT_OPEN", /^api https:\/\/a\.example: the circuit is open/),
  ]);
  t.match(events, [{ resource: "api", subject, to: "open" }]);
});

t.test("a queue longer than can be served in time costs those beyond, not everybody", async (t) => {
  const clock = new ManualClock();
  const log: string[] = [];
  // 10 places and 90 ms a call: 111 calls/s can be served, 200 are asked for.
  const guard = new Guard({ resource: "r", clock, maxConcurrent: 10, maxPending: 1_000, timeoutMs: 1_000 });
  for (let i = 0; i < 4_000; i++) {
    guard.enter(new Use("a", log, (use) => void clock.setTimeout(() => use.succeed(), 90)));
    clock.advance(5);
  }
  const { succeeded, timedOut, failed } = guard.stats();
  t.ok(succeeded > 2_000, `${succeeded} of at most 2,222 succeeded`);
  t.ok(failed < 10, `${failed} were begun in vain`);
  t.ok(timedOut > 1_500);
});

t.test("an outage that ends in time costs nobody who waited for its end", async (t) => {
  const clock = new ManualClock();
  const log: string[] = [];
  const guard = new Guard({ resource: "r", clock, maxConcurrent: 10, maxPending: 1_000, timeoutMs: 2_000 });
  let backAt = 0;
  const answerMs = (): number => Math.max(0, backAt - clock.now()) + 5;
  for (let i = 0; i < 800; i++) {
    if (i === 200) backAt = clock.now() + 1_500;
    guard.enter(new Use("a", log, (use) => void clock.setTimeout(() => use.succeed(), answerMs())));
    clock.advance(5);
  }
  clock.advance(2_000);
  t.match(guard.stats(), { succeeded: 800, timedOut: 0, pending: 0 });
});

t.test(
  "too little time left costs a waiter its turn only below half of it, and where another with more of it waits behind",
  async (t) => {
    const clock = new ManualClock();
    const log: string[] = [];
    const guard = new Guard({ resource: "r", clock, maxConcurrent: 1, maxPending: 9, timeoutMs: 1_000 });
    const enter = (labels: string): Use[] =>
      [...labels].map((label) => {
        const use = new Use(label, log);
        guard.enter(use);
        return use;
      });
    const served = (use: Use | undefined, afterMs: number): void => {
      clock.advance(afterMs);
      use?.succeed();
    };
    for (let i = 0; i < 4; i++) served(enter("s")[0], 900); // answers take long here
    log.length = 0;
    const [a, b, c] = enter("abc");
    served(a, 400);
    t.same(log.splice(0), ["a begins", "b begins"], "600 of 1,000 ms are left");
    served(b, 450);
    t.same(log.splice(0), ["c begins"], "nobody else waits");
    served(c, 100);
    t.same(log.splice(0), []);
    const [d, e] = enter("de");
    clock.advance(800);
    enter("f");
    served(d, 50);
    t.same(log.splice(0), ["d begins", "e DEADLINE_EXCEEDED", "f begins"]);
    t.equal(e?.settled, true);
    t.match(guard.stats(), { timedOut: 1, failed: 0 });
  },
);

/** A guard of `places` whose calls took 900 ms, `calls` times. */
function slowGuard(clock: ManualClock, places: number, calls: number): Guard {
  const guard = new Guard({ resource: "r", clock, maxConcurrent: places, maxPending: 100, timeoutMs: 1_000 });
  for (let i = 0; i < calls; i++) {
    const use = new Use("s", []);
    guard.enter(use);
    clock.advance(900);
    use.succeed();
  }
  return guard;
}

/** Enters as many uses, each of which takes 1 ms. */
function enterQuick(guard: Guard, clock: ManualClock, count: number, log: string[] = []): void {
  for (let i = 0; i < count; i++)
    guard.enter(new Use("q", log, (use) => void clock.setTimeout(() => use.succeed(), 1)));
}

t.test("calls that came together all get their turn: to shed one of them would help none of the others", async (t) => {
  const clock = new ManualClock();
  const guard = slowGuard(clock, 4, 20);
  const slow = Array.from({ length: 4 }, () => new Use("s", []));
  for (const use of slow) guard.enter(use);
  enterQuick(guard, clock, 49);
  clock.advance(800);
  slow[0]?.succeed();
  t.match(guard.stats(), { inUse: 4, pending: 48, timedOut: 0 }, "the freed place is taken");
  for (const use of slow) use.succeed();
  for (let i = 0; i < 50; i++) clock.advance(1);
  t.match(guard.stats(), { succeeded: 20 + 4 + 49, timedOut: 0, pending: 0 });
});

t.test("a few slow answers say nothing of what waits", async (t) => {
  for (const calls of [7, 8]) {
    const clock = new ManualClock();
    const guard = slowGuard(clock, 1, calls - 1);
    const last = new Use("s", []);
    guard.enter(last);
    enterQuick(guard, clock, 10);
    clock.advance(850);
    enterQuick(guard, clock, 1);
    last.succeed();
    const timedOut = calls < 8 ? 0 : 10;
    t.match(guard.stats(), { timedOut, inUse: 1, pending: 10 - timedOut }, `after ${calls} answers`);
  }
});

t.test("no call is shed for which there is a place, and no place stays free while calls wait", async (t) => {
  const clock = new ManualClock();
  const log: string[] = [];
  const guard = slowGuard(clock, 4, 20);
  guard.pause();
  enterQuick(guard, clock, 3, log);
  clock.advance(900);
  enterQuick(guard, clock, 1, log);
  guard.resume();
  t.match(guard.stats(), { inUse: 4, timedOut: 0 }, "four wait for four places");
  clock.advance(1);
  guard.pause();
  enterQuick(guard, clock, 20, log);
  clock.advance(900);
  enterQuick(guard, clock, 1, log);
  guard.resume();
  t.match(guard.stats(), { inUse: 4, timedOut: 17, pending: 0 });
});
