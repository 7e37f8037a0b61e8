import { setTimeout as sleep } from "node:timers/promises";
import { ARMS, type ArmName, type Backend, type DriverName } from "../drivers/driver.ts";
import type { Found, Row } from "../report/verdict.ts";

const SLOW_MS = 1_500;
/** More at once than there are connections, so that some have to go behind others: never behind the slow one. */
const BURST = 24;
const BURST_EVERY_MS = 40;
/** A fast call behind the slow one waits for most of its time, and ends after it; what the machine holds up ends before. */
const DELAYED_MS = SLOW_MS / 3;

/** Replies that come in one read are told one after the other. */
const SAME_MS = 50;

/** One slow call, and fast ones while it runs: none may wait behind it while a connection is free. */
export async function slowCall(driver: DriverName, backend: Backend): Promise<Found> {
  const rows: Row[] = [];
  for (const arm of ARMS) rows.push(await one(driver, backend, arm));
  const { delayed = 0, fast = 0 } = rows.at(-1)?.figures ?? {};
  const verdict = {
    line: `one slow call of ${SLOW_MS} ms, ${driver}: fast calls that wait behind it`,
    measured: `${delayed} of ${fast}`,
    wanted: "0",
    met: delayed === 0 && Number(fast) > 100,
  };
  return { rows, verdicts: [verdict] };
}

async function one(driver: DriverName, backend: Backend, arm: ArmName): Promise<Row> {
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
  const figures = {
    fast: took.length,
    delayed: took.filter(({ ms, ended }) => ms > DELAYED_MS && ended >= slowEnded - SAME_MS).length,
    "slowest fast": Math.round(Math.max(...took.map(({ ms }) => ms))),
  };
  return { drill: "slow call", driver, client: arm, figures };
}

function since(began: number): { readonly ms: number; readonly ended: number } {
  const ended = performance.now();
  return { ms: ended - began, ended };
}
