import type { Verdict } from "../report/verdict.ts";
import { deadlineWith, type Figures } from "./figures.ts";

type Line = (f: Figures) => Verdict;

const ms = (value: number | undefined): string => (value === undefined ? "never" : `${Math.round(value)} ms`);

function line(f: Figures, what: string, measured: string, wanted: string, met: boolean): Verdict {
  return { line: `${f.fault}, ${f.driver}: ${what}`, measured, wanted, met };
}

/** Bounds on time hold but for what the machine adds, which was measured in the same run. */
function within(f: Figures, what: string, measured: number | undefined, boundMs: number): Verdict {
  const allowed = boundMs + f.jitterMs;
  const wanted = `<= ${boundMs} ms + ${Math.ceil(f.jitterMs)} jitter`;
  return line(f, what, ms(measured), wanted, measured !== undefined && measured <= allowed);
}

const recovery =
  (boundMs: number): Line =>
  (f) =>
    within(f, "healthy again", f.recoveryMs, boundMs);
const outage: Line = (f) => within(f, "slowest beyond the outage", Math.max(0, f.slowestMs - f.outageMs), 1_000);
const firstError: Line = (f) => within(f, "first error", f.firstErrorMs ?? 0, 2_000);
const inFlight: Line = (f) =>
  line(f, "lost, not in flight at the first error", String(f.lostLater), "0", f.lostLater === 0);
const overload: Line = (f) =>
  line(f, "refused past the bound", String(f.codes["OVERLOADED"] ?? 0), "> 0", (f.codes["OVERLOADED"] ?? 0) > 0);

const LINES: Readonly<Record<string, readonly Line[]>> = {
  "half-open": [firstError, recovery(3_000), inFlight],
  blackhole: [recovery(3_000)],
  freeze: [recovery(3_000)],
  reset: [outage],
  "kill and restart": [outage],
  "full queue": [overload],
};

/** Judges ours. Every fault: nothing outlives its deadline, nothing stays unsettled, nothing runs twice. */
export function matrixVerdicts(all: readonly Figures[]): Verdict[] {
  return all
    .filter((f) => f.arm === "ours")
    .flatMap((f) => [
      ...(LINES[f.fault] ?? []).map((of) => of(f)),
      line(
        f,
        "slowest, within its deadline",
        ms(f.slowestMs),
        `<= ${Math.ceil(deadlineWith(f.jitterMs))} ms (2,000 + jitter)`,
        f.slowestMs <= deadlineWith(f.jitterMs),
      ),
      line(f, "unsettled, duplicated", `${f.unsettled}, ${f.duplicated}`, "0, 0", f.unsettled + f.duplicated === 0),
    ]);
}
