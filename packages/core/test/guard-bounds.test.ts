import t from "tap";
import { guardValue, type PlannedGuard } from "../src/container.ts";
import { GuardedUse, OptionsError } from "../src/driver.ts";
import { Breaker } from "../src/guard/breaker.ts";
import { RetryPolicy } from "../src/guard/retry.ts";
import { Guard, guarded, runWithContext, StewardError, type GuardOptions } from "../src/index.ts";
import { FakeClock } from "../src/testing.ts";

function guardOn(clock: FakeClock, options: Partial<GuardOptions> = {}): Guard {
  return new Guard({ resource: "db", clock, ...options });
}

/** What is wrong with options, as `path: message`. */
function problemsOf(make: () => unknown): string[] {
  try {
    make();
    return [];
  } catch (error) {
    return error instanceof OptionsError ? error.problems.map(({ path, message }) => `${path}: ${message}`) : [];
  }
}

t.test("bounds that make no sense are refused, all at once", (t) => {
  const breaker = {
    consecutiveFailures: 0,
    failureRatio: 0,
    minimumThroughput: 0,
    samplingDurationMs: 0,
    slowCallMs: 0,
    slowCallRatio: 1.1,
    stallMs: 0,
    breakDurationMs: 0,
    rampMs: 0,
    rampConcurrency: 0,
  };
  const wrong = [
    "consecutiveFailures: must be at least 1",
    "failureRatio: must be above 0",
    "minimumThroughput: must be at least 1",
    "samplingDurationMs: must be at least 1 ms",
    "slowCallMs: must be at least 1 ms",
    "slowCallRatio: must be at most 1",
    "stallMs: must be at least 1 ms",
    "breakDurationMs: must be at least 1 ms",
    "rampMs: must be at least 1 ms",
    "rampConcurrency: must be at least 1",
  ];
  t.strictSame(
    problemsOf(() => new Breaker("db", breaker)),
    wrong,
  );
  const retry = { maxAttempts: 0, baseDelayMs: 0, maxDelayMs: 0, budgetRatio: -0.1 };
  t.strictSame(
    problemsOf(() => new RetryPolicy(retry)),
    [
      "maxAttempts: must be at least 1",
      "baseDelayMs: must be at least 1 ms",
      "maxDelayMs: must be at least 1 ms",
      "budgetRatio: must be at least 0",
    ],
  );
  t.strictSame(
    problemsOf(() => new RetryPolicy({ maxAttempts: 1, budgetRatio: 0 })),
    [],
  );
  const bounds = { maxConcurrent: 0, maxPending: -1, timeoutMs: 0, acquireTimeoutMs: 0, askTimeoutMs: 0 };
  t.strictSame(
    problemsOf(() => guardOn(new FakeClock(), { ...bounds, breaker: { rampMs: 0 } })),
    [
      "maxConcurrent: must be at least 1",
      "maxPending: must be at least 0",
      "timeoutMs: must be at least 1 ms",
      "acquireTimeoutMs: must be at least 1 ms",
      "askTimeoutMs: must be at least 1 ms",
      "breaker.rampMs: must be at least 1 ms",
    ],
  );
  const none = { maxConcurrent: Infinity, maxPending: Infinity, timeoutMs: Infinity, acquireTimeoutMs: Infinity };
  t.strictSame(
    problemsOf(() => guardOn(new FakeClock(), none)),
    [],
  );
  t.strictSame(
    problemsOf(() => guardOn(new FakeClock(), { maxPending: 0, breaker: false, retry: false })),
    [],
  );
  t.strictSame(
    problemsOf(() => guardOn(new FakeClock(), { evidence: { evidence: {} } as never })),
    ["evidence: must be a guard"],
  );
  t.end();
});

t.test("false asks for no breaker and no retry, as leaving both out does", async (t) => {
  const guard = guardOn(new FakeClock(), { breaker: false, retry: false });
  t.equal(guard.breaker, undefined);
  let attempts = 0;
  const call = guard.run(() => Promise.reject(new Error(`attempt ${++attempts}`)), { idempotent: true });
  await t.rejects(call, { message: "attempt 1" });
});

t.test("a guard without the name of its resource is refused under its own", (t) => {
  const clock = new FakeClock();
  t.throws(() => new Guard({ clock } as unknown as GuardOptions), { message: /guard\.resource: is missing/ });
  t.end();
});

