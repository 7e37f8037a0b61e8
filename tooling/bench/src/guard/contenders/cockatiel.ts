import {
  circuitBreaker,
  ConsecutiveBreaker,
  ExponentialBackoff,
  handleAll,
  retry,
  SamplingBreaker,
  timeout,
  TimeoutStrategy,
  wrap,
} from "cockatiel";
import { failingWork, repeat, work, type Call, type GuardVariant } from "../contender.ts";

const FOREVER = 2 ** 31;

function closed(strategy: TimeoutStrategy, abortOnReturn: boolean): Call {
  const again = retry(handleAll, { maxAttempts: 3, backoff: new ExponentialBackoff() });
  const breaker = circuitBreaker(handleAll, { halfOpenAfter: 5_000, breaker: new ConsecutiveBreaker(5) });
  const policy = wrap(again, breaker, timeout(1_000, { strategy, abortOnReturn }));
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
export const variants: readonly GuardVariant[] = [
  {
    name: "cockatiel: wrap(retry, breaker, timeout)",
    kind: "closed",
    open: () => closed(TimeoutStrategy.Cooperative, true),
  },
  {
    name: "cockatiel: and abortOnReturn: false",
    kind: "closed",
    open: () => closed(TimeoutStrategy.Cooperative, false),
  },
  {
    name: "cockatiel: aggressive, abortOnReturn: false",
    kind: "closed",
    open: () => closed(TimeoutStrategy.Aggressive, false),
  },
  {
    name: "cockatiel: consecutive breaker",
    kind: "breaker",
    open() {
      const policy = circuitBreaker(handleAll, { halfOpenAfter: 5_000, breaker: new ConsecutiveBreaker(5) });
      return () => policy.execute(work);
    },
  },
  {
    name: "cockatiel: sampling breaker",
    kind: "breaker",
    open() {
      const breaker = new SamplingBreaker({ threshold: 0.2, duration: 30_000 });
      const policy = circuitBreaker(handleAll, { halfOpenAfter: 5_000, breaker });
      return () => policy.execute(work);
    },
  },
  {
    name: "cockatiel: open",
    kind: "open",
    async open() {
      const policy = circuitBreaker(handleAll, { halfOpenAfter: FOREVER, breaker: new ConsecutiveBreaker(5) });
      await repeat(() => policy.execute(failingWork), 10);
      return () => policy.execute(work);
    },
  },
  { name: "cockatiel: failing, after 100", kind: "failing, 100 samples", open: () => failing(100) },
  { name: "cockatiel: failing, after 100,000", kind: "failing, 100,000 samples", open: () => failing(100_000) },
];
