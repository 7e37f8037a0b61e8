import type { Estimate } from "./statistics.ts";

/** `close` is a miss that the interval does not prove: part of it meets the target. */
export type Verdict = "met" | "close" | "MISSED";

/** A promise of the project, with what was measured. */
export interface Target {
  readonly name: string;
  readonly measured: number;
  /** The 95 % interval; none for exact counts and virtual time. */
  readonly interval?: readonly [number, number];
  readonly bound: "<=" | ">=" | "=";
  readonly wanted: number;
  readonly unit: string;
  readonly verdict: Verdict;
}

/** Figures without a promise: ours and our rivals', side by side. */
export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
  readonly note?: string;
}

/** What one benchmark found. */
export interface Findings {
  readonly targets: readonly Target[];
  readonly tables: readonly Table[];
}

/** Judges a figure without an interval. */
export function exactly(name: string, measured: number, bound: Target["bound"], wanted: number, unit: string): Target {
  return { name, measured, bound, wanted, unit, verdict: meets(measured, bound, wanted) ? "met" : "MISSED" };
}

/** Judges an estimate: it is missed only when the whole interval misses. */
export function estimated(name: string, found: Estimate, bound: "<=" | ">=", wanted: number, unit: string): Target {
  const best = bound === "<=" ? found.low : found.high;
  const verdict = meets(found.median, bound, wanted) ? "met" : meets(best, bound, wanted) ? "close" : "MISSED";
  return { name, measured: found.median, interval: [found.low, found.high], bound, wanted, unit, verdict };
}

function meets(measured: number, bound: Target["bound"], wanted: number): boolean {
  if (bound === "<=") return measured <= wanted;
  return bound === ">=" ? measured >= wanted : measured === wanted;
}

/** A number with three significant digits, thousands apart. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return "-";
  if (value !== 0 && Math.abs(value) < 0.01) return value.toPrecision(2);
  const digits = Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** An estimate as text: `0.21 (0.20-0.22)`. */
export function spread({ median, low, high }: Estimate): string {
  return `${figure(median)} (${figure(low)}-${figure(high)})`;
}

/** A table as Markdown, columns aligned. */
export function markdown({ title, columns, rows, note }: Table): string {
  const cells = [columns, ...rows.map((row) => row.map((cell) => (typeof cell === "number" ? figure(cell) : cell)))];
  const widths = columns.map((_, i) => Math.max(...cells.map((row) => (row[i] ?? "").length)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" | ")} |`;
  const rule = `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`;
  const [head = [], ...body] = cells;
  return [`\n${title}`, line(head), rule, ...body.map(line), ...(note === undefined ? [] : [note])].join("\n");
}

/** The promises as a table. */
export function targetTable(targets: readonly Target[]): Table {
  return {
    title: "Targets",
    columns: ["what", "measured", "95 % interval", "target", "unit", ""],
    rows: targets.map((t) => [
      t.name,
      t.measured,
      t.interval === undefined ? "exact" : `${figure(t.interval[0])}-${figure(t.interval[1])}`,
      `${t.bound} ${figure(t.wanted)}`,
      t.unit,
      t.verdict,
    ]),
  };
}
