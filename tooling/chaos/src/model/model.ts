import { setTimeout as sleep } from "node:timers/promises";
import { type Row, row, type Table } from "@steward/harness";
import { CONTROLS } from "./controls.ts";
import { type ArmPlan, Fleet } from "./fleet.ts";
import type { Counts } from "./plan.ts";

/** What an arm of the model found. */
export interface ArmFound {
  readonly name: string;
  readonly counts: Counts;
  readonly refused: number;
  /** How often each fault was made. */
  readonly faults: Readonly<Record<string, number>>;
  readonly seconds: number;
  readonly failure: string;
}

const LOCAL_TTL_MS = 1_000;
const SHARED: ArmPlan = { localTtlMs: 0, hasBus: true, boundMs: 0 };
const BOTH: ArmPlan = { localTtlMs: LOCAL_TTL_MS, hasBus: true, boundMs: LOCAL_TTL_MS };
const SOUND: Readonly<Record<string, ArmPlan>> = {
  "values in Redis alone": SHARED,
  [`values in memory too, for ${LOCAL_TTL_MS} ms`]: BOTH,
};
const HOLDS_LONGER = "memory that holds values for longer than it says, without a bus";
const BROKEN: Readonly<Record<string, ArmPlan>> = {
  ...Object.fromEntries(Object.keys(CONTROLS).map((control) => [control, { ...SHARED, control }])),
  [HOLDS_LONGER]: { ...BOTH, localTtlMs: 20_000, hasBus: false },
};
/** A control has so much time to be seen; it ends as soon as it is. */
const CONTROL_MS = 35_000;
const LONGEST_MS = 200_000;
const CALM_MS = 400;

const FAULTS: Readonly<Record<string, (fleet: Fleet) => Promise<void>>> = {
  "process killed": (fleet) => fleet.killInstance(),
  "process frozen": (fleet) => fleet.freezeInstance(),
  "Redis frozen": (fleet) => fleet.freezeRedis(),
  "Redis killed": (fleet) => fleet.killRedis(),
  "bus cut": (fleet) => fleet.cutBus(),
  "bus reset": (fleet) => fleet.resetBus(),
  "marks lost": (fleet) => fleet.loseMarks(),
};

/** What an arm has to be seen with; in a control the others would only take its time. Lost marks empty memories too. */
function faultsOf(name: string): readonly string[] {
  if (name in SOUND) return Object.keys(FAULTS);
  return name === HOLDS_LONGER ? [] : ["marks lost"];
}

/**
 * Half of the reads each with values in Redis alone, and in memory too. Four processes, whose clocks are up to an hour off, read and write rows through one cache while processes, Redis and the
 * bus are broken; and the same with parts of the protocol taken out, which it has to see.
 */
export async function cacheModel(reads: number, say: (what: string) => void): Promise<readonly ArmFound[]> {
  const found: ArmFound[] = [];
  for (const [name, plan] of Object.entries(SOUND)) {
    say(`cache: ${name}`);
    found.push(await runArm(name, plan, LONGEST_MS, (counts) => counts.reads >= reads / 2));
  }
  for (const [name, plan] of Object.entries(BROKEN)) {
    say(`cache, control: ${name}`);
    found.push(await runArm(name, plan, CONTROL_MS, (counts) => counts.stale > 0));
  }
  return found;
}

async function runArm(
  name: string,
  plan: ArmPlan,
  longestMs: number,
  isEnough: (counts: Counts) => boolean,
): Promise<ArmFound> {
  await using fleet = await Fleet.start(plan);
  const since = performance.now();
  const made: Record<string, number> = {};
  const faults = faultsOf(name);
  const isOver = (): boolean => isEnough(fleet.counts) || performance.now() - since > longestMs;
  for (let round = 0; !isOver(); round++) {
    const fault = faults[round % faults.length];
    await sleep(CALM_MS);
    if (fault === undefined) continue;
    await FAULTS[fault]?.(fleet);
    made[fault] = (made[fault] ?? 0) + 1;
  }
  const { counts, refused, failure } = fleet;
  if (failure !== "") console.error(`  cache: ${counts.failed} failed: ${failure}`);
  const seconds = Math.round((performance.now() - since) / 1_000);
  return { name, counts, refused, faults: made, seconds, failure };
}

/** Judges what was found. */
export function modelRows(found: readonly ArmFound[], reads: number): Row[] {
  const all = found.reduce((sum, { name, counts }) => sum + (name in SOUND ? counts.reads : 0), 0);
  const total = row({ area: "cache", work: "all reads", unit: "reads", ours: all, bar: `>= ${reads}` });
  const rows = found.flatMap(({ name, counts }): Row[] => {
    const judged = { area: "cache", unit: "reads" };
    if (name in BROKEN) return [row({ ...judged, work: `control: ${name}: stale`, ours: counts.stale, bar: ">= 1" })];
    return [
      row({ ...judged, work: `${name}: stale`, ours: counts.stale, bar: "= 0" }),
      row({ ...judged, work: `${name}: failed`, ours: counts.failed, bar: "= 0" }),
    ];
  });
  return [total, ...rows];
}

/** What was done and found, in figures. */
export function modelTable(found: readonly ArmFound[]): Table {
  const rows = found.map(({ name, counts, refused, faults, seconds }) => [
    name,
    counts.reads,
    counts.stale,
    counts.late,
    counts.writes,
    counts.unsent,
    refused,
    Object.values(faults).reduce((sum, count) => sum + count, 0),
    seconds,
  ]);
  const columns = ["arm", "reads", "stale", "late", "writes", "unsent", "refused", "faults", "s"];
  const note =
    "late: of what was void when the read began, and may be held in memory that long. unsent: Redis was away. refused: writes of loads that were void.";
  return { title: "Cache under faults", columns, rows, note };
}
