import {
  circuitBreaker,
  ConsecutiveBreaker,
  ExponentialBackoff,
  handleAll,
  type IBreaker,
  retry,
  SamplingBreaker,
  timeout,
  TimeoutStrategy,
  wrap,
} from "cockatiel";
import type { Arm } from "../../arms/arm.ts";
import { type Call, failingWork, guarded, repeat, work } from "../calling.ts";

const FOREVER = 2 ** 31;

function closed(strategy: TimeoutStrategy, abortOnReturn: boolean): Call {
  const again = retry(handleAll, { maxAttempts: 3, backoff: new ExponentialBackoff() });
  const breaker = circuitBreaker(handleAll, { halfOpenAfter: 5_000, breaker: new ConsecutiveBreaker(5) });
  const policy = wrap(again, breaker, timeout(1_000, { strategy, abortOnReturn }));
  return () => policy.execute(work);
}

function breaking(breaker: IBreaker): Call {
  const policy = circuitBreaker(handleAll, { halfOpenAfter: 5_000, breaker });
  return () => policy.execute(work);
}

async function open(): Promise<Call> {
  const policy = circuitBreaker(handleAll, { halfOpenAfter: FOREVER, breaker: new ConsecutiveBreaker(5) });
  await repeat(() => policy.execute(failingWork), 10);
  return () => policy.execute(work);
}

async function failing(samples: number): Promise<Call> {
  const breaker = new SamplingBreaker({ threshold: 0.999, duration: FOREVER, minimumRps: FOREVER });
  const policy = wrap(
    circuitBreaker(handleAll, { halfOpenAfter: 5_000, breaker }),
    timeout(1_000, { strategy: TimeoutStrategy.Cooperative, abortOnReturn: false }),
  );
  await repeat(() => policy.execute(work), samples);
  return () => policy.execute(failingWork);
}

/** Policies of cockatiel. Its cooperative timeout asks the work to end and waits for it; ours gives up by itself, as its aggressive one. */
export const arms: readonly Arm[] = [
  guarded("cockatiel: wrap(retry, breaker, timeout)", "closed", () => closed(TimeoutStrategy.Cooperative, true)),
  guarded("cockatiel: and abortOnReturn: false", "closed", () => closed(TimeoutStrategy.Cooperative, false)),
  guarded("cockatiel: aggressive", "closed", () => closed(TimeoutStrategy.Aggressive, false)),
  guarded("cockatiel: consecutive breaker", "breaker", () => breaking(new ConsecutiveBreaker(5))),
  guarded("cockatiel: sampling breaker", "breaker", () =>
    breaking(new SamplingBreaker({ threshold: 0.2, duration: 30_000 })),
  ),
  guarded("cockatiel: open", "open", open),
  guarded("cockatiel: failing, after 100", "failing, 100 samples", () => failing(100)),
  guarded("cockatiel: failing, after 100,000", "failing, 100,000 samples", () => failing(100_000)),
];
