// Started by a test: stops a manager beside a server that does not answer, with work of every kind in flight.
import { once } from "node:events";
import { Alarm } from "@steward/testing";
import { RedisPoolManager } from "../../src/index.ts";

const manager = await new RedisPoolManager(
  { url: process.argv[2] },
  { stopTimeoutMs: 1_000, drainTimeoutMs: 300 },
).start();
await manager.client.subscribe("news");
console.log("ready");
await once(process.stdin, "data");
let settled = 0;
const count = (): void => void settled++;
const { client } = manager;
const calls: Promise<unknown>[] = [
  ...Array.from({ length: 15 }, () => client.incr("n")),
  ...Array.from({ length: 15 }, () => client.get("n")),
  client.blpop("queue", 0),
  client.subscribe("more"),
  client.multi().incr("n").exec(),
  client.use((connection) => connection.incr("n")),
];
for (const call of calls) call.then(count, count);
await manager.drain().catch(() => {});
const alarm = new Alarm(1_250);
await manager.stop().catch(() => {});
const isInTime = !alarm.hasRung;
alarm[Symbol.dispose]();
await new Promise((resolve) => setImmediate(resolve));
console.log(JSON.stringify({ made: calls.length, settled, isInTime }));
