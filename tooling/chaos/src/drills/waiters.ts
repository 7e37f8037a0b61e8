import { setTimeout as sleep } from "node:timers/promises";
import { ARMS, type ArmName, type Backend, type Client, type DriverName } from "../drivers/driver.ts";
import type { Found, Row } from "../report/verdict.ts";

const PLACES = 4;
const WAITERS = 1_000;
const BEYOND = 100;
const ROUNDS = 20;
const WARM_ROUNDS = 5;
/** Heap differs by this much from round to round where nothing grows. */
const FLAT = 1.05;

/** 1,000 waiters for 4 places and 100 more than fit, again and again. */
export async function waiters(driver: DriverName, backend: Backend): Promise<Found> {
  const rows: Row[] = [];
  for (const arm of ARMS) rows.push(await one(driver, backend, arm));
  const {
    "furthest ahead": ahead = NaN,
    refused = 0,
    unsettled = 0,
    "heap growth": growth = 0,
  } = rows.at(-1)?.figures ?? {};
  const head = `${WAITERS.toLocaleString("en-US")} waiters on ${PLACES} places, ${driver}`;
  return {
    rows,
    verdicts: [
      {
        line: `${head}: places that a call got ahead of its turn`,
        measured: String(ahead),
        wanted: `< ${PLACES}, which run at once`,
        met: Number(ahead) < PLACES,
      },
      {
        line: `${head}: refused past the bound, each round`,
        measured: String(refused),
        wanted: String(BEYOND),
        met: refused === BEYOND,
      },
      { line: `${head}: unsettled`, measured: String(unsettled), wanted: "0", met: unsettled === 0 },
      { line: `${head}: heap`, measured: `x ${growth}`, wanted: `<= x ${FLAT}`, met: Number(growth) <= FLAT },
    ],
  };
}

async function one(driver: DriverName, backend: Backend, arm: ArmName): Promise<Row> {
  const client = await backend.connect(arm, backend.url ?? "", { maxConnections: PLACES, maxPending: WAITERS });
  await Promise.all(Array.from({ length: PLACES }, () => client.read()));
  const rounds: Awaited<ReturnType<typeof round>>[] = [];
  for (let i = 0; i < ROUNDS; i++) rounds.push(await round(client));
  const heaps = rounds.slice(WARM_ROUNDS).map(({ heap }) => heap);
  const third = Math.floor(heaps.length / 3);
  await client.end();
  const figures = {
    "furthest ahead": Math.max(...rounds.map(({ ahead }) => ahead)),
    refused: Math.min(...rounds.map(({ refused }) => refused)),
    unsettled: rounds.reduce((sum, { open }) => sum + open, 0),
    "heap growth": Number((median(heaps.slice(-third)) / median(heaps.slice(0, third))).toFixed(3)),
  };
  return { drill: "waiters", driver, client: arm, figures };
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
          // Whoever ran out of time has left the queue, and is not overtaken by those behind it.
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

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? NaN;
}
