// A process of its own: node measure.js <module> <arm> cpu|bytes. Prints what one piece of work of that arm costs, as JSON.
import { median } from "@steward/harness";
import { armsOf, type Cost, type Work } from "./arm.ts";

const BATCH_MS = 12;
const BATCHES = 13;
const WARM_UP_MS = 200;
const HELD = 20_000;
const ALLOCATING = 4_000;
/** Runs before allocation is counted: so many that all of it is optimised code, on a busy machine too. */
const ALLOCATION_WARM_UP = 300_000;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

type Parts = Pick<Work, "run" | "before" | "after">;

/** CPU of `count` pieces of work in ms, garbage collection and compilation included. */
async function timed({ run, before, after }: Parts, count: number): Promise<number> {
  await before?.(count);
  const since = cpuMs();
  await run(count);
  const took = cpuMs() - since;
  await after?.();
  await turn(); // what a library does later is not part of it, but must not pile up either
  return took;
}

/** Warms up, and finds how many pieces of work make a batch. */
async function sized(parts: Parts): Promise<number> {
  let count = 10;
  for (let warm = 0; warm < WARM_UP_MS;) {
    const took = await timed(parts, count);
    warm += Math.max(took, 0.1);
    if (took < BATCH_MS) count = Math.ceil(count * Math.min(4, BATCH_MS / Math.max(took, 0.5)));
  }
  return count;
}

async function costOf(work: Work): Promise<Cost> {
  const bare = work.bare === undefined ? undefined : { run: work.bare };
  const [count, bareCount] = [await sized(work), bare === undefined ? 1 : await sized(bare)];
  const [all, over]: [number[], number[]] = [[], []];
  for (let i = 0; i < BATCHES; i++) {
    const ns = ((await timed(work, count)) * 1e6) / count;
    all.push(ns);
    over.push(bare === undefined ? ns : ns - ((await timed(bare, bareCount)) * 1e6) / bareCount);
  }
  return { ns: median(all), overNs: median(over), bestOverNs: Math.min(...over) };
}

function heapAfterCollection(): number {
  for (let i = 0; i < 4; i++) globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

/** Bytes that one held thing keeps alive. */
async function heldBytes(hold: NonNullable<Work["hold"]>): Promise<number> {
  const fill = async (kept: unknown[]): Promise<void> => {
    for (let i = 0; i < kept.length; i += 2) [kept[i], kept[i + 1]] = await hold();
  };
  await fill(new Array<unknown>(4_000).fill(undefined));
  const kept = new Array<unknown>(2 * HELD).fill(undefined);
  await turn();
  const before = heapAfterCollection();
  await fill(kept);
  await turn();
  const bytes = (heapAfterCollection() - before) / HELD;
  if (kept.at(-2) === undefined) throw new Error("nothing was held");
  return bytes;
}

async function heapGrowth(run: Work["run"], count: number): Promise<number> {
  await turn();
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  await run(count);
  return process.memoryUsage().heapUsed - before;
}

/**
 * Bytes that one piece of work allocates, in a young generation so large that none of it is collected meanwhile, less
 * what the looking itself allocates.
 */
async function allocated(run: Work["run"], count: number): Promise<number> {
  await run(count < ALLOCATING ? count : ALLOCATION_WARM_UP);
  const samples: number[] = [];
  for (let i = 0; i < 9; i++) samples.push(((await heapGrowth(run, count)) - (await heapGrowth(run, 0))) / count);
  return median(samples);
}

async function bytesOf({ hold, run, bare }: Work): Promise<number> {
  if (hold !== undefined) return heldBytes(hold);
  const count = Math.min(ALLOCATING, await sized({ run }));
  return (await allocated(run, count)) - (bare === undefined ? 0 : await allocated(bare, count));
}

const [module = "", name = "", what = ""] = process.argv.slice(2);
const arm = (await armsOf(module)).find((one) => one.name === name);
if (arm === undefined) throw new Error(`${module} has no arm "${name}"`);
const work = await arm.open();
await work.check?.();
console.log(JSON.stringify(await (what === "bytes" ? bytesOf(work) : costOf(work))));
process.exit(0);