t.test("it counts what runs, and the most that ever ran at once", async (t) => {
  const clock = new FakeClock();
  const guard = guardOn(clock, { maxConcurrent: 5 });
  t.match(guard.stats(), { inUse: 0, peakInUse: 0, maxConcurrent: 5, maxPending: 50, started: 0 });
  const three = Promise.all([1, 2, 3].map(() => guard.run(() => clock.sleep(10))));
  t.match(guard.stats(), { inUse: 3, peakInUse: 3 });
  await clock.runUntil(three);
  await clock.runUntil(guard.run(() => clock.sleep(10)));
  t.match(guard.stats(), { inUse: 0, peakInUse: 3, started: 4, succeeded: 4 });
  t.match(guardOn(clock).stats(), { maxConcurrent: undefined, maxPending: 1_000 });
});

t.test("what waits to acquire has its own deadline, within the total one", async (t) => {
  const clock = new FakeClock();
  const guard = guardOn(clock, { timeoutMs: 1_000, acquireTimeoutMs: 100 });
  const codes: string[] = [];
  const run = (operation: Parameters<Guard["run"]>[0]): void => {
    guard.run(operation).catch((error: unknown) => codes.push(`${(error as StewardError).code} at ${clock.now()}`));
  };
  run(() => new Promise(() => {}));
  run((call) => (call.acquired(), new Promise(() => {})));
  run((call) => (call.acquired(300), new Promise(() => {})));
  await clock.advance(99);
  t.strictSame(codes, []);
  await clock.advance(2_000);
  t.strictSame(codes, ["DEADLINE_EXCEEDED at 100", "DEADLINE_EXCEEDED at 300", "DEADLINE_EXCEEDED at 1000"]);
});

t.test("a call learns its deadline, and that there is none", async (t) => {
  const clock = new FakeClock(500);
  const deadlineOf = (guard: Guard, timeoutMs?: number): Promise<number> =>
    guard.run((call) => call.deadline, { timeoutMs });
  t.equal(await deadlineOf(guardOn(clock)), Infinity);
  t.equal(await deadlineOf(guardOn(clock), 100), 600);
  t.equal(await deadlineOf(guardOn(clock, { timeoutMs: 50 }), 100), 550);
  t.equal(await runWithContext({ deadline: 520 }, () => deadlineOf(guardOn(clock, { timeoutMs: 50 }))), 520);
  t.equal(clock.pending <= 1, true, "deadlines of calls that ended are taken out");
  await t.rejects(
    runWithContext({ deadline: 500 }, () => guardOn(clock).run(() => t.fail("it has no time"))),
    { code: "DEADLINE_EXCEEDED" },
  );
});

t.test("a request's signal ends its calls, a call's own signal before it", async (t) => {
  const guard = guardOn(new FakeClock());
  const [request, own] = [new AbortController(), new AbortController()];
  const hang = (): Promise<never> => new Promise(() => {});
  const [first, second] = runWithContext({ signal: request.signal }, () => [
    guard.run(hang),
    guard.run(hang, { signal: own.signal }),
  ]);
  request.abort(new Error("the client has gone"));
  await t.rejects(first, { code: "CALL_ABORTED", cause: { message: "the client has gone" } });
  t.equal(guard.stats().inUse, 1);
  own.abort();
  await t.rejects(second, { code: "CALL_ABORTED", message: "db: the caller gave up" });
  await t.rejects(guard.run(hang, { signal: own.signal }), { code: "CALL_ABORTED" }, "it was aborted before");
  t.match(guard.stats(), { inUse: 0, started: 2 });
});

t.test("the signal of a call aborts with its reason, and only where it was given up", async (t) => {
  const clock = new FakeClock();
  const guard = guardOn(clock, { timeoutMs: 100 });
  let given: AbortSignal | undefined;
  await guard.run((call) => void (given = call.signal));
  t.notOk(given?.aborted);
  const late = guard.run((call) => ((given = call.signal), new Promise(() => {}))).catch((error: unknown) => error);
  await clock.advance(110);
  t.equal(given?.reason, await late);
});

t.test("an operation that throws at once has failed, and one that gives a value at once has succeeded", async (t) => {
  const guard = guardOn(new FakeClock());
  await t.rejects(
    guard.run(() => {
      throw new Error("at once");
    }),
    { message: "at once" },
  );
  t.equal(await guard.run(() => 0), 0);
  await guard.run(() => Promise.reject()).then(t.fail, (error: unknown) => t.equal(error, undefined));
  t.match(guard.stats(), { started: 3, succeeded: 1, failed: 2, inUse: 0 });
});

