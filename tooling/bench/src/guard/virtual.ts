// A process of its own: lives through outages in virtual time with each guard, and prints what callers went through.
import { Guard } from "@steward/core";
import {
  circuitBreaker,
  ConsecutiveBreaker,
  handleAll,
  SamplingBreaker,
  timeout,
  TimeoutStrategy,
  wrap,
  type IBreaker,
} from "cockatiel";
import CircuitBreaker from "opossum";
import { type Experience, type Guarded, live, type Outage } from "./outage.ts";
import { World } from "./world.ts";

const RUNS = 20;
const TIMEOUT_MS = 1_000;

/** What one guard went through in one plan, worst of its runs. */
export interface Lived extends Nullable<Experience> {
  readonly outage: OutageName;
  readonly guard: string;
  readonly runs: number;
}

/** JSON has no `Infinity`: what never came is `null`. */
type Nullable<T> = { readonly [Key in keyof T]: T[Key] | null };

/** 20 ms at the 99th percentile: 5 to 20 ms. */
const usual = (random: number): number => 5 + random * 15;

const steady = {
  rate: 100,
  healthyMs: 30_000,
  downMs: 10_000,
  afterMs: 45_000,
  fault: "hang",
  latencyMs: usual,
} as const;

const outages = {
  "hangs, with a history": steady,
  "hangs, without a history": { ...steady, healthyMs: 0 },
  "refuses connections": { ...steady, fault: "refuse" },
  "hangs under heavy load": { ...steady, rate: 2_000, healthyMs: 2_000, afterMs: 5_000, latencyMs: (r) => 20 + r * 10 },
  "5 % of calls take 800 ms, 10 min": {
    ...steady,
    healthyMs: 600_000,
    downMs: 0,
    afterMs: 0,
    latencyMs: (r) => (r < 0.05 ? 800 : usual(r)),
  },
} as const satisfies Readonly<Record<string, Omit<Outage, "seed">>>;

/** The outages that are lived through. */
export type OutageName = keyof typeof outages;

const guards: Readonly<Record<string, (world: World) => Guarded>> = {
  "Steward: defaults, timeout 1 s": steward,
  "opossum: defaults (timeout 10 s, reset 30 s)": () => opossum({}),
  "opossum: timeout 1 s, reset 5 s": () => opossum({ timeout: TIMEOUT_MS, resetTimeout: 5_000 }),
  "cockatiel: consecutive 5, timeout 1 s, half-open 5 s": () => cockatiel(new ConsecutiveBreaker(5)),
  "cockatiel: sampling 20 % of 30 s, timeout 1 s": () =>
    cockatiel(new SamplingBreaker({ threshold: 0.2, duration: 30_000 })),
};

function steward(world: World): Guarded {
  const guard = new Guard({ resource: "db", clock: world.clock, timeoutMs: TIMEOUT_MS, breaker: {} });
  return (work) => guard.run(work);
}

function opossum(options: CircuitBreaker.Options): Guarded {
  const breaker = new CircuitBreaker((work: () => Promise<number>) => work(), options);
  return (work) => breaker.fire(work);
}

function cockatiel(breaker: IBreaker): Guarded {
  const policy = wrap(
    circuitBreaker(handleAll, { halfOpenAfter: 5_000, breaker }),
    timeout(TIMEOUT_MS, TimeoutStrategy.Aggressive),
  );
  return (work) => policy.execute(work);
}

function worst(all: readonly Experience[]): Experience {
  const [first, ...others] = all;
  if (first === undefined) throw new Error("nothing was lived through");
  const most = { ...first };
  for (const one of others)
    for (const name of Object.keys(one) as (keyof Experience)[]) most[name] = Math.max(most[name], one[name]);
  return most;
}

/** Ours differs from run to run by its jitter; a rival by the latencies alone. */
function runsOf(guard: string, name: OutageName): number {
  if (name.endsWith("10 min")) return 1;
  return guard.startsWith("Steward") ? RUNS : 1;
}

const lived: (Experience & Pick<Lived, "outage" | "guard" | "runs">)[] = [];
for (const name of Object.keys(outages) as OutageName[])
  for (const [guard, make] of Object.entries(guards)) {
    const runs = runsOf(guard, name);
    const all: Experience[] = [];
    for (let seed = 1; seed <= runs; seed++) {
      using world = new World();
      all.push(await live(world, { ...outages[name], seed }, make(world)));
    }
    lived.push({ outage: name, guard, runs, ...worst(all) });
  }
// Infinity has no JSON.
console.log(JSON.stringify(lived, (_, value: unknown) => (value === Infinity ? null : value)));
process.exit(0);
