// A process of its own: makes calls of one variant, in turn with bare awaits, and prints what a call costs (CPU, or bytes), as JSON.
import { median } from "../harness/statistics.ts";
import { failingWork, repeat, work, type Call, type CallCost, type GuardVariant } from "./contender.ts";

const BATCH_MS = 10;
const PAIRS = 11;
const WARM_UP_MS = 150;
const BYTE_SAMPLES = 9;
const BYTE_CALLS = 4_000;
/** Calls before bytes are counted: so many that all of it runs as optimised code, on a busy machine too. */
const BYTE_WARM_UP = 300_000;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

async function cpuOf(call: Call, count: number): Promise<number> {
  const before = cpuMs();
  await repeat(call, count);
  const ns = ((cpuMs() - before) * 1e6) / count;
  await turn(); // what a library does later is not part of it, but must not pile up either
  return ns;
}

/** Warms up and finds how many calls make a batch. */
async function countOf(call: Call): Promise<number> {
  let count = 10;
  for (let warm = 0; warm < WARM_UP_MS;) {
    const took = ((await cpuOf(call, count)) * count) / 1e6;
    warm += Math.max(took, 0.1);
    if (took < BATCH_MS) count = Math.ceil(count * Math.min(4, BATCH_MS / Math.max(took, 0.5)));
  }
  return count;
}

/** Heap of one call: nothing is collected meanwhile, because the young generation is larger than all of it. */
async function heapOf(call: Call, calls: number): Promise<number> {
  const samples: number[] = [];
  for (let i = 0; i < BYTE_SAMPLES; i++) {
    await repeat(call, calls);
    await turn();
    globalThis.gc?.();
    const before = process.memoryUsage().heapUsed;
    await repeat(call, calls);
    samples.push((process.memoryUsage().heapUsed - before) / calls);
  }
  return median(samples);
}

async function costOf(call: Call, bare: Call): Promise<CallCost> {
  const [ours, theirs] = [await countOf(call), await countOf(bare)];
  const cpu: number[] = [];
  const over: number[] = [];
  for (let i = 0; i < PAIRS; i++) {
    const [guarded, plain] = [await cpuOf(call, ours), await cpuOf(bare, theirs)];
    cpu.push(guarded);
    over.push(guarded - plain);
  }
  return { cpuNs: median(cpu), overNs: median(over), bestOverNs: Math.min(...over) };
}

/** Heap of one call over a bare await. */
async function bytesOf(call: Call, bare: Call): Promise<number> {
  const calls = Math.min(BYTE_CALLS, await countOf(call));
  for (const each of [call, bare]) await repeat(each, calls < BYTE_CALLS ? calls : BYTE_WARM_UP);
  return (await heapOf(call, calls)) - (await heapOf(bare, calls));
}

const [module = "", name = "", what = ""] = process.argv.slice(2);
// The parent names one of the files in this folder, each of which exports this.
const { variants } = (await import(`./contenders/${module}.js`)) as { variants: readonly GuardVariant[] };
const variant = variants.find((v) => v.name === name);
if (variant === undefined) throw new Error(`${module} has no variant "${name}"`);
const fails = variant.kind !== "closed" && variant.kind !== "breaker";
const call = await variant.open();
const outcome = await call().then(
  () => "ok",
  () => "failed",
);
if ((outcome === "failed") !== fails) throw new Error(`"${name}" is to ${fails ? "fail" : "succeed"} and ${outcome}`);
const bare = variant.kind.startsWith("failing") ? failingWork : work;
console.log(JSON.stringify(await (what === "bytes" ? bytesOf(call, bare) : costOf(call, bare))));
process.exit(0);
