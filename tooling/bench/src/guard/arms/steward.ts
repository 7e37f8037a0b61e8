import { Guard, systemClock, type GuardOptions } from "@steward/core";
import type { Arm } from "../../arms/arm.ts";
import { type Call, failingWork, guarded, repeat, work } from "../calling.ts";

const FOREVER = 2 ** 31 - 1;

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

function closed(options: Partial<GuardOptions>): Call {
  const guard = guardWith({ timeoutMs: 1_000, breaker: {}, retry: {}, ...options });
  const idempotent = { idempotent: true };
  return () => guard.run(work, idempotent);
}

/** As a guard uses it: around the work, with a look at the clock before and after. */
function breakerAlone(): Call {
  const { breaker } = guardWith({ breaker: {} });
  if (breaker === undefined) throw new Error("a guard with a breaker has one");
  return () => {
    const since = performance.now();
    const ticket = breaker.admit(since);
    const promise = work();
    const now = performance.now();
    breaker.succeeded(ticket, now, now - since);
    return promise;
  };
}

async function open(): Promise<Call> {
  const guard = guardWith({ timeoutMs: 1_000, retry: {}, breaker: { breakDurationMs: FOREVER } });
  await repeat(() => guard.run(failingWork), 10);
  return () => guard.run(work);
}

/** Guards of Steward. */
export const arms: readonly Arm[] = [
  guarded("Steward: retry, breaker, deadline", "closed", () => closed({})),
  guarded("Steward: and a bounded queue", "closed", () => closed({ maxConcurrent: 100, maxPending: 1_000 })),
  guarded("Steward: guard with a breaker only", "breaker", () => {
    const guard = guardWith({ breaker: {} });
    return () => guard.run(work);
  }),
  guarded("Steward: the breaker alone", "breaker", breakerAlone),
  guarded("Steward: open", "open", open),
  guarded("Steward: failing, after 100", "failing, 100 samples", () => failing(100)),
  guarded("Steward: failing, after 100,000", "failing, 100,000 samples", () => failing(100_000)),
];
