// A process of its own: node together-run.js <module> <pairs>. Runs the contenders of each group in turn, and prints
// their CPU per piece of work, as JSON.
import type { Group, Opened, Run, Together } from "./together.ts";

const BATCH_MS = 80;
/**
 * Before anything counts, every contender runs in turn so often, or for so much CPU: by number, because after fewer the
 * compiler is still at work; in turn, because what they share is compiled anew for each of them that comes.
 */
const PASSES = 3;
const PASS_RUNS = 10_000;
const PASS_BATCHES = 8;

interface Timed {
  readonly run: Run;
  readonly us: number[];
  count: number;
}

async function usOf(run: Run, count: number): Promise<number> {
  const cpu = process.cpuUsage();
  await run(count);
  const { user, system } = process.cpuUsage(cpu);
  return (user + system) / count;
}

/** Warms a contender up, and sizes its batches by the CPU that it takes. */
async function warm(one: Timed, batchMs: number): Promise<void> {
  let [made, spentUs, count, us] = [0, 0, 8, 1];
  while (made < PASS_RUNS && spentUs < PASS_BATCHES * batchMs * 1_000) {
    us = Math.max(0.1, await usOf(one.run, count));
    made += count;
    spentUs += us * count;
    count = Math.min(1_000, count * 4);
  }
  one.count = Math.max(4, Math.round((batchMs * 1_000) / us));
}

// No collection between batches: with no call under way it would take the hidden classes of calls along, and with them
// the compiled code of the contender that has most of it. Forth and back, so that none always comes after the same one.
async function measured({ work, runs }: Group, pairs: number, batchMs = BATCH_MS): Promise<Together> {
  const all: Timed[] = Object.values(runs).map((run) => ({ run, us: [], count: 1 }));
  for (let pass = 0; pass < PASSES; pass++) for (const one of all) await warm(one, batchMs);
  for (let pair = 0; pair < pairs; pair++)
    for (const one of pair % 2 === 0 ? all : [...all].reverse()) one.us.push(await usOf(one.run, one.count));
  return { work, us: Object.fromEntries(Object.keys(runs).map((name, i) => [name, all[i]?.us ?? []])) };
}

const [module = "", pairs = "9"] = process.argv.slice(2);
const { open } = (await import(`../${module}.js`)) as { readonly open: () => Promise<Opened> }; // each of them exports it
const found: Together[] = [];
{
  await using opened = await open();
  for (const group of opened.groups) found.push(await measured(group, Number(pairs), opened.batchMs));
}
console.log(JSON.stringify(found));
process.exit(0);
