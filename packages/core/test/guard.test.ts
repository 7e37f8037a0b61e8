import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { FakeClock } from "../src/testing.ts";
import fc from "fast-check";
import t from "tap";
import { GuardedUse, Histogram } from "../src/driver.ts";
import {
  CHANNELS,
  currentContext,
  Guard,
  isStewardError,
  runWithContext,
  StewardError,
  type CallAbout,
  type CallBegin,
  type CallEnd,
  type CallEvent,
  type GuardOptions,
  type RequestSpan,
} from "../src/index.ts";
import { subscribe, unsubscribe } from "node:diagnostics_channel";

/** A promise and its handles. */
function deferred<T>() {
  let resolve: (value: T) => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<T>((yes, no) => ([resolve, reject] = [yes, no]));
  return { promise, resolve, reject };
}

function guardOn(clock: FakeClock, options: Partial<GuardOptions> = {}): Guard {
  return new Guard({ resource: "db", clock, ...options });
}

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "ok",
    (error: unknown) => (isStewardError(error) ? error.code : String(error)),
  );

t.test("a call that had to wait runs in the context of its own caller, not of the one that made room", async (t) => {
  const store = new AsyncLocalStorage<string>();
  const guard = guardOn(new FakeClock(), { maxConcurrent: 1, maxPending: 2 });
  const first = deferred<void>();
  const seen: unknown[] = [];
  const call = (requestId: string, deadline: number): Promise<void> =>
    store.run(requestId, () =>
      runWithContext({ requestId, deadline }, () =>
        guard.run(async () => {
          await first.promise;
          seen.push([store.getStore(), currentContext()?.requestId, currentContext()?.deadline]);
        }),
      ),
    );
  const calls = [call("one", 1_000), call("two", 2_000), call("three", 3_000)];
  first.resolve();
  await Promise.all(calls);
  t.same(seen, [
    ["one", "one", 1_000],
    ["two", "two", 2_000],
    ["three", "three", 3_000],
  ]);
});

t.test("a call runs at once while there is a place, and waits its turn when there is none", async (t) => {
  const guard = guardOn(new FakeClock(), { maxConcurrent: 1, maxPending: 2 });
  const first = deferred<string>();
  const order: string[] = [];
  const one = guard.run(() => first.promise);
  const two = guard.run(() => void order.push("two"));
  const three = guard.run(() => void order.push("three"));
  t.match(guard.stats(), { inUse: 1, pending: 2, started: 1 });
  t.equal(await codeOf(guard.run(() => 1)), "OVERLOADED");
  first.resolve("done");
  t.equal(await one, "done");
  await Promise.all([two, three]);
  t.strictSame(order, ["two", "three"]);
  t.match(guard.stats(), { inUse: 0, pending: 0, started: 3, succeeded: 3, overloaded: 1 });
});

t.test("the deadline covers the queue, and a late result is ignored", async (t) => {
  const clock = new FakeClock();
  const guard = guardOn(clock, { maxConcurrent: 1, maxPending: 5, timeoutMs: 1_000 });
  const slow = deferred<string>();
  const running = guard
    .run(() => slow.promise)
    .then(
      () => "ok",
      (error: StewardError) => error,
    );
  await clock.advance(500);
  const queued = guard
    .run(() => "never")
    .then(
      () => "ok",
      (error: StewardError) => error,
    );
  await clock.advance(520);
  const late = await running;
  t.match(late, { code: "DEADLINE_EXCEEDED", message: /db: no answer after 1\d\d\d ms/, resource: "db" });
  t.equal(await queued, "ok", "it took the place that the first one left");
  slow.resolve("too late");
  await clock.settle();
  t.match(guard.stats(), { inUse: 0, started: 2, succeeded: 1, failed: 1, timedOut: 1 });
});

t.test("a call that holds its place until the driver lets go keeps others out after its deadline", async (t) => {
  const clock = new FakeClock();
  const guard = guardOn(clock, { maxConcurrent: 1, maxPending: 5, timeoutMs: 100, holdUntilSettled: true });
  const slow = deferred<string>();
  const first = codeOf(guard.run(() => slow.promise));
  await clock.advance(110);
  t.equal(await first, "DEADLINE_EXCEEDED");
  const second = guard.run(() => "mine");
  t.match(guard.stats(), { inUse: 1, pending: 1 });
  slow.resolve("at last");
  t.equal(await second, "mine");
});

