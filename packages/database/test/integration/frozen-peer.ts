// Run as a process of its own: it stops its database while the server is frozen, and has to end by itself.
import { Alarm, startFaultProxy } from "@steward/testing";
import { DatabasePoolManager } from "../../src/index.ts";

const proxy = await startFaultProxy({ target: process.argv[2] ?? "" });
const manager = await new DatabasePoolManager(
  { url: proxy.url, maxConnections: 4 },
  { stopTimeoutMs: 1_500, drainTimeoutMs: 300 },
).start();
const { $client } = manager.client;
await $client.listen("x", () => {});
const held = await $client.reserve();
const outcomes: string[] = [];
const note = (promise: Promise<unknown>): void =>
  void promise.then(
    () => outcomes.push("ok"),
    () => outcomes.push("failed"),
  );
for (let i = 0; i < 15; i++) note($client`select pg_sleep(60)`.execute());
note(held`select pg_sleep(60)`.execute());
await new Promise((resolve) => setTimeout(resolve, 200));
proxy.blackhole();
const alarm = new Alarm(2_000);
await manager.drain().catch(() => {});
await manager.stop().catch((error: unknown) => console.log(`stop: ${String(error)}`));
const isInTime = !alarm.hasRung;
alarm[Symbol.dispose]();
await new Promise((resolve) => setTimeout(resolve, 50));
console.log(
  JSON.stringify({ isInTime, settled: outcomes.length, failed: outcomes.filter((o) => o === "failed").length }),
);
await proxy.stop();
