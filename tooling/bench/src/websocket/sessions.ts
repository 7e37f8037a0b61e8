// Sessions of ours in a process of their own: node sessions.js <url> <count>. Says "ready" when all are connected, then
// for each line how long the pauses before their reconnects were, as JSON.
import { createInterface } from "node:readline";
import { systemClock, type Clock } from "@steward/core";
import { WebSocketSessionManager } from "@steward/websocket";

const [url = "", count = "0"] = process.argv.slice(2);
const pausesMs: number[] = [];
const clock: Clock = {
  ...systemClock,
  setTimeout(callback, delayMs, options) {
    if (!Number.isInteger(delayMs) && options === undefined) pausesMs.push(delayMs); // only jitter has fractions
    return systemClock.setTimeout(callback, delayMs, options);
  },
};
const options = { url, maxSessions: Number(count) + 1, reconnect: { minMs: 5_000, maxMs: 5_000 } };
const manager = await new WebSocketSessionManager(options, { clock }).start();
for (let i = 1; i < Number(count); i++) {
  const session = manager.client.session(String(i));
  if (i % 50 === 0) await session.ready();
}
await Promise.all(manager.client.sessions.map((session) => session.ready()));
pausesMs.length = 0;
console.log("ready");
for await (const _line of createInterface({ input: process.stdin })) console.log(JSON.stringify({ pausesMs }));
process.exit();