t.test("the smallest of call, guard and request deadline counts", async (t) => {
  const clock = new FakeClock();
  const guard = guardOn(clock, { timeoutMs: 1_000 });
  const hang = (): Promise<never> => new Promise(() => {});
  const own = codeOf(guard.run(hang, { timeoutMs: 100 }));
  const request = codeOf(runWithContext({ deadline: clock.now() + 200 }, () => guard.run(hang)));
  const whole = codeOf(guard.run(hang, { timeoutMs: 5_000 }));
  await clock.advance(110);
  t.equal(await own, "DEADLINE_EXCEEDED");
  await clock.advance(100);
  t.equal(await request, "DEADLINE_EXCEEDED");
  t.equal(guard.stats().inUse, 1);
  await clock.advance(800);
  t.equal(await whole, "DEADLINE_EXCEEDED");
  t.equal(
    await codeOf(runWithContext({ deadline: clock.now() - 1 }, () => guard.run(() => t.fail("not run")))),
    "DEADLINE_EXCEEDED",
  );
});

t.test("an abort settles at once, frees the place, and reaches the operation", async (t) => {
  const guard = guardOn(new FakeClock(), { maxConcurrent: 1, maxPending: 5 });
  const abort = new AbortController();
  let seen: AbortSignal | undefined;
  const running = codeOf(guard.run((call) => ((seen = call.signal), new Promise(() => {})), { signal: abort.signal }));
  const queued = codeOf(guard.run(() => t.fail("not run"), { signal: abort.signal }));
  const next = guard.run(() => "next");
  abort.abort();
  t.equal(await running, "CALL_ABORTED");
  t.equal(await queued, "CALL_ABORTED");
  t.equal(await next, "next");
  t.ok(seen?.aborted);
});

t.test("a guard that refuses says why, and one that is idle says so", async (t) => {
  let closed = true;
  const guard = guardOn(new FakeClock(), {
    refusal: () => (closed ? new StewardError("RESOURCE_UNAVAILABLE", "db: draining") : undefined),
  });
  t.equal(await codeOf(guard.run(() => 1)), "RESOURCE_UNAVAILABLE");
  closed = false;
  const work = deferred<number>();
  const call = guard.run(() => work.promise);
  let idle = false;
  void guard.idle().then(() => (idle = true));
  await Promise.resolve();
  t.notOk(idle);
  work.resolve(1);
  await call;
  await guard.idle();
  t.ok(idle);
});

t.test("an idempotent call is made again, within its deadline and the budget; another is not", async (t) => {
  const clock = new FakeClock();
  const guard = guardOn(clock, { retry: { maxAttempts: 3, baseDelayMs: 10 }, timeoutMs: 1_000 });
  let attempts = 0;
  const flaky = async (): Promise<string> => {
    if (++attempts < 3) throw new Error("reset");
    return "third";
  };
  t.equal(await clock.runUntil(guard.run(flaky, { idempotent: true })), "third");
  t.equal(attempts, 3);
  attempts = 0;
  await t.rejects(guard.run(flaky), { message: "reset" });
  t.equal(attempts, 1);
  t.match(guard.stats(), { retried: 2, inUse: 0, pending: 0 });
  const broken = (): Promise<never> =>
    Promise.reject(new StewardError("BAD_INPUT", "never again", { retryable: false }));
  await t.rejects(guard.run(broken, { idempotent: true }), { code: "BAD_INPUT" });
  const slow = guardOn(clock, { retry: { baseDelayMs: 1e6, maxDelayMs: 1e6 }, timeoutMs: 50 });
  await t.rejects(
    clock.runUntil(slow.run(() => Promise.reject(new Error("first")), { idempotent: true })),
    { message: "first" },
    "no time is left for another",
  );
});

t.test("a deadline or an abort ends the wait between two attempts", async (t) => {
  const clock = new FakeClock();
  const guard = guardOn(clock, { retry: { baseDelayMs: 400, maxDelayMs: 400 } });
  const abort = new AbortController();
  const call = codeOf(guard.run(() => Promise.reject(new Error("reset")), { idempotent: true, signal: abort.signal }));
  await clock.settle();
  abort.abort();
  t.equal(await call, "CALL_ABORTED");
  await clock.advance(1_000);
  t.equal(guard.stats().started, 1);
});

