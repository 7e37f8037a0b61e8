import { setTimeout as sleep } from "node:timers/promises";
import { startFaultProxy } from "@steward/testing";
import { ARMS, TIMEOUT_MS, type ArmName, type Backend, type DriverName } from "../drivers/driver.ts";
import type { Found, Row } from "../report/verdict.ts";

const CALLS = 100;

/** 100 writes whose replies get lost, then their connections: how often did each run, and does every caller hear? */
export async function lostReplies(driver: DriverName, backend: Backend): Promise<Found> {
  const rows: Row[] = [];
  for (const arm of ARMS) rows.push(await one(driver, backend, arm));
  const { twice = 0, unsettled = 0 } = rows.at(-1)?.figures ?? {};
  const verdict = {
    line: `${CALLS} writes with lost replies, ${driver}: executed twice, unsettled`,
    measured: `${twice}, ${unsettled}`,
    wanted: "0, 0",
    met: twice === 0 && unsettled === 0,
  };
  return { rows, verdicts: [verdict] };
}

async function one(driver: DriverName, backend: Backend, arm: ArmName): Promise<Row> {
  const prefix = `lost:${arm}:`.replaceAll(/[ ,]/g, "_");
  const proxy = await startFaultProxy({ target: backend.url ?? "" });
  const client = await backend.connect(arm, proxy.url, {});
  await client.read();
  proxy.dropReplies();
  const settled = { succeeded: 0, failed: 0 };
  for (let i = 0; i < CALLS; i++)
    client.write(`${prefix}${i}`).then(
      () => void settled.succeeded++,
      () => void settled.failed++,
    );
  await sleep(300);
  await proxy.heal();
  proxy.reset();
  await sleep(TIMEOUT_MS + 500);
  const counts = [...(await backend.executions(prefix)).values()];
  const unsettled = CALLS - settled.succeeded - settled.failed;
  await client.end();
  await proxy.stop();
  const figures = { ...settled, executed: counts.length, twice: counts.filter((n) => n > 1).length, unsettled };
  return { drill: "lost replies", driver, client: arm, figures };
}
