import type { DriverName } from "../drivers/driver.ts";
import { inProcess } from "../report/in-process.ts";
import { table } from "../report/print.ts";
import type { Pace } from "./cell.ts";
import { FAULTS } from "./faults.ts";
import type { Figures } from "./figures.ts";

/** Drills faults on drivers, each driver in a process of its own, all at the same time. */
export async function matrix(
  drivers: readonly DriverName[],
  faults: readonly string[],
  pace: Pace,
): Promise<Figures[]> {
  const args = [faults.join(";"), JSON.stringify(pace)];
  const sent = await Promise.all(drivers.map((driver) => inProcess("matrix/worker.js", [driver, ...args])));
  const all = sent.flat() as Figures[][]; // what the worker sends, fault by fault
  const order = FAULTS.map(({ name }) => name);
  return all.flat().sort((a, b) => order.indexOf(a.fault) - order.indexOf(b.fault));
}

const time = (ms: number | undefined): string => (ms === undefined ? "-" : Math.round(ms).toLocaleString("en-US"));

/** The matrix as a table. */
export function matrixTable(all: readonly Figures[]): string {
  const rows = all.map((f) => [
    f.fault,
    f.driver,
    f.arm,
    String(f.calls),
    f.firstErrorMs === undefined ? "none" : time(f.firstErrorMs),
    f.recoveryMs === undefined ? "never" : time(f.recoveryMs),
    String(f.lost),
    String(f.duplicated),
    String(f.gone),
    String(f.unsettled),
    time(f.slowestMs),
    time(f.jitterMs),
  ]);
  const columns = ["fault", "driver", "client", "calls", "first error", "recovery", "lost", "duplicated", "gone"];
  return table("Faults at 200 calls/s each; times in ms", [...columns, "unsettled", "slowest", "jitter"], rows);
}
