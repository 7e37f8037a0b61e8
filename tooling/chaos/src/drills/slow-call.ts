import { setTimeout as sleep } from "node:timers/promises";
import { row } from "@steward/harness";
import type { ArmName, Backend, DriverName } from "../drivers/driver.ts";
import type { Drill, DrillFigures } from "./drills.ts";

const SLOW_MS = 1_500;
/** More at once than there are connections, so that some have to go behind others: never behind the slow one. */
const BURST = 24;
const BURST_EVERY_MS = 40;
/** A fast call behind the slow one waits for most of its time, and ends after it; what the machine holds up ends before. */
const DELAYED_MS = SLOW_MS / 3;

/** Replies that come in one read are handed on one after the other. */
const SAME_MS = 50;

async function one(_driver: DriverName, backend: Backend, arm: ArmName): Promise<DrillFigures> {
  const client = await backend.connect(arm, backend.url ?? "", {});
  await Promise.all(Array.from({ length: 30 }, () => client.read()));
  let slowEnded = Number.POSITIVE_INFINITY;
  const slow = client
    .slow(SLOW_MS)
    .catch(() => {})
    .then(() => (slowEnded = performance.now()));
  const fast: Promise<{ readonly ms: number; readonly ended: number }>[] = [];
  const until = performance.now() + SLOW_MS - 100;
  while (performance.now() < until) {
    const began = performance.now();
    for (let i = 0; i < BURST; i++) fast.push(client.read().then(() => since(began)));
    await sleep(BURST_EVERY_MS);
  }
  const took = await Promise.all(fast);
  await slow;
  await client.end();
  return {
    fast: took.length,
    delayed: took.filter(({ ms, ended }) => ms > DELAYED_MS && ended >= slowEnded - SAME_MS).length,
    "slowest fast": Math.round(Math.max(...took.map(({ ms }) => ms))),
  };
}

function since(began: number): { readonly ms: number; readonly ended: number } {
  const ended = performance.now();
  return { ms: ended - began, ended };
}

/** One slow call, and fast ones while it runs: none may wait behind it while a connection is free. */
export const slowCall: Drill = {
  one,
  judge: (area, { delayed = NaN, fast = 0 }) => {
    const work = `one slow call of ${SLOW_MS} ms: fast ones behind it`;
    return [
      row({ area, work: `${work} that waited`, unit: "calls", ours: Number(delayed), bar: "= 0" }),
      row({ area, work: `${work} in all`, unit: "calls", ours: Number(fast), bar: ">= 100" }),
    ];
  },
};