t.test("a wait for it to be idle waits for what runs, what is queued and what tries again", async (t) => {
  const clock = new FakeClock();
  const guard = guardOn(clock, { maxConcurrent: 1, retry: { baseDelayMs: 100, maxAttempts: 2 } });
  let idleAt = -1;
  const [first, second] = [guard.run(() => clock.sleep(50)), guard.run(() => clock.sleep(50))];
  void guard.idle().then(() => (idleAt = clock.now()));
  await clock.runUntil(Promise.all([first, second]));
  await clock.settle();
  t.equal(idleAt, 100);
  let attempts = 0;
  const trying = guard.run(() => (++attempts === 1 ? Promise.reject(new Error("first")) : clock.sleep(50)), {
    idempotent: true,
  });
  await clock.settle();
  t.notOk(guard.isIdle, "between two attempts");
  const idle = guard.idle().then(() => attempts);
  await clock.runUntil(trying);
  t.equal(await idle, 2);
  t.ok(guard.isIdle);
});

t.test("an option says which failures are worth another attempt, and own errors say it themselves", async (t) => {
  const clock = new FakeClock();
  const attempts = async (reason: Error, options: Partial<GuardOptions> = {}): Promise<number> => {
    const guard = guardOn(clock, { retry: { maxAttempts: 3, baseDelayMs: 1 }, ...options });
    await clock.runUntil(guard.run(() => Promise.reject(reason), { idempotent: true }).catch(() => {}));
    return guard.stats().started;
  };
  t.equal(await attempts(new Error("reset")), 3);
  t.equal(await attempts(new StewardError("BUSY", "busy", { retryable: true })), 3);
  t.equal(await attempts(new StewardError("BAD", "bad", { retryable: false })), 1);
  t.equal(await attempts(new Error("reset"), { judge: () => "none" }), 1, "it says nothing about the resource");
  t.equal(await attempts(new Error("reset"), { isRetryable: () => false }), 1);
  t.equal(await attempts(new StewardError("BAD", "bad"), { isRetryable: () => true }), 3);
  t.equal(await attempts(new Error("reset"), { retry: undefined }), 1);
});

t.test("no attempt begins at the deadline or behind it", async (t) => {
  const clock = new FakeClock();
  class Trying extends GuardedUse {
    pauseMs: number | undefined;
    readonly atLeastMs: number;
    constructor(atLeastMs: number) {
      super();
      this.atLeastMs = atLeastMs;
    }
    protected override begin(): void {
      this.pauseMs = this.claimRetry(new Error("reset"), this.atLeastMs);
      this.succeed();
    }
    protected override giveUp(): void {}
  }
  const pause = (atLeastMs: number): number | undefined => {
    const use = new Trying(atLeastMs);
    guardOn(clock, { timeoutMs: 100, retry: { baseDelayMs: 1 } }).enter(use);
    return use.pauseMs;
  };
  t.equal(pause(99), 99);
  t.equal(pause(100), undefined);
});

t.test("what is paused lets nothing begin, not even where places are free", async (t) => {
  const guard = guardOn(new FakeClock());
  guard.pause();
  t.ok(guard.isFull);
  const call = guard.run(() => "later");
  t.match(guard.stats(), { inUse: 0, pending: 1 });
  guard.resume();
  t.equal(await call, "later");
  t.notOk(guard.isFull);
});

t.test("a value without a guard says what to declare, and options of a call are checked", async (t) => {
  await t.rejects(
    guarded({}, () => 1),
    { code: "NOT_GUARDED", message: /declare `guard: \{\}`/ },
  );
  t.throws(() => guarded({}, () => 1, { timeoutMs: -1 }), { code: "OPTIONS_INVALID" });
  t.throws(() => guarded({}, () => 1, { timeout: 1 } as object), { message: /did you mean "timeoutMs"/ });
  t.end();
});

t.test("a value is used through the guard that was planned for it, which its first call makes", async (t) => {
  const clock = new FakeClock();
  const options = { resource: "store", clock, maxConcurrent: 1, maxPending: 0 };
  const planned: PlannedGuard = { options, guard: undefined };
  const value = {};
  guardValue(value, planned);
  t.equal(planned.guard, undefined);
  t.equal(await guarded(value, () => "read"), "read");
  const made = planned.guard;
  const held = guarded(value, () => clock.sleep(1_000), { timeoutMs: 100 });
  await t.rejects(
    guarded(value, () => 1),
    { code: "OVERLOADED" },
  );
  await t.rejects(clock.runUntil(held), { code: "DEADLINE_EXCEEDED" });
  t.equal(planned.guard, made, "it is made once");
  t.match(made?.stats(), { started: 2, succeeded: 1, overloaded: 1, timedOut: 1 });
});
