import { setTimeout as sleep } from "node:timers/promises";
import {
  type Estimate,
  estimate,
  type Findings,
  median,
  ratios,
  type Row,
  row,
  shown,
  type Table,
} from "@steward/harness";
import { againstThen, cost, measured, of, tableOf, times } from "../arms/rounds.ts";
import type { Settings } from "../settings.ts";
import { exactRows } from "./exact.ts";
import { idealMs, leveled, SLOW_NODE, type LifeGraph } from "./graph.ts";
import { Recorder, type LifeContender } from "./recorder.ts";

const area = "start";
const MODULES = ["by-hand", "steward", "effect", "inversify", "nest", "inferdi", "avvio", "awilix"] as const;
/** Ours and hand-written code; rivals run in the first rounds only. */
const RUNS_PER_ROUND = 3;

/** Start and stop of 50 resources: virtual time, order and leaks, CPU, and real time beside hand-written code. */
export async function startBench(settings: Settings): Promise<Findings> {
  if (settings.against !== undefined) return { rows: await againstThen(area, "start/cpu-steward", settings) };
  settings.say("virtual time and random graphs");
  const exact = await exactRows();
  const cpu = await measured(["start/cpu-by-hand", "start/cpu-steward"], settings);
  const flat = await beside("50 resources of 10 ms", leveled(), settings);
  const skewed = await beside("one of them of 60 ms", leveled({ slow: SLOW_NODE }), settings);
  const cpuRows = ["start", "stop"].map((what) => {
    const [ours, hand] = [of(cpu, `Steward: ${what} of 50`), of(cpu, `hand-written: ${what} of 50`)];
    const limit = { name: "by hand", figure: cost(hand, "ns", 1_000) };
    const ratio = { of: "ours / limit", figure: times(ours, hand) } as const;
    return row({
      area,
      work: `${what} of 50 that take no time`,
      unit: "us CPU",
      limit,
      ours: cost(ours, "ns", 1_000),
      ratio,
    });
  });
  return {
    rows: [...exact, ...cpuRows, ...flat.rows, ...skewed.rows],
    tables: [flat.table, skewed.table, tableOf("CPU of start and stop", cpu)],
  };
}

/** What one contender took in one run, in ms, and what it did wrong. */
interface Run {
  readonly startMs: number;
  readonly stopMs: number;
  readonly violations: string;
}

async function runOnce(contender: LifeContender, graph: LifeGraph): Promise<Run> {
  const recorder = new Recorder(graph, (ms) => sleep(ms));
  const life = contender.make(recorder);
  const startMs = await timed(() => life.start());
  const stopMs = await timed(() => life.stop());
  const { started, up, startViolations, stopViolations, repeated } = recorder;
  if (started !== graph.length || repeated > 0)
    throw new Error(`${contender.name} started ${started} of ${graph.length}, ${repeated} twice`);
  return { startMs, stopMs, violations: `${startViolations} / ${stopViolations} / ${up}` };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const before = performance.now();
  await work();
  return performance.now() - before;
}

/** Five timers one after the other: what the machine makes of 50 ms when there is nothing else to do. */
function jitterMs(): Promise<number> {
  return timed(async () => {
    for (let i = 0; i < 5; i++) await sleep(10);
  });
}

async function beside(
  name: string,
  graph: LifeGraph,
  { rounds, say }: Settings,
): Promise<{ rows: Row[]; table: Table }> {
  const contenders = await all();
  const runs = new Map<LifeContender, Run[]>(contenders.map((contender) => [contender, []]));
  const jitter: number[] = [];
  for (let run = 0; run < RUNS_PER_ROUND * rounds; run++) {
    if (run % RUNS_PER_ROUND === 0) say(`${name}: round ${run / RUNS_PER_ROUND + 1} of ${rounds}`);
    jitter.push(await jitterMs());
    const now = run < rounds ? contenders : contenders.slice(0, 2);
    for (const contender of run % 2 === 0 ? now : [...now].reverse())
      runs.get(contender)?.push(await runOnce(contender, graph));
  }
  const note = `ideal start ${idealMs(graph, (n) => n.startMs)} ms; the machine's jitter: 5 timers of 10 ms in a row took ${shown(estimate(jitter))} ms`;
  return { rows: timeRows(name, runs, estimate(jitter)), table: tableOfRuns(name, runs, note) };
}

function timeRows(name: string, runs: ReadonlyMap<LifeContender, readonly Run[]>, jitter: Estimate): Row[] {
  const [[, byHand = []] = [], [, ours = []] = [], ...rivals] = [...runs];
  return (["startMs", "stopMs"] as const).map((what) => {
    const figure = (of: readonly Run[]): number[] => of.map((run) => run[what]);
    const [best] = rivals
      .filter(([, of]) => what === "startMs" || of.every(({ violations }) => violations === "0 / 0 / 0"))
      .map(([{ name: rival }, of]) => ({ name: rival, figure: estimate(figure(of)) }))
      .sort((a, b) => a.figure.median - b.figure.median);
    return row({
      area,
      work: `${what.slice(0, -2)}, ${name}, real time (5 timers of 10 ms: ${shown(jitter)} ms)`,
      unit: "ms",
      limit: { name: "by hand", figure: estimate(figure(byHand)) },
      rival: best,
      ours: estimate(figure(ours)),
      ratio: { of: "ours / limit", figure: ratios(figure(ours), figure(byHand)) },
      bar: "<= 1.1",
    });
  });
}

function tableOfRuns(name: string, runs: ReadonlyMap<LifeContender, readonly Run[]>, note: string): Table {
  return {
    title: `Start and stop: ${name}, real time`,
    columns: ["contender", "start ms", "stop ms", "start / stop violations of 80 edges / left up of 50"],
    rows: [...runs].map(([contender, of]) => [
      contender.name,
      median(of.map((run) => run.startMs)),
      median(of.map((run) => run.stopMs)),
      [...new Set(of.map((run) => run.violations))].join(", "),
    ]),
    note,
  };
}

async function all(): Promise<LifeContender[]> {
  const found: LifeContender[] = [];
  for (const module of MODULES) {
    const { contenders } = (await import(`./arms/${module}.js`)) as { contenders: readonly LifeContender[] }; // each exports it
    found.push(...contenders);
  }
  return found;
}
