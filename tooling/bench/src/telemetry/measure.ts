// A process of its own: records, or writes a thousand histograms, and prints what that costs, as JSON.
import { median } from "../harness/statistics.ts";
import type { RecordCost, ScrapeCost } from "./contender.ts";
import { variants } from "./variants.ts";

const RECORDS = 200_000;
const BATCHES = 25;
const SCRAPES = 9;
/** Values of calls between 0.5 ms and 0.6 s, so that buckets differ. */
const VALUES = Array.from({ length: 64 }, (_, i) => ((i * 37) % 64) / 100 + 0.0005);

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** The loop around it is part of the figure. */
function recordAll(record: (value: number) => void, times: number): void {
  for (let i = 0; i < times; i++) record(VALUES[i & 63] ?? 0);
}

async function recordCost(record: (value: number) => void): Promise<RecordCost> {
  for (let i = 0; i < 5; i++) recordAll(record, RECORDS);
  const [cpu, bytes] = [[] as number[], [] as number[]];
  for (let i = 0; i < BATCHES; i++) {
    const before = cpuMs();
    recordAll(record, RECORDS);
    cpu.push(((cpuMs() - before) * 1e6) / RECORDS);
    await turn();
    globalThis.gc?.();
    const heap = process.memoryUsage().heapUsed;
    recordAll(record, 1_000);
    bytes.push((process.memoryUsage().heapUsed - heap) / 1_000);
  }
  return { cpuNs: median(cpu), bytes: median(bytes) };
}

/** The longest time between two turns of the event loop while `work` goes on, in ms: of the clock, and of CPU. */
async function longestGap(work: () => Promise<unknown>): Promise<{ readonly ms: number; readonly cpuMs: number }> {
  const state = { over: false, ms: 0, cpuMs: 0, last: performance.now(), lastCpu: cpuMs() };
  const done = work().finally(() => (state.over = true));
  do {
    await turn();
    const [now, cpu] = [performance.now(), cpuMs()];
    state.ms = Math.max(state.ms, now - state.last);
    state.cpuMs = Math.max(state.cpuMs, cpu - state.lastCpu);
    [state.last, state.lastCpu] = [now, cpu];
  } while (!state.over);
  await done;
  return state;
}

async function idle(ms: number): Promise<void> {
  for (const until = performance.now() + ms; performance.now() < until;) await turn();
}

async function scrapeCost(scrape: () => Promise<number>): Promise<ScrapeCost> {
  const [longest, longestCpu, jitter, cpu] = [[] as number[], [] as number[], [] as number[], [] as number[]];
  let bytes = 0;
  for (let i = 0; i < SCRAPES + 3; i++) {
    const before = cpuMs();
    const gap = await longestGap(async () => (bytes = await scrape()));
    const took = cpuMs() - before;
    const own = await longestGap(() => idle(took));
    if (i < 3) continue; // not compiled yet
    longest.push(gap.ms);
    longestCpu.push(gap.cpuMs);
    jitter.push(own.ms);
    cpu.push(took);
  }
  return {
    longestMs: median(longest),
    longestCpuMs: median(longestCpu),
    jitterMs: median(jitter),
    cpuMs: median(cpu),
    bytes,
  };
}

const [name = ""] = process.argv.slice(2);
const variant = variants.find((v) => v.name === name);
if (variant === undefined) throw new Error(`there is no "${name}"`);
const { record, scrape } = variant.open();
const result = record !== undefined ? await recordCost(record) : scrape !== undefined ? await scrapeCost(scrape) : null;
console.log(JSON.stringify(result));
process.exit(0);