t.test("an outage is not multiplied: retries stay within the budget", async (t) => {
  const clock = new FakeClock();
  const guard = guardOn(clock, { retry: { maxAttempts: 3, baseDelayMs: 1, budgetRatio: 0.1 } });
  const calls = Array.from({ length: 200 }, () =>
    guard.run(() => Promise.reject(new Error("down")), { idempotent: true }).catch(() => {}),
  );
  await clock.runUntil(Promise.all(calls));
  t.ok(guard.stats().retried <= 5 + 200 * 0.1, `${guard.stats().retried} retries`);
});

t.test("every call that ends is published to its subscribers", async (t) => {
  const clock = new FakeClock();
  const seen: CallEvent[] = [];
  const listener = (event: unknown): void => void seen.push(event as CallEvent);
  subscribe(CHANNELS.call, listener);
  t.teardown(() => unsubscribe(CHANNELS.call, listener));
  const guard = guardOn(clock, { maxConcurrent: 1, maxPending: 1 });
  const work = deferred<number>();
  const one = guard.run(() => work.promise, { operation: () => "READ" });
  const two = runWithContext({ traceContext: "of the second" }, () =>
    guard.run(() => Promise.reject(new Error("bad")), { operation: "WRITE" }),
  ).catch(() => {});
  await clock.advance(30);
  work.resolve(1);
  await Promise.all([one, two]);
  t.match(seen, [
    { resource: "db", operation: "READ", durationMs: 30, queuedMs: 0, traceContext: undefined, error: undefined },
    {
      resource: "db",
      operation: "WRITE",
      durationMs: 30,
      queuedMs: 30,
      traceContext: "of the second",
      error: { message: "bad" },
    },
  ]);
});

t.test("a call belongs to the span that a subscriber makes of it, and says what it is", async (t) => {
  const begins: CallBegin[] = [];
  const ends: CallEvent[] = [];
  let inSpan = 0;
  const span: RequestSpan = {
    traceContext: "of the span",
    run: (work) => {
      inSpan++;
      return work();
    },
  };
  const begin = (event: unknown): void => {
    begins.push(event as CallBegin);
    Object.assign(event as CallBegin, { span });
  };
  const end = (event: unknown): void => void ends.push(event as CallEvent);
  subscribe(CHANNELS.callBegin, begin);
  subscribe(CHANNELS.call, end);
  t.teardown(() => {
    unsubscribe(CHANNELS.callBegin, begin);
    unsubscribe(CHANNELS.call, end);
  });
  const guard = guardOn(new FakeClock());
  const about = (ended?: CallEnd): CallAbout => ({ attributes: { "call.ended": ended !== undefined } });
  const traceContext = await guard.run(() => currentContext()?.traceContext, { about });
  t.equal(traceContext, "of the span");
  t.equal(inSpan, 1);
  t.match(begins, [{ about: { attributes: { "call.ended": false } } }]);
  t.match(ends, [{ span, traceContext: "of the span", about: { attributes: { "call.ended": true } } }]);
});

type Command =
  | { readonly kind: "call" | "abort" | "finish" | "fail"; readonly at: number }
  | { readonly kind: "wait"; readonly ms: number };
const command: fc.Arbitrary<Command> = fc.oneof(
  fc.record({
    kind: fc.constantFrom("call" as const, "call" as const, "abort" as const, "finish" as const, "fail" as const),
    at: fc.nat(),
  }),
  fc.record({ kind: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 150 }) }),
);

