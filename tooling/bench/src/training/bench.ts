import { monitorEventLoopDelay } from "node:perf_hooks";
import { estimate, median, randomFrom, ratios, row, type Findings, type Row } from "@steward/harness";
import { GradientAccumulator, TrainerManager, type FitResult, type TrainingData } from "@steward/training";
import type { Settings } from "../settings.ts";
import { network } from "./net.ts";

const area = "training";
const ROWS = 2_048;
const BATCH_ROWS = 512;
const INPUTS = 128;
/** The first steps of a worker compile its code. */
const WARM_UP_STEPS = 4;

function rowsOf(rows: number): TrainingData {
  const random = randomFrom(7);
  const inputs = Float32Array.from({ length: rows * INPUTS }, () => random() * 2 - 1);
  const targets = Float32Array.from({ length: rows }, (_, i) => Math.sin((inputs[i * INPUTS] ?? 0) * 3));
  return { rows, inputs, targets };
}

/** What two workers gain over one, what that costs the serving thread, and whether sums of parts are those of the whole. */
export async function trainingBench({ rounds, say }: Settings): Promise<Findings> {
  const data = rowsOf(ROWS);
  const [one, two]: [Timed[], Timed[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    say(`round ${round + 1} of ${rounds}`);
    for (const workers of round % 2 === 0 ? [1, 2] : [2, 1])
      (workers === 1 ? one : two).push(await timed(data, workers));
  }
  const gaps = estimate(two.map(({ gapMs }) => gapMs));
  const work = {
    parts: "gradients of 4 parts less those of the whole",
    runs: "two runs of one seed, weights that differ",
  };
  return {
    rows: [
      ...stepRows(one, two),
      row({ area, work: "p99 of the serving thread's delay in a fit", unit: "ms", ours: gaps, bar: "<= 20" }),
      row({ area, work: work.parts, unit: "", ours: apart(data), bar: "<= 0.000001" }),
      row({ area, work: work.runs, unit: "weights", ours: await changed(data), bar: "= 0" }),
    ],
  };
}

function stepRows(one: readonly Timed[], two: readonly Timed[]): Row[] {
  const of = (what: keyof Timed, runs: readonly Timed[]): number[] => runs.map((run) => run[what]);
  const [oneMs, twoMs, oneCpu, twoCpu] = [of("stepMs", one), of("stepMs", two), of("cpuMs", one), of("cpuMs", two)];
  const limit = (figures: readonly number[]) => ({ name: "one worker", figure: estimate(figures) });
  return [
    row({
      area,
      work: `a step of ${BATCH_ROWS} rows, two workers; true of idle cores alone`,
      unit: "ms",
      limit: limit(oneMs),
      ours: estimate(twoMs),
      ratio: { of: "limit / ours", figure: ratios(oneMs, twoMs) },
      bar: ">= 1.6",
    }),
    // What two cores gain where nothing else runs is twice the inverse of this.
    row({
      area,
      work: "CPU of that step, all threads together",
      unit: "ms",
      limit: limit(oneCpu),
      ours: estimate(twoCpu),
      ratio: { of: "ours / limit", figure: ratios(twoCpu, oneCpu) },
      bar: "<= 1.25",
    }),
  ];
}

async function fit(data: TrainingData, workers: number, onStep?: (ms: number) => void): Promise<FitResult> {
  await using manager = await new TrainerManager({ module: new URL("./net.js", import.meta.url), workers }).start();
  const given = { batchRows: BATCH_ROWS, epochs: 4, seed: 7 };
  return await manager.client.fit(data, { ...given, onStep: (_step, { durationMs = 0 }) => onStep?.(durationMs) });
}

interface Timed {
  readonly stepMs: number;
  readonly cpuMs: number;
  readonly gapMs: number;
}

async function timed(data: TrainingData, workers: number): Promise<Timed> {
  const steps: number[] = [];
  const delay = monitorEventLoopDelay({ resolution: 1 });
  let began = process.cpuUsage();
  let cpuMs = 0;
  await fit(data, workers, (ms) => {
    steps.push(ms);
    const { user, system } = process.cpuUsage(began);
    cpuMs = (user + system) / 1_000 / (steps.length - WARM_UP_STEPS);
    if (steps.length !== WARM_UP_STEPS) return;
    delay.enable();
    began = process.cpuUsage();
  });
  delay.disable();
  return { stepMs: median(steps.slice(WARM_UP_STEPS)), cpuMs, gapMs: delay.percentile(99) / 1e6 };
}

/** The largest difference between the accumulated gradients of four uneven parts and those of all rows at once. */
function apart(data: TrainingData): number {
  const random = randomFrom(11);
  const values = Object.fromEntries(
    network.parameters.map(({ name, shape }) => [
      name,
      Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => (random() - 0.5) / 8),
    ]),
  );
  const part = (from: number, to: number) =>
    network.gradients(values, {
      rows: to - from,
      inputs: data.inputs.slice(from * INPUTS, to * INPUTS),
      targets: data.targets.slice(from, to),
      seed: 0,
    }).gradients;
  const accumulator = new GradientAccumulator({ steps: 4 });
  const cuts = [0, 200, 400, 500, BATCH_ROWS];
  cuts.slice(1).forEach((to, i) => accumulator.add(part(cuts[i] ?? 0, to), to - (cuts[i] ?? 0)));
  const { gradients } = accumulator.take();
  const whole = part(0, BATCH_ROWS);
  const differences = Object.entries(whole).flatMap(([name, all]) =>
    Array.from(all, (value, i) => Math.abs(value - (gradients[name]?.[i] ?? Number.NaN))),
  );
  return differences.reduce((a, b) => Math.max(a, b), 0);
}

async function changed(data: TrainingData): Promise<number> {
  const [first, second] = [await fit(data, 2), await fit(data, 2)];
  const all = Object.entries(first.parameters).map(
    ([name, values]) => values.filter((value, i) => value !== second.parameters[name]?.[i]).length,
  );
  return all.reduce((a, b) => a + b, 0);
}
