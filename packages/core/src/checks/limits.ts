import type { Trouble } from "../definition/spec.ts";

/** A number that was measured, and what it may be. */
export interface Limited {
  readonly value: number;
  /** Whether it may not fall below its limits, or not rise above them. */
  readonly bound: "least" | "most";
  /** Past this it is unhealthy; `undefined`: never. */
  readonly limit: number | undefined;
  /** Past this it is degraded; `undefined`: never. */
  readonly warning: number | undefined;
  /** What was measured, for people, such as `3.1 GB free on /data`. */
  readonly what: string;
  /** A limit for people. */
  readonly show: (limit: number) => string;
}

/** What numbers say together: the worse of them, with every reason; `undefined` where all are within their limits. */
export function troubleIn(numbers: readonly Limited[]): Trouble | undefined {
  const over = numbers.filter((each) => isPast(each, each.limit));
  if (over.length > 0) return { status: "unhealthy", reason: reasonOf(over, ({ limit }) => limit) };
  const near = numbers.filter((each) => isPast(each, each.warning));
  return near.length > 0 ? { status: "degraded", reason: reasonOf(near, ({ warning }) => warning) } : undefined;
}

function isPast({ value, bound }: Limited, limit: number | undefined): boolean {
  if (limit === undefined) return false;
  return bound === "least" ? value < limit : value > limit;
}

function reasonOf(numbers: readonly Limited[], limitOf: (each: Limited) => number | undefined): string {
  return numbers.map((each) => `${each.what} (at ${each.bound} ${each.show(limitOf(each) ?? 0)})`).join("; ");
}

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"] as const;

/** `3.1 GB`, in powers of 1,000. */
export function bytesText(bytes: number): string {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return `${Math.round((bytes / 1_000 ** power) * 10) / 10} ${UNITS[power] ?? "B"}`;
}

/** `4.2 %`. */
export function percentText(share: number): string {
  return `${Math.round(share * 1_000) / 10} %`;
}
