// A process of its own: serves requests with one contender and prints CPU ns or live bytes of one, as JSON.
import type { CpuOfScope, ScopeRunner, ScopeVariant } from "./contender.ts";
import { verify, type Page, type Request } from "./graph.ts";
import { median } from "../harness/statistics.ts";

const BATCH_MS = 20;
const BATCHES = 15;
const WARM_UP_MS = 250;
const TURN_EVERY = 50;
const HELD = 20_000;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

// Pages are stored where the compiler cannot see that nobody reads them; else it would not build them at all.
const recent: unknown[] = new Array<unknown>(8).fill(undefined);

async function serve(runner: ScopeRunner, count: number): Promise<void> {
  const { sync, wait, needsTurns = false } = runner;
  if (needsTurns) return serveTurning(runner, count);
  if (sync !== undefined) for (let i = 0; i < count; i++) recent[i & 7] = sync({ id: "a" });
  else if (wait !== undefined) for (let i = 0; i < count; i++) recent[i & 7] = await wait({ id: "a" });
}

/** Lets the event loop turn now and then: some containers release what they hold weakly only then. */
async function serveTurning({ sync, wait }: ScopeRunner, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    recent[i & 7] = sync?.({ id: "a" }) ?? (await wait?.({ id: "a" }));
    if (i % TURN_EVERY === 0) await turn();
  }
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

async function timed(runner: ScopeRunner, count: number): Promise<number> {
  const before = cpuMs();
  await serve(runner, count);
  return cpuMs() - before;
}

/** CPU of one request in ns, garbage collection and compilation included: of the median batch and of the best. */
async function cpuOf(runner: ScopeRunner): Promise<CpuOfScope> {
  let count = 50;
  for (let warm = 0; warm < WARM_UP_MS;) {
    const took = await timed(runner, count);
    warm += Math.max(took, 0.1);
    if (took < BATCH_MS) count = Math.ceil(count * Math.min(4, BATCH_MS / Math.max(took, 0.5)));
    await turn();
  }
  const batches: number[] = [];
  for (let i = 0; i < BATCHES; i++) {
    batches.push(((await timed(runner, count)) * 1e6) / count);
    await turn();
  }
  return { medianNs: median(batches), bestNs: Math.min(...batches) };
}

function heapAfterCollection(): number {
  for (let i = 0; i < 4; i++) globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

/** Bytes that one open scope keeps alive. */
async function bytesOf(hold: NonNullable<ScopeRunner["hold"]>): Promise<number> {
  const fill = async (kept: unknown[]): Promise<void> => {
    for (let i = 0; i < kept.length; i += 2) {
      const [first, second] = await hold({ id: "a" });
      kept[i] = first;
      kept[i + 1] = second;
    }
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

/** The pages of two requests, checked against what the graph promises. */
async function check({ sync, wait }: ScopeRunner): Promise<void> {
  const [first, second] = [{ id: "1" }, { id: "2" }] as const;
  const page = async (request: Request): Promise<Page | undefined> => sync?.(request) ?? (await wait?.(request));
  const [one, two] = [await page(first), await page(second)];
  if (one === undefined || two === undefined) throw new Error("a contender has to have sync or wait");
  verify(one, first, two, second);
}

const [module = "", name = "", what = ""] = process.argv.slice(2);
// The parent names one of the files in this folder, each of which exports this.
const { variants } = (await import(`./contenders/${module}.js`)) as { variants: readonly ScopeVariant[] };
const variant = variants.find((v) => v.name === name);
if (variant === undefined) throw new Error(`${module} has no variant "${name}"`);
const runner = await variant.open();
await check(runner);
const result = what === "cpu" ? await cpuOf(runner) : runner.hold === undefined ? null : await bytesOf(runner.hold);
if (what === "cpu" && recent.includes(undefined)) throw new Error("nothing was served");
console.log(JSON.stringify(result));
process.exit(0);
