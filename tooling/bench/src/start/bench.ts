import { setTimeout as sleep } from "node:timers/promises";
import type { Settings } from "../harness/settings.ts";
import { estimated, figure, type Findings, type Table, type Target } from "../harness/report.ts";
import { estimate, median, ratios } from "../harness/statistics.ts";
import { randomTargets, virtualTargets } from "./exact.ts";
import { FAILING_NODE, idealMs, leveled, SLOW_NODE, type LifeGraph } from "./graph.ts";
import { Recorder, type LifeContender } from "./recorder.ts";

const RUNS = 25;
const RIVAL_RUNS = 9;
const MODULES = [
  "by-hand",
  "steward",
  "effect",
  "inversify",
  "nest",
  "inferdi",
  "avvio",
  "awilix",
  "tsyringe",
] as const;

/** Start and stop of 50 resources: virtual time, order and leaks, and real time beside hand-written code. */
export async function startBench({ say }: Settings): Promise<Findings> {
  say("start: virtual time and 200 random graphs");
  const exact = [...(await virtualTargets()), ...(await randomTargets())];
  const flat = await beside("flat, ideal 50 ms", leveled(), say);
  const skewed = await beside("one of 60 ms, ideal 70 ms", leveled({ slow: SLOW_NODE }), say);
  return {
    targets: [...exact, ...flat.targets, ...skewed.targets],
    tables: [...flat.tables, ...skewed.tables, await failures(say)],
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

async function beside(name: string, graph: LifeGraph, say: Settings["say"]): Promise<Findings> {
  const contenders = await all();
  const runs = new Map<LifeContender, Run[]>(contenders.map((contender) => [contender, []]));
  const jitter: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    if (run % 5 === 0) say(`start, ${name}: run ${run + 1} of ${RUNS}`);
    jitter.push(await jitterMs());
    // Hand-written and ours run every time, in turning order; rivals in the first runs.
    const now = run < RIVAL_RUNS ? contenders : contenders.slice(0, 2);
    for (const contender of run % 2 === 0 ? now : [...now].reverse())
      runs.get(contender)?.push(await runOnce(contender, graph));
  }
  const [byHand = [], ours = []] = [...runs.values()];
  return { targets: ratioTargets(name, byHand, ours), tables: [tableOf(name, graph, runs, jitter)] };
}

function ratioTargets(name: string, byHand: readonly Run[], ours: readonly Run[]): Target[] {
  const against = (of: (run: Run) => number) => ratios(ours.map(of), byHand.map(of));
  return [
    estimated(
      `start, real time against hand-written, ${name}`,
      against((run) => run.startMs),
      "<=",
      1.1,
      "times",
    ),
    estimated(
      `stop, real time against hand-written, ${name}`,
      against((run) => run.stopMs),
      "<=",
      1.1,
      "times",
    ),
  ];
}

function tableOf(
  name: string,
  graph: LifeGraph,
  runs: ReadonlyMap<LifeContender, readonly Run[]>,
  jitter: readonly number[],
): Table {
  const { median: middle, low, high } = estimate(jitter);
  return {
    title: `Start and stop of 50 resources, ${name}, real time`,
    columns: [
      "contender",
      "start ms",
      "stop ms",
      "start violations / stop violations / left up, of 80 edges, 50 nodes",
    ],
    rows: [...runs].map(([contender, of]) => [
      contender.name,
      median(of.map((run) => run.startMs)),
      median(of.map((run) => run.stopMs)),
      [...new Set(of.map((run) => run.violations))].join(", "),
    ]),
    note:
      `Medians of ${RUNS} runs (rivals ${RIVAL_RUNS}), interleaved. Ideal start ${idealMs(graph, (n) => n.startMs)} ms. ` +
      `The machine's jitter in the same run: 5 timers of 10 ms, one after the other, took ${figure(middle)} ms (${figure(low)}-${figure(high)}).`,
  };
}

/** A node in the middle fails to start: what is left behind, before and after a stop. */
async function failures(say: Settings["say"]): Promise<Table> {
  say("start: a node fails");
  const rows: (string | number)[][] = [];
  for (const contender of await all()) {
    const recorder = new Recorder(leveled({ failing: FAILING_NODE }), (ms, signal) => sleep(ms, undefined, { signal }));
    const life = contender.make(recorder);
    let rejected = false;
    const tookMs = await timed(() => life.start().catch(() => (rejected = true)));
    const { inFlight } = recorder;
    await sleep(150);
    const left = recorder.up;
    const stopped = await life.stop().then(
      () => "",
      () => " (stop failed)",
    );
    rows.push([
      contender.name,
      rejected ? tookMs : "did not fail",
      inFlight,
      left,
      `${recorder.up}${stopped}`,
      recorder.neverStarted,
    ]);
  }
  return {
    title: "The same graph, one node of the third level fails to start",
    columns: [
      "contender",
      "rejects after ms",
      "in flight then",
      "left up",
      "left up after stop",
      "stopped but never started",
    ],
    rows,
    note: "One run each; counts, not times, are the point. What a rival leaves up after a failed start is up until its user stops it, where it can be.",
  };
}

async function all(): Promise<LifeContender[]> {
  const found: LifeContender[] = [];
  for (const module of MODULES) {
    const { contenders } = (await import(`./contenders/${module}.js`)) as { contenders: readonly LifeContender[] }; // each exports it
    found.push(...contenders);
  }
  return found;
}
