import { setTimeout as sleep } from "node:timers/promises";
import { ARMS, type ArmName, type Backend, type DriverName } from "../drivers/driver.ts";
import type { Found, Row } from "../report/verdict.ts";

const SLOW_MS = 1_500;
/** More at once than there are connections, so that some have to go behind others: never behind the slow one. */
const BURST = 24;
const BURST_EVERY_MS = 40;
/** A fast call behind the slow one waits for most of its time; a busy machine adds far less. */
const DELAYED_MS = SLOW_MS / 3;

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
  const slow = client.slow(SLOW_MS).catch(() => {});
  const fast: Promise<number>[] = [];
  const until = performance.now() + SLOW_MS - 100;
  while (performance.now() < until) {
    const began = performance.now();
    for (let i = 0; i < BURST; i++) fast.push(client.read().then(() => performance.now() - began));
    await sleep(BURST_EVERY_MS);
  }
  const took = await Promise.all(fast);
  await slow;
  await client.end();
  const figures = {
    fast: took.length,
    delayed: took.filter((ms) => ms > DELAYED_MS).length,
    "slowest fast": Math.round(Math.max(...took)),
  };
  return { drill: "slow call", driver, client: arm, figures };
}
