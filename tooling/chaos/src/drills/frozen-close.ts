import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { row } from "@steward/harness";
import { STOP_MS, type ArmName, type Backend, type DriverName } from "../drivers/driver.ts";
import type { Drill, DrillFigures } from "./drills.ts";

const EXIT_MS = 2_000;

interface Closing {
  readonly closedMs: number;
  readonly unsettled: number;
  /** How late a bare timer of the deadline's length was in the same process. */
  readonly jitterMs: number;
}

async function one(driver: DriverName, backend: Backend, arm: ArmName): Promise<DrillFigures> {
  const child = fork(join(import.meta.dirname, "close-program.js"), [driver, arm, backend.url ?? ""]);
  const exited = once(child, "exit");
  await once(child, "message");
  await backend.pause();
  child.send("go");
  const [{ closedMs, unsettled, jitterMs }] = (await once(child, "message")) as [Closing]; // what the program sends
  const timer = new Promise((resolve) => setTimeout(resolve, EXIT_MS, "late"));
  const exits = (await Promise.race([exited, timer])) !== "late";
  if (!exits) child.kill("SIGKILL");
  await backend.resume();
  await exited;
  return {
    "closed, ms": closedMs < 0 ? "never" : Math.round(closedMs),
    unsettled,
    exits: exits ? "yes" : "no",
    jitter: Math.ceil(jitterMs),
  };
}

/** Closes a client with calls in flight on a frozen server: does it return, settle everything, and let the process end? */
export const frozenClose: Drill = {
  one,
  judge: (area, { "closed, ms": closed, jitter, unsettled, exits }) => {
    const work = "close on a frozen peer";
    const bar = `<= ${STOP_MS + Number(jitter)}` as const;
    const within = `${work}: returns (${STOP_MS} ms + ${jitter} ms of jitter)`;
    return [
      row({ area, work: within, unit: "ms", ours: Number(closed), bar }),
      row({ area, work: `${work}: unsettled`, unit: "calls", ours: Number(unsettled), bar: "= 0" }),
      row({
        area,
        work: `${work}: process does not exit`,
        unit: "processes",
        ours: exits === "yes" ? 0 : 1,
        bar: "= 0",
      }),
    ];
  },
};
