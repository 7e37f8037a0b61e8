import { join } from "node:path";
import { Child } from "@steward/harness";
import { testHub } from "@steward/websocket/testing";

const CLIENTS = 1_000;
const SPREAD_MS = 5_000;
const PARTS = 20;

/** When clients came back after a restart. */
export interface Reconnects {
  /** How many chose each twentieth of the time. */
  readonly chosen: readonly number[];
  /** How many came in each; at the end those that came later, because the machine was busy. */
  readonly came: readonly number[];
  /** Until the last one was back, in ms. */
  readonly allMs: number;
}

/** A hub with 1,000 sessions restarts and sends all of them away in the same moment; they choose when they come back. */
export async function reconnects(): Promise<Reconnects> {
  await using hub = await testHub({ drainSpreadMs: 0 }).start();
  await using sessions = new Child({ node: process.execPath }, join(import.meta.dirname, "sessions.js"), [
    hub.url,
    String(CLIENTS),
  ]);
  await sessions.line();
  await hub.stop();
  const came: number[] = [];
  const all = new Promise<void>((resolve) => {
    hub.client.on("connection", () => {
      came.push(performance.now());
      if (came.length === CLIENTS) resolve();
    });
  });
  const since = performance.now();
  await hub.start();
  await all;
  const { pausesMs = [] } = await sessions.ask<readonly number[]>("pauses");
  return {
    chosen: inParts(pausesMs).slice(0, PARTS),
    came: inParts(came.map((at) => at - since)),
    allMs: Math.max(...came) - since,
  };
}

/** How many of these times fall into each twentieth of the spread, and how many behind it. */
function inParts(times: readonly number[]): number[] {
  const parts = new Array<number>(PARTS + 1).fill(0);
  for (const ms of times) {
    const part = Math.min(PARTS, Math.floor((ms / SPREAD_MS) * PARTS));
    parts[part] = (parts[part] ?? 0) + 1;
  }
  return parts;
}
