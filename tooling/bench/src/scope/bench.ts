import { measureIn, nodeOf, type NodeBinary } from "../harness/process.ts";
import { estimated, exactly, figure, spread, type Findings, type Table, type Target } from "../harness/report.ts";
import { estimate, median, ratios, type Estimate } from "../harness/statistics.ts";
import type { Settings } from "../harness/settings.ts";
import type { CpuOfScope, ScopeVariant } from "./contender.ts";

const MODULES = ["by-hand", "steward", "inferdi", "awilix", "tsyringe", "inversify", "effect", "nest"] as const;

/** One variant and what its processes measured, one figure a round. */
interface Series {
  readonly module: string;
  readonly name: string;
  readonly cpuNs: number[];
  /** The best batch of each process. */
  readonly bestNs: number[];
  bytes: number | undefined;
}

/** The request scope of ten nodes: CPU, live bytes, and how many times ours fits into a rival's. */
export async function scopeBench(settings: Settings): Promise<Findings> {
  const all: Findings[] = [];
  for (const major of settings.nodes) all.push(await onNode(await nodeOf(major), settings));
  return { targets: all.flatMap((f) => f.targets), tables: all.flatMap((f) => f.tables) };
}

async function onNode(node: NodeBinary, { rounds, say }: Settings): Promise<Findings> {
  const series = await listed();
  for (let round = 0; round < rounds; round++) {
    say(`scope on Node ${node.version}: round ${round + 1} of ${rounds}`);
    // Each round runs every variant once, each in a process of its own; the order turns, so nobody is always last.
    for (const one of turned(series, round)) await measureCpu(node, one);
  }
  for (const one of series) one.bytes = await bytesOf(node, one);
  return { targets: targetsOf(node, series), tables: [tableOf(node, series)] };
}

async function listed(): Promise<Series[]> {
  const series: Series[] = [];
  for (const module of MODULES) {
    const { variants } = (await import(`./contenders/${module}.js`)) as { variants: readonly ScopeVariant[] }; // see measure.ts
    for (const { name } of variants) series.push({ module, name, cpuNs: [], bestNs: [], bytes: undefined });
  }
  return series;
}

function turned<T>(items: readonly T[], by: number): readonly T[] {
  const start = (by * 7) % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}

async function measureCpu(node: NodeBinary, { module, name, cpuNs, bestNs }: Series): Promise<void> {
  const measured = (await measureIn(node, "scope/measure.js", [module, name, "cpu"])) as CpuOfScope; // measure.ts prints it
  cpuNs.push(measured.medianNs);
  bestNs.push(measured.bestNs);
}

async function bytesOf(node: NodeBinary, { module, name }: Series): Promise<number | undefined> {
  const measured = await measureIn(node, "scope/measure.js", [module, name, "bytes"]);
  return typeof measured === "number" ? measured : undefined;
}

function targetsOf({ major }: NodeBinary, series: readonly Series[]): Target[] {
  const ours = series.filter((s) => s.module === "steward");
  const cpu = ours.flatMap((one) => {
    const limitUs = one.name.includes("synchronous") ? 0.3 : 0.6;
    return estimated(`scope, Node ${major}: ${one.name}`, inUs(estimate(one.cpuNs)), "<=", limitUs, "us CPU");
  });
  const bytes = ours.flatMap((one) =>
    one.bytes === undefined
      ? []
      : exactly(
          `scope, Node ${major}: live, ${HELD[one.name] ?? one.name}`,
          Math.round(one.bytes),
          "<=",
          1024,
          "bytes",
        ),
  );
  return [...cpu, ...bytes, ...WANTED.map(({ module, times }) => ratioTarget(major, series, module, times))];
}

/** How the variants of steward.ts keep a scope open. */
const HELD: Readonly<Record<string, string>> = {
  "Steward, synchronous, hoisted needs": "handler pending",
  "Steward, synchronous, inline needs": "scope + resolve",
  "Steward, awaited, inline needs": "scope + get",
};

const WANTED = [
  { module: "awilix", times: 8 },
  { module: "inferdi", times: 3 },
  { module: "nest", times: 100 },
] as const;

/**
 * Our slower synchronous form against the fastest that the rival has. In the rival's favour it is its best batch against
 * our median one: what a container leaves to the garbage collector costs some of them more than the work itself.
 */
function ratioTarget(major: number, series: readonly Series[], module: string, times: number): Target {
  const slowest = ranked(series.filter((s) => s.module === "steward" && s.name.includes("synchronous"))).at(-1);
  const [rival] = ranked(
    series.filter((s) => s.module === module),
    (s) => s.bestNs,
  );
  if (slowest === undefined || rival === undefined) throw new Error(`nothing was measured of ${module}`);
  const found = ratios(rival.bestNs, slowest.cpuNs);
  return estimated(`scope, Node ${major}: faster than ${rival.name}`, found, ">=", times, "times");
}

function ranked(series: readonly Series[], by = (one: Series): readonly number[] => one.cpuNs): Series[] {
  return [...series].sort((a, b) => median(by(a)) - median(by(b)));
}

function inUs({ median: middle, low, high, samples }: Estimate): Estimate {
  return { median: middle / 1000, low: low / 1000, high: high / 1000, samples };
}

function tableOf({ version }: NodeBinary, series: readonly Series[]): Table {
  const base = series.find((s) => s.name === "Steward, synchronous, hoisted needs");
  return {
    title: `Request scope of 10 nodes, Node ${version}: create, resolve, release`,
    columns: ["contender", "us CPU (95 % interval)", "best batch", "times ours", "live bytes"],
    rows: series.map((one) => [
      one.name,
      spread(inUs(estimate(one.cpuNs))),
      median(one.bestNs) / 1000,
      base === undefined ? "-" : spread(ratios(one.cpuNs, base.cpuNs)),
      one.bytes === undefined ? "-" : figure(Math.round(one.bytes)),
    ]),
    note: "Times ours: against Steward's synchronous form, round by round. Live bytes hold the ten values too; see the hand-written row.",
  };
}
