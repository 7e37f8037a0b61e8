import { measureIn, nodeOf, ownNode } from "../harness/process.ts";
import { exactly, figure, type Findings, type Table, type Target } from "../harness/report.ts";
import type { Settings } from "../harness/settings.ts";
import { callCosts } from "./cost.ts";
import type { Lived, PlanName } from "./virtual.ts";

/** What a guarded call costs, and how soon an outage and its end are noticed. */
export async function guardBench(settings: Settings): Promise<Findings> {
  const all: Findings[] = [];
  for (const major of settings.nodes) all.push(await callCosts(await nodeOf(major), settings));
  all.push(await outages(settings));
  return { targets: all.flatMap((f) => f.targets), tables: all.flatMap((f) => f.tables) };
}

async function outages({ say }: Settings): Promise<Findings> {
  say("guard: outages in virtual time");
  // Infinity came as null.
  const text = (await measureIn(ownNode(), "guard/virtual.js", [])) as readonly Lived[];
  const lived = text.map((one) => ({
    ...one,
    detectedMs: one.detectedMs ?? Infinity,
    recoveredMs: one.recoveredMs ?? Infinity,
  }));
  return { targets: targetsOf(lived), tables: [tableOf(lived)] };
}

function targetsOf(lived: readonly Lived[]): Target[] {
  const ours = (plan: PlanName): Lived => {
    const one = lived.find((each) => each.plan === plan && each.guard.startsWith("Steward"));
    if (one === undefined) throw new Error(`ours has not lived through "${plan}"`);
    return one;
  };
  const hang = ours("hangs, with a history");
  const first = ours("hangs, without a history");
  const refuses = ours("refuses connections");
  const heavy = ours("hangs under heavy load");
  return [
    exactly("hang after 30 s of health: detected", hang.detectedMs, "<=", 550, "ms"),
    exactly("hang after 30 s of health: calls hung", hang.hung, "<=", 60, "calls"),
    exactly("hang after 30 s of health: recovered", hang.recoveredMs, "<=", 1_200, "ms"),
    exactly("hang without a history: detected", first.detectedMs, "<=", 1_100, "ms"),
    exactly("hang without a history: calls hung", first.hung, "<=", 120, "calls"),
    exactly("hang without a history: recovered", first.recoveredMs, "<=", 1_200, "ms"),
    exactly("refused connection: detected", refuses.detectedMs, "<=", 100, "ms"),
    exactly("2,000 calls/s: at once in the ramp", heavy.rampConcurrency, "<=", 10, "calls"),
    exactly(
      "5 % of calls take 800 ms: refused in 10 min",
      ours("5 % of calls take 800 ms, 10 min").refusedBefore,
      "=",
      0,
      "calls",
    ),
  ];
}

function tableOf(lived: readonly Lived[]): Table {
  return {
    title: "An outage of 10 s in virtual time: timeout 1 s unless said otherwise",
    columns: [
      "outage",
      "guard",
      "runs",
      "detected, s",
      "calls hung",
      "most in flight",
      "recovered, s",
      "refused after",
      "at once in the next 1 s",
      "refused while well",
    ],
    rows: lived.map((one) => [
      one.plan,
      one.guard,
      figure(one.runs),
      seconds(one.detectedMs),
      figure(one.hung),
      figure(one.mostInFlight),
      seconds(one.recoveredMs),
      figure(one.refusedAfter),
      figure(one.rampConcurrency),
      figure(one.refusedBefore),
    ]),
    note: "Worst of the runs. Detected: the first call that fails at once. Recovered: the first success after the end; refused after: calls refused from the end on.",
  };
}

function seconds(ms: number): string {
  return Number.isFinite(ms) ? (ms / 1_000).toFixed(3) : "never";
}
