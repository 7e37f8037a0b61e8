import { setTimeout as sleep } from "node:timers/promises";
import { row } from "@steward/harness";
import { startFaultProxy } from "@steward/testing";
import { TIMEOUT_MS, type ArmName, type Backend, type DriverName } from "../drivers/driver.ts";
import type { Drill, DrillFigures } from "./drills.ts";

const CALLS = 100;

async function one(_driver: DriverName, backend: Backend, arm: ArmName): Promise<DrillFigures> {
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
  return { ...settled, executed: counts.length, twice: counts.filter((n) => n > 1).length, unsettled };
}

/** 100 writes whose replies get lost, then their connections: how often did each run, and does every caller hear? */
export const lostReplies: Drill = {
  one,
  judge: (area, ours) =>
    (["twice", "unsettled"] as const).map((what) =>
      row({
        area,
        work: `${CALLS} writes with lost replies: ${what}`,
        unit: "writes",
        ours: Number(ours[what]),
        bar: "= 0",
      }),
    ),
};
