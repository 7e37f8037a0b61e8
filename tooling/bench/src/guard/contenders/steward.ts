import { Breaker, Guard, systemClock, type GuardOptions } from "@steward/core";
import { failingWork, repeat, work, type Call, type GuardVariant } from "../contender.ts";

const FOREVER = 2 ** 31;

function guardWith(options: Partial<GuardOptions>): Guard {
  return new Guard({ resource: "db", clock: systemClock, ...options });
}

/** Fails without ever opening, after that many successes. */
async function failing(samples: number): Promise<Call> {
  const breaker = { consecutiveFailures: FOREVER, minimumThroughput: FOREVER, samplingDurationMs: FOREVER };
  const guard = guardWith({ timeoutMs: 1_000, breaker });
  await repeat(() => guard.run(work), samples);
  return () => guard.run(failingWork);
}

/** Guards of Steward. */
export const variants: readonly GuardVariant[] = [
  {
    name: "Steward: retry, breaker, deadline",
    kind: "closed",
    open() {
      const guard = guardWith({ timeoutMs: 1_000, breaker: {}, retry: {} });
      const idempotent = { idempotent: true };
      return () => guard.run(work, idempotent);
    },
  },
  {
    name: "Steward: and a bounded queue",
    kind: "closed",
    open() {
      const guard = guardWith({ timeoutMs: 1_000, breaker: {}, retry: {}, maxConcurrent: 100, maxPending: 1_000 });
      const idempotent = { idempotent: true };
      return () => guard.run(work, idempotent);
    },
  },
  {
    name: "Steward: guard with a breaker only",
    kind: "breaker",
    open() {
      const guard = guardWith({ breaker: {} });
      return () => guard.run(work);
    },
  },
  {
    name: "Steward: the breaker alone",
    kind: "breaker",
    // As a guard uses it: around the work, with a look at the clock before and after.
    open() {
      const breaker = new Breaker("db");
      return () => {
        const since = performance.now();
        const ticket = breaker.admit(since, Number.POSITIVE_INFINITY);
        const promise = work();
        const now = performance.now();
        breaker.succeeded(ticket, now, now - since);
        return promise;
      };
    },
  },
  {
    name: "Steward: open",
    kind: "open",
    async open() {
      const guard = guardWith({ timeoutMs: 1_000, retry: {}, breaker: { breakDurationMs: FOREVER } });
      await repeat(() => guard.run(failingWork), 10);
      return () => guard.run(work);
    },
  },
  { name: "Steward: failing, after 100", kind: "failing, 100 samples", open: () => failing(100) },
  { name: "Steward: failing, after 100,000", kind: "failing, 100,000 samples", open: () => failing(100_000) },
];
