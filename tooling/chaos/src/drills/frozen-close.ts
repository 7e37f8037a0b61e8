import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { ARMS, STOP_MS, type ArmName, type Backend, type DriverName } from "../drivers/driver.ts";
import type { Found, Row } from "../report/verdict.ts";

const EXIT_MS = 2_000;

interface Closing {
  readonly closedMs: number;
  readonly unsettled: number;
  /** How late a bare timer of the deadline's length was in the same process. */
  readonly jitterMs: number;
}

/** Closes a client with calls in flight on a frozen server: does it return, settle everything, and let the process end? */
export async function frozenClose(driver: DriverName, backend: Backend): Promise<Found> {
  const rows: Row[] = [];
  for (const arm of ARMS) rows.push(await one(driver, backend, arm));
  const figures = rows.at(-1)?.figures ?? {};
  const closedMs = Number(figures["closed, ms"]);
  const jitterMs = Number(figures["jitter"]);
  const verdict = {
    line: `close on a frozen peer, ${driver}: returns, unsettled, process exits`,
    measured: `${closedMs} ms, ${figures["unsettled"]}, ${figures["exits"]}`,
    wanted: `<= ${STOP_MS} ms + ${jitterMs} jitter, 0, yes`,
    met: closedMs <= STOP_MS + jitterMs && figures["unsettled"] === 0 && figures["exits"] === "yes",
  };
  return { rows, verdicts: [verdict] };
}

async function one(driver: DriverName, backend: Backend, arm: ArmName): Promise<Row> {
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
  const figures = {
    "closed, ms": closedMs < 0 ? "never" : Math.round(closedMs),
    unsettled,
    exits: exits ? "yes" : "no",
    jitter: Math.ceil(jitterMs),
  };
  return { drill: "close on a frozen peer", driver, client: arm, figures };
}