t.test(
  "whatever happens, no waiter is lost, nobody overtakes, bounds hold and every call settles by its deadline",
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(command, { maxLength: 60, size: "max" }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 0, max: 4 }),
        async (commands, maxConcurrent, maxPending) => {
          const clock = new FakeClock();
          const guard = guardOn(clock, { maxConcurrent, maxPending, timeoutMs: 100 });
          const calls: {
            readonly id: number;
            readonly since: number;
            readonly abort: AbortController;
            work?: ReturnType<typeof deferred<number>>;
            settledAt?: number;
          }[] = [];
          const begun: number[] = [];
          for (const step of commands) {
            if (step.kind === "wait") await clock.advance(step.ms);
            else if (step.kind === "call") {
              const call: (typeof calls)[number] = {
                id: calls.length,
                since: clock.now(),
                abort: new AbortController(),
              };
              calls.push(call);
              const run = guard.run(
                () => {
                  begun.push(call.id);
                  call.work = deferred<number>();
                  return call.work.promise;
                },
                { signal: call.abort.signal },
              );
              void run.then(
                () => (call.settledAt = clock.now()),
                () => (call.settledAt = clock.now()),
              );
            } else {
              const call = calls[step.at % Math.max(1, calls.length)];
              if (step.kind === "abort") call?.abort.abort();
              else if (step.kind === "finish") call?.work?.resolve(1);
              else call?.work?.reject(new Error("x"));
            }
            await clock.settle();
            const { inUse, pending } = guard.stats();
            assert.ok(inUse <= maxConcurrent && pending <= maxPending);
            assert.ok(pending === 0 || inUse === maxConcurrent, "nobody waits while there is a place");
          }
          await clock.advance(200);
          assert.deepEqual(
            begun,
            begun.slice().sort((a, b) => a - b),
            "in the order of asking",
          );
          for (const call of calls)
            assert.ok(call.settledAt !== undefined && call.settledAt - call.since <= 108, `call ${call.id} settled`);
          const stats = guard.stats();
          assert.equal(stats.inUse + stats.pending, 0);
          assert.equal(stats.started, stats.succeeded + stats.failed);
        },
      ),
      { numRuns: 300 },
    );
  },
);

t.test("an answered use is a success for the breaker, and lives on as a lease between chunks", async (t) => {
  const clock = new FakeClock();
  const guard = guardOn(clock, { timeoutMs: 100, breaker: {} });
  class Download extends GuardedUse {
    error: unknown;
    protected override begin(): void {}
    protected override giveUp(error: unknown): void {
      this.error = error;
    }
  }
  const download = new Download();
  guard.enter(download);
  await clock.advance(50);
  download.answered(80);
  for (let i = 0; i < 10; i++) {
    await clock.advance(60);
    download.answered(80);
  }
  t.equal(download.error, undefined, "600 ms, but never 80 without a chunk");
  t.match(guard.stats(), { inUse: 1, timedOut: 0 });
  t.equal(guard.durations.sum, 0.05, "what counts ended with the first evidence");
  await clock.advance(100);
  t.match(download.error, { code: "DEADLINE_EXCEEDED" });
  t.match(guard.stats(), { inUse: 0, breaker: { consecutiveFailures: 0 } });
});

t.test("series count requests by outcome, durations and the state of the breaker", async (t) => {
  const clock = new FakeClock();
  const guard = guardOn(clock, { breaker: { consecutiveFailures: 2 }, maxConcurrent: 1 });
  await clock.runUntil(guard.run(() => clock.sleep(30)));
  for (let i = 0; i < 3; i++) await guard.run(() => Promise.reject(new Error("x"))).catch(() => {});
  const series = [...guard.metrics({ resource: "db" })];
  const valueOf = (name: string, outcome?: string) =>
    series.find((s) => s.name === name && (outcome === undefined || s.attributes["outcome"] === outcome))?.value;
  t.equal(valueOf("dependency_requests_total", "success"), 1);
  t.equal(valueOf("dependency_requests_total", "failure"), 2);
  t.equal(valueOf("dependency_requests_total", "circuit_open"), 1);
  t.equal(valueOf("dependency_circuit_open"), 1);
  t.match(valueOf("dependency_duration_seconds"), { count: 3, sum: 0.03 });
  t.ok(series.every(({ attributes }) => attributes["resource"] === "db"));
});

t.test("a histogram counts each value in the first bucket that holds it", (t) => {
  const histogram = new Histogram([1, 2, 5]);
  for (const value of [0, 1, 1.5, 2, 5, 5.1, 100]) histogram.record(value);
  t.strictSame(histogram.value(), { bounds: [1, 2, 5], counts: [2, 2, 1, 2], sum: 114.6, count: 7 });
  t.end();
});
