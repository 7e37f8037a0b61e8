import { join } from "node:path";
import { type BarText, type Findings, measureIn, type Row, row } from "@steward/harness";
import { againstThen } from "../arms/rounds.ts";
import type { Settings } from "../settings.ts";
import { callCosts } from "./cost.ts";
import type { Experience } from "./outage.ts";
import type { Lived, OutageName } from "./virtual.ts";

/** What a guarded call costs, and how soon an outage and its end are noticed. */
export async function guardBench(settings: Settings): Promise<Findings> {
  if (settings.against !== undefined) return { rows: await againstThen("guard", "guard/arms/steward", settings) };
  const [costs, felt] = [await callCosts(settings), await outages(settings)];
  return { rows: [...costs.rows, ...felt.rows], tables: [...(costs.tables ?? []), ...(felt.tables ?? [])] };
}

const BARS: readonly (readonly [OutageName, keyof Experience, string, string, BarText])[] = [
  ["hangs, with a history", "detectedMs", "detected", "virtual ms", "<= 550"],
  ["hangs, with a history", "hung", "calls hung", "calls", "<= 60"],
  ["hangs, with a history", "recoveredMs", "recovered", "virtual ms", "<= 1200"],
  ["hangs, without a history", "detectedMs", "detected", "virtual ms", "<= 1100"],
  ["hangs, without a history", "hung", "calls hung", "calls", "<= 120"],
  ["hangs, without a history", "recoveredMs", "recovered", "virtual ms", "<= 1200"],
  ["refuses connections", "detectedMs", "detected", "virtual ms", "<= 100"],
  ["hangs under heavy load", "rampConcurrency", "at once in the ramp", "calls", "<= 10"],
  ["5 % of calls take 800 ms, 10 min", "refusedBefore", "refused while well", "calls", "= 0"],
];

async function outages({ say, node }: Settings): Promise<Findings> {
  say("outages in virtual time");
  const lived = (await measureIn({ node }, join(import.meta.dirname, "virtual.js"), [])) as readonly Lived[];
  const columns = [
    "detectedMs",
    "hung",
    "mostInFlight",
    "recoveredMs",
    "refusedAfter",
    "rampConcurrency",
    "refusedBefore",
  ] as const;
  return {
    rows: BARS.map((bar) => rowOf(lived, bar)),
    tables: [
      {
        title: "An outage of 10 s in virtual time: timeout 1 s unless said otherwise; worst of the runs",
        columns: ["outage", "guard", "runs", ...columns],
        rows: lived.map((one) => [one.outage, one.guard, one.runs, ...columns.map((name) => one[name] ?? "never")]),
        note: "detected: the first call that fails at once; recovered: the first success after the end; ramp: most calls in the next second.",
      },
    ],
  };
}

function rowOf(lived: readonly Lived[], [outage, figure, what, unit, bar]: (typeof BARS)[number]): Row {
  const one = lived.find((each) => each.outage === outage && each.guard.startsWith("Steward"));
  const others = lived.filter((each) => each.outage === outage && !each.guard.startsWith("Steward"));
  const [best] = [...others].sort((a, b) => (a[figure] ?? Infinity) - (b[figure] ?? Infinity));
  const rival = best === undefined ? undefined : { name: best.guard, figure: best[figure] ?? NaN };
  return row({ area: "guard", work: `${outage}: ${what}`, unit, rival, ours: one?.[figure] ?? NaN, bar });
}
