// A process of its own: makes calls by every client of one server, in turn, and prints what each took, as JSON.
import { AT_ONCE, type ClientContenders, type ClientSeries } from "./contender.ts";

/**
 * Calls by each client in each of some passes before anything counts. By number, not by time: after fewer the compiler
 * is still at work, and on a busy machine few are made in a second. In turn, as they are measured: what clients share is
 * compiled anew for each of them that comes.
 */
const WARM_UP_CALLS = 20_000;
const WARM_UP_PASSES = 4;
/** For those that make few calls in a second, such as the global fetch: CPU time of a pass, in ms. */
const WARM_UP_CPU_MS = 1_500;
const BATCH_MS = 400;

interface Arm {
  readonly name: string;
  readonly call: () => PromiseLike<unknown>;
  readonly end: () => Promise<unknown>;
  readonly cpuUs: number[];
  readonly perSecond: number[];
  count: number;
}

interface Cost {
  readonly cpuUs: number;
  readonly perSecond: number;
}

async function batch(call: () => PromiseLike<unknown>, count: number): Promise<Cost> {
  let left = count;
  const worker = async (): Promise<void> => {
    while (left-- > 0) await call();
  };
  const [cpu, began] = [process.cpuUsage(), performance.now()];
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const { user, system } = process.cpuUsage(cpu);
  return { cpuUs: (user + system) / count, perSecond: (count / (performance.now() - began)) * 1_000 };
}

/** Warms a client up, and sizes its batches by the CPU that it takes. */
async function warm(arm: Arm): Promise<void> {
  let cost = await batch(arm.call, 200);
  let spentUs = cost.cpuUs * 200;
  for (let made = 200; made < WARM_UP_CALLS && spentUs < WARM_UP_CPU_MS * 1_000; made += 1_000) {
    cost = await batch(arm.call, 1_000);
    spentUs += cost.cpuUs * 1_000;
  }
  arm.count = Math.max(200, Math.round((BATCH_MS * 1_000) / cost.cpuUs));
}

const [module = "", rounds = "9"] = process.argv.slice(2);
// The parent names one of the files in this folder, each of which exports this.
const { contenders } = (await import(`./contenders/${module}.js`)) as { contenders: ClientContenders };
const server = await contenders.launch();
const arms: Arm[] = [];
for (const { name, open } of contenders.variants)
  arms.push({ name, ...(await open(server.url)), cpuUs: [], perSecond: [], count: 200 });
for (let pass = 0; pass < WARM_UP_PASSES; pass++) for (const arm of arms) await warm(arm);
// No collection between batches: with no call under way it would take the hidden classes of calls along, and with them
// the compiled code of whoever has most of it. Forth and back, so that nobody always comes after the same one.
for (let round = 0; round < Number(rounds); round++) {
  for (const arm of round % 2 === 0 ? arms : [...arms].reverse()) {
    const { cpuUs, perSecond } = await batch(arm.call, arm.count);
    arm.cpuUs.push(cpuUs);
    arm.perSecond.push(perSecond);
  }
}
for (const { end } of arms) await end();
await server.stop();
const series: ClientSeries[] = arms.map(({ name, cpuUs, perSecond }) => ({ name, cpuUs, perSecond }));
console.log(JSON.stringify(series));
process.exit(0);
