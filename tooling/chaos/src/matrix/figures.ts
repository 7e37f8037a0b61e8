import type { ArmName, DriverName } from "../drivers/driver.ts";
import type { Sample } from "./load.ts";

/** What one fault did to one client. Times in ms. */
export interface Figures {
  readonly fault: string;
  readonly driver: DriverName;
  readonly arm: ArmName;
  readonly calls: number;
  /** From the fault to the first error that a caller saw; none: there was no error. */
  readonly firstErrorMs: number | undefined;
  /** From heal (or the fault, where it is for good) to the first success after the last call that failed or took over 1 s. */
  readonly recoveryMs: number | undefined;
  /** Calls that failed or never settled. */
  readonly lost: number;
  /** Calls lost that began after the first error was known: not in flight any more when the fault was felt. */
  readonly lostLater: number;
  readonly duplicated: number;
  /** Writes reported as done that the server does not know. */
  readonly gone: number;
  readonly unsettled: number;
  readonly slowestMs: number;
  readonly outageMs: number;
  /** How late a bare timer of the same length as the deadline was at most. */
  readonly jitterMs: number;
  readonly codes: Readonly<Record<string, number>>;
}

/** When what happened. */
export interface Instants {
  readonly fault: number;
  readonly heal: number;
  readonly end: number;
}

const LATE_MS = 1_000;

/** Makes figures of samples. */
export function figuresOf(
  samples: readonly Sample[],
  jitterMs: number,
  at: Instants,
  executions: ReadonlyMap<string, number>,
): Omit<Figures, "fault" | "driver" | "arm"> {
  const errors = samples.filter((s) => s.error !== undefined);
  const unsettled = samples.filter((s) => s.ended === undefined);
  const seen = errors.map((s) => s.ended ?? at.end).filter((ended) => ended >= at.fault);
  const firstError = seen.length === 0 ? undefined : Math.min(...seen);
  const ids = samples.flatMap((s) => (s.id === undefined ? [] : [s]));
  return {
    calls: samples.length,
    firstErrorMs: firstError === undefined ? undefined : firstError - at.fault,
    recoveryMs: recovery(samples, at),
    lost: errors.length + unsettled.length,
    lostLater: errors.filter((s) => firstError !== undefined && s.began > firstError).length,
    duplicated: ids.filter((s) => (executions.get(s.id ?? "") ?? 0) > 1).length,
    gone: ids.filter((s) => s.ended !== undefined && s.error === undefined && !executions.has(s.id ?? "")).length,
    unsettled: unsettled.length,
    slowestMs: Math.max(...samples.map((s) => (s.ended ?? at.end) - s.began)),
    outageMs: at.heal - at.fault,
    jitterMs,
    codes: codesOf(errors),
  };
}

function recovery(samples: readonly Sample[], at: Instants): number | undefined {
  const isBad = (s: Sample): boolean => s.error !== undefined || s.ended === undefined || s.ended - s.began > LATE_MS;
  const lastBad = Math.max(0, ...samples.filter(isBad).map((s) => s.began));
  const good = samples.filter((s) => s.began > Math.max(lastBad, at.fault) && !isBad(s));
  if (good.length === 0) return undefined;
  const first = Math.min(...good.map((s) => s.ended ?? at.end));
  return Math.max(0, first - at.heal);
}

function codesOf(errors: readonly Sample[]): Record<string, number> {
  const codes: Record<string, number> = {};
  for (const { error } of errors) {
    const code = error instanceof Error ? ("code" in error ? String(error.code) : error.message.slice(0, 40)) : "none";
    codes[code] = (codes[code] ?? 0) + 1;
  }
  return codes;
}
