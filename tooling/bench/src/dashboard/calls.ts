// Prints the CPU of a guarded call in ns, in turn: with no one on the page, and with one viewer. Arguments: rounds.
import { watch, worldOf } from "./world.ts";

const CALLS = 200_000;

const { management, running, call } = await worldOf(1);
const rounds = Number(process.argv[2]);
const ns: { unheard: number[]; watched: number[] } = { unheard: [], watched: [] };

async function measured(): Promise<number> {
  for (let i = 0; i < CALLS / 4; i++) await call(0);
  const before = process.cpuUsage();
  for (let i = 0; i < CALLS; i++) await call(0);
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1_000) / CALLS;
}

await measured();
for (let round = 0; round < rounds; round++) {
  ns.unheard.push(await measured());
  const leave = await watch(management.url);
  ns.watched.push(await measured());
  leave();
  // What is recorded goes on for 10 s after the last viewer, for a page that is loaded anew.
  await new Promise((resolve) => setTimeout(resolve, 10_500));
}
console.log(JSON.stringify(ns));
await management.stop();
await running.stop();
