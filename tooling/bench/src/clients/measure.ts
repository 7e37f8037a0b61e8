// A process of its own: makes calls by every client of one server, in turn, and prints what each took, as JSON.
import { AT_ONCE, type ClientContenders, type ClientSeries } from "./contender.ts";

/**
 * Calls by each client before anything counts. By number, not by time: after fewer the compiler is still at work, most
 * of all for whoever has more code, and on a busy machine few are made in a second.
 */
const WARM_UP_CALLS = 60_000;
/** For those that make few calls in a second, such as the global fetch: CPU time to warm up in, in ms. */
const WARM_UP_CPU_MS = 5_000;
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
  let cost = await batch(arm.call, arm.count);
  let spentUs = cost.cpuUs * arm.count;
  for (let made = arm.count; made < WARM_UP_CALLS && spentUs < WARM_UP_CPU_MS * 1_000; made += 2_000) {
    cost = await batch(arm.call, 2_000);
    spentUs += cost.cpuUs * 2_000;
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
for (const arm of arms) await warm(arm);
for (let round = 0; round < Number(rounds); round++) {
  const start = round % arms.length;
  for (const arm of [...arms.slice(start), ...arms.slice(0, start)]) {
    globalThis.gc?.();
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
