import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg } from "node:os";
import { dirname } from "node:path";
import type { Estimate } from "./statistics.ts";

/** A measured figure: an estimate with its interval, or an exact one (a count, bytes, virtual time). */
export type Figure = Estimate | number;

/** `close` is a miss that the interval does not prove: part of it meets the bar. */
export type Verdict = "met" | "close" | "MISSED" | "not judged";

/** What a figure is held to. */
export interface Bar {
  readonly bound: "<=" | ">=" | "=";
  readonly wanted: number;
}

/** One line of the report. */
export interface Row {
  readonly area: string;
  readonly work: string;
  readonly unit: string;
  /** What the same takes without us: hand-written code, the raw client, or an earlier checkout. */
  readonly limit?: Named | undefined;
  readonly rival?: Named | undefined;
  readonly ours: Figure;
  /** Ours to the limit, or the rival to ours. */
  readonly ratio?: Ratio | undefined;
  readonly bar?: Bar | undefined;
  /** Of the ratio where there is one, else of our figure. */
  readonly verdict: Verdict;
}

/** A figure of somebody else. */
export interface Named {
  readonly name: string;
  readonly figure: Figure;
}

/** How often ours fits into another figure, or it into ours. */
export interface Ratio {
  readonly of: "ours / limit" | "limit / ours" | "rival / ours" | "now / then";
  readonly figure: Figure;
}

/** Figures behind the rows, one line for each contender: printed when one area is asked for. */
export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number | Estimate)[])[];
  readonly note?: string | undefined;
}

/** What one area found. */
export interface Findings {
  readonly rows: readonly Row[];
  readonly tables?: readonly Table[];
}

/** Fewer samples have no 95 % interval: their range proves nothing. */
const PROOF = 6;

/**
 * Judges a figure. An estimate is missed only when its whole 95 % interval misses; what could not be measured is missed.
 */
export function judge(figure: Figure, { bound, wanted }: Bar): Exclude<Verdict, "not judged"> {
  const meets = (value: number): boolean =>
    bound === "<=" ? value <= wanted : bound === ">=" ? value >= wanted : value === wanted;
  if (typeof figure === "number") return meets(figure) ? "met" : "MISSED";
  if (meets(figure.median)) return "met";
  const unproven = figure.samples > 0 && figure.samples < PROOF;
  return unproven || meets(bound === "<=" ? figure.low : figure.high) ? "close" : "MISSED";
}

/** Makes a row and judges it. */
export function row({ bar, ...rest }: Omit<Row, "verdict" | "bar"> & { readonly bar?: BarText | undefined }): Row {
  if (bar === undefined) return { ...rest, verdict: "not judged" };
  const read = barOf(bar);
  return { ...rest, bar: read, verdict: judge(rest.ratio?.figure ?? rest.ours, read) };
}

/** A bar as it is written: `<= 1.1`. */
export type BarText = `${Bar["bound"]} ${number}`;

function barOf(text: BarText): Bar {
  const [bound, wanted] = text.split(" ");
  return { bound: bound as Bar["bound"], wanted: Number(wanted) }; // as the type of the text says
}

/** A number with three significant digits, thousands apart. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return "-";
  if (value !== 0 && Math.abs(value) < 0.01) return value.toPrecision(2);
  const digits = Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** A figure as text: `0.21 (0.20-0.22)`. */
export function shown(figure: Figure | string | undefined): string {
  if (figure === undefined) return "-";
  if (typeof figure === "string") return figure;
  if (typeof figure === "number") return short(figure);
  return `${short(figure.median)} (${short(figure.low)}-${short(figure.high)})`;
}

/** A table as Markdown, columns aligned. */
export function markdown({ title, columns, rows, note }: Table): string {
  const cells = [columns, ...rows.map((cellsOf) => cellsOf.map(shown))];
  const widths = columns.map((_, i) => Math.max(...cells.map((line) => (line[i] ?? "").length)));
  const line = (of: readonly string[]): string => `| ${of.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" | ")} |`;
  const rule = `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`;
  const [head = [], ...body] = cells;
  return [`\n${title}`, line(head), rule, ...body.map(line), ...(note === undefined ? [] : [note])].join("\n");
}

/** The rows as one table, without columns that all of them leave empty. */
export function rowTable(title: string, rows: readonly Row[]): Table {
  const columns: Readonly<Record<string, (of: Row) => string>> = {
    area: ({ area }) => area,
    work: ({ work }) => work,
    unit: ({ unit }) => unit,
    "hand-written limit": ({ limit }) => (limit === undefined ? "-" : `${shown(limit.figure)} ${limit.name}`),
    "best rival": ({ rival }) => (rival === undefined ? "-" : `${shown(rival.figure)} ${rival.name}`),
    ours: ({ ours }) => shown(ours),
    ratio: ({ ratio }) => (ratio === undefined ? "-" : `${shown(ratio.figure)} ${ratio.of}`),
    bar: ({ bar }) => (bar === undefined ? "-" : `${bar.bound} ${short(bar.wanted)}`),
    verdict: ({ verdict }) => verdict,
  };
  const used = Object.entries(columns).filter(([, of]) => rows.some((one) => of(one) !== "-"));
  return { title, columns: used.map(([name]) => name), rows: rows.map((one) => used.map(([, of]) => of(one))) };
}

/** `12 met, 1 close, 0 MISSED`, and how many were missed. */
export function summary(rows: readonly Row[]): { readonly text: string; readonly missed: number } {
  const count = (verdict: Verdict): number => rows.filter((one) => one.verdict === verdict).length;
  const missed = count("MISSED");
  return { text: `${count("met")} met, ${count("close")} close, ${missed} MISSED`, missed };
}

/** Prints the rows, writes them with all else that was found as JSON, and gives the exit code. */
export function report(title: string, rows: readonly Row[], file: string, rest: object): 0 | 1 {
  const { text, missed } = summary(rows);
  console.log(markdown(rowTable(title, rows)));
  console.log(`\n${text}. ${machine()}. JSON: ${file}`);
  mkdirSync(dirname(file), { recursive: true });
  const found = { measuredAt: new Date().toISOString(), machine: machine(), summary: text, rows, ...rest };
  writeFileSync(file, `${JSON.stringify(found, null, 2)}\n`);
  return missed > 0 ? 1 : 0;
}

function machine(): string {
  const load = loadavg().map((each) => each.toFixed(1));
  return `Node ${process.version}, ${availableParallelism()} x ${cpus()[0]?.model ?? "?"}, load ${load.join(" ")}`;
}
