import CircuitBreaker from "opossum";
import type { Arm } from "../../arms/arm.ts";
import { type Call, failingWork, guarded, repeat, work } from "../calling.ts";

const FOREVER = 2 ** 31 - 1;
const LEAN = { rollingPercentilesEnabled: false, enableSnapshots: false } as const;

function fire(options: CircuitBreaker.Options): Call {
  const breaker = new CircuitBreaker(work, options);
  return () => breaker.fire();
}

/** One whose work succeeds at first and then fails, or the other way round. */
async function turning(
  options: CircuitBreaker.Options,
  first: typeof work,
  then: typeof work,
  calls: number,
): Promise<Call> {
  let now = first;
  const breaker = new CircuitBreaker(() => now(), options);
  await repeat(() => breaker.fire(), calls);
  now = then;
  return () => breaker.fire();
}

function failing(samples: number, options: CircuitBreaker.Options): Promise<Call> {
  const patient = { timeout: 1_000, volumeThreshold: FOREVER, rollingCountTimeout: 600_000, ...options };
  return turning(patient, work, failingWork, samples);
}

/** Breakers of opossum; it has no retry. */
export const arms: readonly Arm[] = [
  guarded("opossum: defaults (no retry)", "closed", () => fire({})),
  guarded("opossum: lean (no retry)", "closed", () => fire({ timeout: 1_000, ...LEAN })),
  guarded("opossum: without timeout", "breaker", () => fire({ timeout: false, ...LEAN })),
  guarded("opossum: open", "open", () => turning({ resetTimeout: FOREVER, ...LEAN }, failingWork, work, 10)),
  guarded("opossum: failing, after 100", "failing, 100 samples", () => failing(100, {})),
  guarded("opossum: lean, failing, after 100,000", "failing, 100,000 samples", () => failing(100_000, LEAN)),
];
