import type { Row, Table } from "@steward/harness";
import { ARMS, type DriverName } from "../drivers/driver.ts";
import { inProcess, sideBySide } from "../in-process.ts";
import type { Span } from "./cell.ts";
import { FAULTS } from "./faults.ts";
import type { Figures } from "./figures.ts";

/** Drills faults on drivers, each driver in a process of its own. */
export async function matrix(
  drivers: readonly DriverName[],
  faults: readonly string[],
  span: Span,
): Promise<Figures[]> {
  const args = [faults.join(";"), JSON.stringify(span)];
  const sent = await sideBySide(drivers, (driver) => inProcess(["matrix", driver, ...args]));
  const all = sent.flat() as Figures[][]; // what the worker sends, fault by fault
  const order = FAULTS.map(({ name }) => name);
  return all.flat().sort((a, b) => order.indexOf(a.fault) - order.indexOf(b.fault));
}

const time = (ms: number | undefined): string => (ms === undefined ? "never" : (ms / 1_000).toFixed(2));

/** Fault x driver: how soon all was well again, of ours, the tuned raw driver and the raw one; and whether ours met its bars. */
export function grid(drivers: readonly DriverName[], all: readonly Figures[], rows: readonly Row[]): Table {
  const cell = (fault: string, driver: DriverName): string => {
    const of = (arm: string): Figures | undefined =>
      all.find((f) => f.fault === fault && f.driver === driver && f.arm === arm);
    if (of("ours") === undefined) return "-";
    const missed = rows.some(
      ({ area, work, verdict }) => area === driver && work.startsWith(`${fault}:`) && verdict === "MISSED",
    );
    const [ours, tuned, plain] = ["ours", ARMS[1], ARMS[0]].map((arm) => time(of(arm)?.recoveryMs));
    return `${ours} / ${tuned} / ${plain} ${missed ? "MISSED" : "met"}`;
  };
  const faults = [...new Set(all.map(({ fault }) => fault))];
  return {
    title:
      "Fault x driver: seconds until healthy, ours / raw and tuned / raw as it comes; and whether ours met its bars",
    columns: ["fault", ...drivers],
    rows: faults.map((fault) => [fault, ...drivers.map((driver) => cell(fault, driver))]),
  };
}

/** Every client in every fault. */
export function matrixTable(all: readonly Figures[]): Table {
  const columns = ["fault", "driver", "client", "calls", "first error", "recovery", "lost", "duplicated", "gone"];
  return {
    title: "Faults at 200 calls/s each; times in s",
    columns: [...columns, "unsettled", "slowest", "jitter"],
    rows: all.map((f) => [
      f.fault,
      f.driver,
      f.arm,
      f.calls,
      f.firstErrorMs === undefined ? "none" : time(f.firstErrorMs),
      time(f.recoveryMs),
      f.lost,
      f.duplicated,
      f.gone,
      f.unsettled,
      time(f.slowestMs),
      time(f.jitterMs),
    ]),
  };
}
