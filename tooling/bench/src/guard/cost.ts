import { measureIn, type NodeBinary } from "../harness/process.ts";
import { estimated, exactly, figure, spread, type Findings, type Table, type Target } from "../harness/report.ts";
import type { Settings } from "../harness/settings.ts";
import { estimate, median, ratios, type Estimate } from "../harness/statistics.ts";
import type { CallCost, GuardKind, GuardVariant } from "./contender.ts";

/** Room for all that a sample allocates, so that none of it is collected before it is counted. */
const ROOM = ["--min-semi-space-size=128", "--max-semi-space-size=128"];

const MODULES = ["steward", "cockatiel", "opossum"] as const;

interface Series extends Pick<GuardVariant, "name" | "kind"> {
  readonly module: string;
  readonly costs: CallCost[];
  /** Heap over a bare await, in bytes a call. */
  bytes: number;
}

/** What a call costs, ours and rivals', every variant in a process of its own in every round. */
export async function callCosts(node: NodeBinary, { rounds, say }: Settings): Promise<Findings> {
  const series = await listed();
  for (let round = 0; round < rounds; round++) {
    say(`guard on Node ${node.version}: round ${round + 1} of ${rounds}`);
    const start = (round * 7) % series.length;
    for (const one of [...series.slice(start), ...series.slice(0, start)])
      one.costs.push((await measureIn(node, "guard/measure.js", [one.module, one.name, "cpu"])) as CallCost); // measure.ts prints it
  }
  for (const one of series)
    one.bytes = (await measureIn(node, "guard/measure.js", [one.module, one.name, "bytes"], ROOM)) as number; // likewise
  return { targets: targetsOf(node, series), tables: [tableOf(node, series)] };
}

async function listed(): Promise<Series[]> {
  const series: Series[] = [];
  for (const module of MODULES) {
    const { variants } = (await import(`./contenders/${module}.js`)) as { variants: readonly GuardVariant[] }; // see measure.ts
    for (const { name, kind } of variants) series.push({ module, name, kind, costs: [], bytes: NaN });
  }
  return series;
}

function targetsOf({ major }: NodeBinary, series: readonly Series[]): Target[] {
  const of = (name: string): Series => found(series, (one) => one.name === name);
  const closed = of("Steward: retry, breaker, deadline");
  const [breaker, open] = [of("Steward: the breaker alone"), of("Steward: open")];
  const [few, many] = [of("Steward: failing, after 100"), of("Steward: failing, after 100,000")];
  const at = `guard, Node ${major}`;
  return [
    estimated(`${at}: closed, over a bare await`, us(closed, "overNs"), "<=", 0.3, "us CPU"),
    exactly(`${at}: closed, over a bare await`, Math.round(closed.bytes), "<=", 1_200, "bytes"),
    estimated(`${at}: cheaper than cockatiel's best`, rivalRatio(series, closed, "cockatiel"), ">=", 10, "times"),
    estimated(`${at}: breaker alone, over a bare await`, scaled(breaker, "overNs", 1), "<=", 150, "ns CPU"),
    estimated(`${at}: open, in all`, us(open, "cpuNs"), "<=", 2, "us CPU"),
    estimated(
      `${at}: failing after 100,000 samples, against 100`,
      ratios(
        many.costs.map((c) => c.cpuNs),
        few.costs.map((c) => c.cpuNs),
      ),
      "<=",
      1.25,
      "times",
    ),
  ];
}

/** Our median pair against the rival's best one: in its favour. */
function rivalRatio(series: readonly Series[], ours: Series, module: string): Estimate {
  const theirs = series.filter((one) => one.module === module && one.kind === ours.kind);
  const [fastest] = theirs.sort((a, b) => median(a.costs.map(bestOver)) - median(b.costs.map(bestOver)));
  return ratios(
    (fastest?.costs ?? []).map(bestOver),
    ours.costs.map((cost) => cost.overNs),
  );
}

const bestOver = (cost: CallCost): number => cost.bestOverNs;

function found(series: readonly Series[], is: (one: Series) => boolean): Series {
  const one = series.find(is);
  if (one === undefined) throw new Error("a variant was not measured");
  return one;
}

function us(one: Series, figureName: "cpuNs" | "overNs"): Estimate {
  return scaled(one, figureName, 1_000);
}

function scaled({ costs }: Series, figureName: "cpuNs" | "overNs", by: number): Estimate {
  return estimate(costs.map((cost) => cost[figureName] / by));
}

const KINDS: readonly GuardKind[] = ["closed", "breaker", "open", "failing, 100 samples", "failing, 100,000 samples"];

function tableOf({ version }: NodeBinary, series: readonly Series[]): Table {
  const rows = KINDS.flatMap((kind) => {
    const same = series.filter((one) => one.kind === kind);
    const [base] = same;
    return same.map((one) => [
      one.name,
      spread(us(one, "overNs")),
      median(one.costs.map(bestOver)) / 1_000,
      spread(us(one, "cpuNs")),
      base === undefined
        ? "-"
        : spread(
            ratios(
              one.costs.map((c) => c.cpuNs),
              base.costs.map((c) => c.cpuNs),
            ),
          ),
      figure(Math.round(one.bytes)),
    ]);
  });
  return {
    title: `A guarded call, Node ${version}`,
    columns: ["guard", "us CPU over a bare await", "best pair", "us CPU in all", "times ours, in all", "bytes over"],
    rows,
    note: "In all: with the await and the work itself. Failing calls are compared with a bare call that fails.",
  };
}
