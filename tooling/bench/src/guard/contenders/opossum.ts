import CircuitBreaker from "opossum";
import { failingWork, repeat, work, type Call, type GuardVariant } from "../contender.ts";

const FOREVER = 2 ** 31 - 1;
const LEAN = { rollingPercentilesEnabled: false, enableSnapshots: false } as const;

function fire(options: CircuitBreaker.Options): Call {
  const breaker = new CircuitBreaker(work, options);
  return () => breaker.fire();
}

async function failing(samples: number, options: CircuitBreaker.Options): Promise<Call> {
  let down = false;
  const breaker = new CircuitBreaker(() => (down ? failingWork() : work()), {
    timeout: 1_000,
    volumeThreshold: FOREVER,
    rollingCountTimeout: 600_000,
    ...options,
  });
  await repeat(() => breaker.fire(), samples);
  down = true;
  return () => breaker.fire();
}

/** Breakers of opossum; it has no retry. */
export const variants: readonly GuardVariant[] = [
  { name: "opossum: defaults (no retry)", kind: "closed", open: () => fire({}) },
  {
    name: "opossum: without percentiles and snapshots (no retry)",
    kind: "closed",
    open: () => fire({ timeout: 1_000, ...LEAN }),
  },
  { name: "opossum: without timeout", kind: "breaker", open: () => fire({ timeout: false, ...LEAN }) },
  {
    name: "opossum: open",
    kind: "open",
    async open() {
      let down = true;
      const options = { resetTimeout: FOREVER, ...LEAN };
      const breaker = new CircuitBreaker(() => (down ? failingWork() : work()), options);
      await repeat(() => breaker.fire(), 10);
      down = false;
      return () => breaker.fire();
    },
  },
  { name: "opossum: failing, after 100", kind: "failing, 100 samples", open: () => failing(100, {}) },
  { name: "opossum: failing, after 100,000", kind: "failing, 100,000 samples", open: () => failing(100_000, {}) },
  {
    name: "opossum: without percentiles, failing, after 100,000",
    kind: "failing, 100,000 samples",
    open: () => failing(100_000, LEAN),
  },
];
