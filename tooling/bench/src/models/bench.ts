import { execFileSync } from "node:child_process";
import { startWorker } from "@steward/core/worker";
import { estimate, median, ratios, row, type Findings, type Row } from "@steward/harness";
import { ModelManager, type ModelOptions } from "@steward/models";
import { onnxModel } from "@steward/models/testing";
import type { Settings } from "../settings.ts";
import { longestTurn } from "../turns.ts";
import type { BareMethods } from "./bare.ts";
import { protocolRows } from "./protocols.ts";

const area = "models";
const engine = import.meta.resolve("@steward/onnx");
const CALLERS = 64;
const ROUND_MS = 250;
const LONE_MS = 400;

/** Inputs, hidden layers and outputs. */
const MODELS: Readonly<Record<string, readonly number[]>> = {
  "tiny, 32-64-8": [32, 64, 8],
  "mid, 784-512-512-10": [784, 512, 512, 10],
  "big, 1024-2048x3-1000": [1_024, 2_048, 2_048, 2_048, 1_000],
};

/** What batching gains, what it costs a lone caller and the serving thread, and how soon a killed engine is back. */
export async function modelsBench(settings: Settings): Promise<Findings> {
  const rows: Row[] = [];
  for (const [name, sizes] of Object.entries(MODELS)) {
    settings.say(name);
    rows.push(...rowsOf(name, await measured(sizes, settings.rounds)));
  }
  settings.say("forms of the protocol");
  rows.push(...(await protocolRows(settings.rounds)));
  settings.say("a killed engine");
  return { rows: [...rows, await killed(Math.min(settings.rounds, 9))] };
}

type Run = (x: Float32Array) => Promise<unknown>;

/** Of each round: us for a call, and ms CPU of the longest turn. */
interface Figures {
  readonly together: number[];
  readonly oneByOne: number[];
  readonly lone: number[];
  readonly byHand: number[];
  readonly turns: number[];
}

async function measured(sizes: readonly number[], rounds: number): Promise<Figures> {
  const bytes = onnxModel({ sizes });
  const x = new Float32Array(sizes[0] ?? 1).fill(0.5);
  await using together = await started(bytes, {});
  await using alone = await started(bytes, { maxBatch: 1 });
  await using bare = await startWorker<BareMethods>(new URL("./bare.js", import.meta.url), { data: bytes });
  const run =
    (manager: ModelManager): Run =>
    (input) =>
      manager.client.run({ x: input });
  const byHand: Run = (input) => bare.call("run", input);
  const figures: Figures = { together: [], oneByOne: [], lone: [], byHand: [], turns: [] };
  for (let round = 0; round < rounds; round++) {
    const together64 = async (): Promise<void> => void figures.together.push(await crowd(run(together), x));
    if (round % 2 === 0) await together64();
    figures.oneByOne.push(await crowd(run(alone), x));
    if (round % 2 === 1) await together64();
    const pair = await alternating(run(together), byHand, x);
    figures.lone.push(pair.ours);
    figures.byHand.push(pair.theirs);
    figures.turns.push((await longestTurn(() => crowd(run(together), x))).cpuMs);
  }
  return figures;
}

function rowsOf(name: string, { together, oneByOne, lone, byHand, turns }: Figures): Row[] {
  return [
    row({
      area,
      work: `${name}: ${CALLERS} callers`,
      unit: "us a call",
      limit: { name: "one by one", figure: estimate(oneByOne) },
      ours: estimate(together),
      ratio: { of: "limit / ours", figure: ratios(oneByOne, together) },
      bar: ">= 3",
    }),
    row({
      area,
      work: `${name}: a lone caller`,
      unit: "us",
      limit: { name: "a worker, by hand", figure: estimate(byHand) },
      ours: estimate(lone),
      ratio: { of: "ours / limit", figure: ratios(lone, byHand) },
      bar: "<= 1.1",
    }),
    row({
      area,
      work: `${name}: longest turn of the event loop, ${CALLERS} callers`,
      unit: "ms CPU",
      ours: estimate(turns),
      bar: "<= 20",
    }),
  ];
}

function started(bytes: Uint8Array, options: Partial<ModelOptions>): Promise<ModelManager> {
  return new ModelManager({ source: { bytes }, engine, ...options }).start();
}

/** One call of each in turn, so that what else the machine does meets both: the medians, in us. */
async function alternating(ours: Run, theirs: Run, x: Float32Array): Promise<{ ours: number; theirs: number }> {
  const times: { readonly ours: number[]; readonly theirs: number[] } = { ours: [], theirs: [] };
  const timed = async (run: Run, into: number[]): Promise<void> => {
    const since = performance.now();
    await run(x);
    into.push((performance.now() - since) * 1_000);
  };
  for (const until = performance.now() + LONE_MS; performance.now() < until;) {
    await timed(theirs, times.theirs);
    await timed(ours, times.ours);
  }
  return { ours: median(times.ours), theirs: median(times.theirs) };
}

/** Callers that each make the next call when the last one is answered: us for each call. */
async function crowd(run: Run, x: Float32Array): Promise<number> {
  const since = performance.now();
  let calls = 0;
  const caller = async (): Promise<void> => {
    while (performance.now() - since < ROUND_MS) {
      await run(x);
      calls++;
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  return ((performance.now() - since) * 1_000) / calls;
}

/** From the kill of an engine's process to the next answer. */
async function killed(rounds: number): Promise<Row> {
  const x = new Float32Array(784).fill(0.5);
  const bytes = onnxModel({ sizes: MODELS["mid, 784-512-512-10"] ?? [] });
  await using manager = await started(bytes, { isolation: "process", breaker: false });
  const times: number[] = [];
  let lost = 0;
  for (let round = 0; round < rounds; round++) {
    await manager.client.run({ x });
    const since = performance.now();
    for (const pid of engines()) process.kill(pid, "SIGKILL");
    for (let answered = false; !answered;)
      answered = await manager.client.run({ x }).then(
        () => true,
        () => {
          lost++;
          return false;
        },
      );
    times.push(performance.now() - since);
  }
  const work = `a killed engine is back; ${lost} of ${lost + 2 * rounds} calls were lost`;
  return row({ area, work, unit: "ms", ours: estimate(times), bar: "<= 2000" });
}

/** Processes of this one that run a model. */
function engines(): number[] {
  const listed = execFileSync("ps", ["-o", "pid=,args=", "--ppid", String(process.pid)], { encoding: "utf8" });
  const lines = listed.split("\n").filter((line) => line.includes("engine/worker"));
  return lines.map((line) => Number.parseInt(line, 10));
}
