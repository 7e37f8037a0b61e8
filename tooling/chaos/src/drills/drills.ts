import type { Backend, DriverName } from "../drivers/driver.ts";
import { launchBackend } from "../drivers/index.ts";
import type { Found } from "../report/verdict.ts";
import { frozenClose } from "./frozen-close.ts";
import { lostReplies } from "./lost-replies.ts";
import { slowCall } from "./slow-call.ts";
import { waiters } from "./waiters.ts";

type Drill = (driver: DriverName, backend: Backend) => Promise<Found>;

/** What is no fault under load, by the name that picks it. */
export const DRILLS: Readonly<Record<string, Drill>> = {
  "lost-replies": lostReplies,
  "slow-call": slowCall,
  "frozen-close": frozenClose,
  waiters,
};

/** Runs drills on one driver, one after the other. */
export async function runDrills(
  driver: DriverName,
  names: readonly string[],
  say: (what: string) => void,
): Promise<Found> {
  const backend = await launchBackend(driver);
  const all: Found[] = [];
  for (const name of names) {
    say(`${driver}: ${name}`);
    const found = await DRILLS[name]?.(driver, backend);
    if (found !== undefined) all.push(found);
  }
  await backend.stop();
  return { rows: all.flatMap(({ rows }) => rows), verdicts: all.flatMap(({ verdicts }) => verdicts) };
}
