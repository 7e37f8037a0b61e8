import { setTimeout as sleep } from "node:timers/promises";
import { type BarText, median, type Row, row } from "@steward/harness";
import type { ArmName, Backend, Client, DriverName } from "../drivers/driver.ts";
import type { Drill, DrillFigures } from "./drills.ts";

const PLACES = 4;
const WAITERS = 1_000;
const BEYOND = 100;
const ROUNDS = 20;
const WARM_ROUNDS = 5;
/** Heap differs by this much from round to round where nothing grows. */
const FLAT = 1.05;

async function one(_driver: DriverName, backend: Backend, arm: ArmName): Promise<DrillFigures> {
  const client = await backend.connect(arm, backend.url ?? "", { maxConnections: PLACES, maxPending: WAITERS });
  await Promise.all(Array.from({ length: PLACES }, () => client.read()));
  const rounds: Awaited<ReturnType<typeof round>>[] = [];
  for (let i = 0; i < ROUNDS; i++) rounds.push(await round(client));
  const heaps = rounds.slice(WARM_ROUNDS).map(({ heap }) => heap);
  const third = Math.floor(heaps.length / 3);
  await client.end();
  return {
    "furthest ahead": Math.max(...rounds.map(({ ahead }) => ahead)),
    refused: Math.min(...rounds.map(({ refused }) => refused)),
    unsettled: rounds.reduce((sum, { open }) => sum + open, 0),
    "heap growth": Number((median(heaps.slice(-third)) / median(heaps.slice(0, third))).toFixed(3)),
  };
}

async function round(client: Client): Promise<{ ahead: number; refused: number; open: number; heap: number }> {
  const waiting = new Set<number>();
  let [refused, open, ahead] = [0, 0, 0];
  const begin = (n: number): void => {
    waiting.delete(n);
    ahead = Math.max(ahead, earlier(waiting, n));
  };
  const calls = Array.from({ length: PLACES + WAITERS + BEYOND }, (_, n) => {
    open += 1;
    waiting.add(n);
    return client
      .held(() => begin(n))
      .then(
        () => void (open -= 1),
        (error: unknown) => {
          open -= 1;
          // One that ran out of time is in the queue no more, and is not overtaken by those behind it.
          waiting.delete(n);
          if (error instanceof Error && "code" in error && error.code === "OVERLOADED") refused += 1;
        },
      );
  });
  await Promise.race([Promise.all(calls), sleep(10_000, undefined, { ref: false })]);
  globalThis.gc?.();
  return { ahead, refused, open, heap: process.memoryUsage().heapUsed };
}

/** How many that came before `n` still wait. They stand in the order of their coming. */
function earlier(waiting: ReadonlySet<number>, n: number): number {
  let count = 0;
  for (const other of waiting) {
    if (other > n) break;
    count += 1;
  }
  return count;
}

/** 1,000 waiters for 4 places and 100 more than fit, again and again. */
export const waiters: Drill = {
  one,
  judge: (area, ours) => {
    const line = (what: string, unit: string, figure: string, bar: BarText): Row =>
      row({ area, work: `${WAITERS} waiters on ${PLACES} places: ${what}`, unit, ours: Number(ours[figure]), bar });
    return [
      // Fewer than those that run at once.
      line("how far a call got ahead of its turn", "places", "furthest ahead", `<= ${PLACES - 1}`),
      line("refused past the bound, each round", "calls", "refused", `= ${BEYOND}`),
      line("unsettled", "calls", "unsettled", "= 0"),
      line("growth of the heap", "times", "heap growth", `<= ${FLAT}`),
    ];
  },
};
