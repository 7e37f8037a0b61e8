// 200 resources and 1,000 calls a second; answers "cpu" with the share of a core that it took since it was asked last.
import { createInterface } from "node:readline";
import { worldOf } from "./world.ts";

const PER_TICK = 10;
const TICK_MS = 10;

const { management, running, call } = await worldOf(200);
let number = 0;
const timer = setInterval(() => {
  for (let i = 0; i < PER_TICK; i++) void call(number++);
}, TICK_MS);
let [cpu, at] = [process.cpuUsage(), performance.now()];
console.log(JSON.stringify({ url: management.url }));
for await (const _ of createInterface({ input: process.stdin })) {
  const { user, system } = process.cpuUsage(cpu);
  const share = (user + system) / 1_000 / (performance.now() - at);
  [cpu, at] = [process.cpuUsage(), performance.now()];
  console.log(JSON.stringify({ share }));
}
clearInterval(timer);
await management.stop();
await running.stop();
