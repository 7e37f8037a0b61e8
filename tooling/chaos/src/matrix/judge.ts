import { type Named, type Row, row } from "@steward/harness";
import { TIMEOUT_MS } from "../drivers/driver.ts";
import type { Figures } from "./figures.ts";

type Line = (f: Figures, tuned: Figures | undefined) => Row;

/** Bounds on time hold but for what the machine adds, which was measured in the same run. */
const within =
  (what: string, of: (f: Figures) => number | undefined, boundMs: number): Line =>
  (f, tuned) => {
    const jitterMs = Math.ceil(f.jitterMs);
    const work = `${f.fault}: ${what} (${boundMs} ms + ${jitterMs} ms of jitter)`;
    const figure = (one: Figures): number => Math.round(of(one) ?? NaN);
    const rival: Named | undefined = tuned === undefined ? undefined : { name: tuned.arm, figure: figure(tuned) };
    return row({ area: f.driver, work, unit: "ms", rival, ours: figure(f), bar: `<= ${boundMs + jitterMs}` });
  };

const count =
  (what: string, of: (f: Figures) => number, bar: "= 0" | ">= 1"): Line =>
  (f, tuned) => {
    const rival = tuned === undefined ? undefined : { name: tuned.arm, figure: of(tuned) };
    return row({ area: f.driver, work: `${f.fault}: ${what}`, unit: "calls", rival, ours: of(f), bar });
  };

const recovery = within("healthy again", (f) => f.recoveryMs, 3_000);
const outage = within("slowest call beyond the outage", (f) => Math.max(0, f.slowestMs - f.outageMs), 1_000);
const firstError = within("first error", (f) => f.firstErrorMs ?? 0, 2_000);
const inFlight = count("lost, not in flight at the first error", (f) => f.lostLater, "= 0");
// 8 is RESOURCE_EXHAUSTED, which is how gRPC says it.
const overload = count("refused past the bound", (f) => f.codes["OVERLOADED"] ?? f.codes["8"] ?? 0, ">= 1");
const always: readonly Line[] = [
  within("slowest call, within its deadline", (f) => f.slowestMs, TIMEOUT_MS),
  count("unsettled", (f) => f.unsettled, "= 0"),
  count("carried out twice", (f) => f.duplicated, "= 0"),
];

const LINES: Readonly<Record<string, readonly Line[]>> = {
  "half-open": [firstError, recovery, inFlight],
  blackhole: [recovery],
  freeze: [recovery],
  reset: [outage],
  "kill and restart": [outage],
  "full queue": [overload],
};

/** Judges ours. Every fault: nothing outlives its deadline, nothing stays unsettled, nothing runs twice. */
export function matrixRows(all: readonly Figures[]): Row[] {
  return all
    .filter((f) => f.arm === "ours")
    .flatMap((f) => {
      const tuned = all.find((one) => one.arm === "raw, tuned" && one.fault === f.fault && one.driver === f.driver);
      return [...(LINES[f.fault] ?? []), ...always].map((line) => line(f, tuned));
    });
}
