// A process of its own: gets calls in flight on a server that its parent freezes, closes its client, and should exit.
import { setTimeout as sleep } from "node:timers/promises";
import { STOP_MS, type ArmName, type DriverName } from "../drivers/driver.ts";
import { CONNECT } from "../drivers/launch.ts";

const CALLS = 15;
const LOOK_MS = 4_000;

const [driver, arm, url = ""] = process.argv.slice(2) as [DriverName, ArmName, string]; // of the parent
process.on("unhandledRejection", () => {});

const client = await CONNECT[driver](arm, url, {});
await client.read();
process.send?.("ready");
await new Promise((resolve) => process.once("message", resolve));
let open = CALLS;
for (let i = 0; i < CALLS; i++)
  client.read().then(
    () => open--,
    () => open--,
  );
await sleep(200);
const began = performance.now();
let closedMs = -1;
let jitterMs = 0;
setTimeout(() => (jitterMs = performance.now() - began - STOP_MS), STOP_MS).unref();
client.close().then(
  () => (closedMs = performance.now() - began),
  () => (closedMs = performance.now() - began),
);
const look = setInterval(() => {
  if ((closedMs < 0 || open > 0) && performance.now() - began < LOOK_MS) return;
  clearInterval(look);
  process.send?.({ closedMs, unsettled: open, jitterMs });
  process.disconnect?.();
}, 20);
