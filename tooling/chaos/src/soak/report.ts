import type { HandleCounts } from "@steward/testing";
import type { Verdict } from "../report/verdict.ts";
import type { TrafficCounts } from "./traffic.ts";

/** The process in a calm moment, after collection. */
export interface SoakSample {
  readonly atMs: number;
  readonly heapBytes: number;
  readonly rssBytes: number;
  /** Sockets, pipes and processes. */
  readonly handles: number;
  readonly kinds: Readonly<Record<string, number>>;
}

/** Growth from the first third to the last third of the samples, of medians. */
interface Flatness {
  readonly heapFirst: number;
  readonly heapLast: number;
  readonly handlesFirst: number;
  readonly handlesLast: number;
}

/** What a soak showed. */
export interface SoakReport extends Flatness {
  readonly minutes: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly counts: Readonly<Record<string, TrafficCounts>>;
  readonly stats: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Share of calls that succeeded once the last fault was over and the connections had been made anew. */
  readonly lastCalm: number;
  /** What stayed open after the end. */
  readonly left: HandleCounts;
  readonly samples: readonly SoakSample[];
}

/** Heap may grow by this share of itself and still be flat: it is what samples differ by. */
const FLAT = 1.05;
/** Pools are not always equally full. */
const HANDLES_APART = 10;

/** Compares the first third with the last. The very first sample, from before compilation settled, does not count. */
export function flatness(samples: readonly SoakSample[]): Flatness {
  const settled = samples.length > 3 ? samples.slice(1) : samples;
  const third = Math.max(1, Math.floor(settled.length / 3));
  const [first, last] = [settled.slice(0, third), settled.slice(-third)];
  return {
    heapFirst: median(first.map((s) => s.heapBytes)),
    heapLast: median(last.map((s) => s.heapBytes)),
    handlesFirst: median(first.map((s) => s.handles)),
    handlesLast: median(last.map((s) => s.handles)),
  };
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? NaN;
}

/** Judges a soak. */
export function soakVerdicts(report: SoakReport): Verdict[] {
  const all = Object.values(report.counts);
  const sum = (of: (one: TrafficCounts) => number): number => all.reduce((total, one) => total + of(one), 0);
  const { heapFirst, heapLast, handlesFirst, handlesLast } = report;
  const left = Object.entries(report.left).map(([kind, count]) => `${count} ${kind}`);
  const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(2)} MB`;
  return [
    verdict("heap flat", `${mb(heapFirst)} -> ${mb(heapLast)}`, "grows by <= 5 %", heapLast <= heapFirst * FLAT),
    verdict(
      "handles flat",
      `${handlesFirst} -> ${handlesLast}`,
      `grow by <= ${HANDLES_APART}`,
      handlesLast <= handlesFirst + HANDLES_APART,
    ),
    verdict("unsettled at the end", String(sum((c) => c.open)), "0", sum((c) => c.open) === 0),
    verdict(
      "calls past their deadline by > 500 ms, but for stalls",
      String(sum((c) => c.late)),
      "0",
      sum((c) => c.late) === 0,
    ),
    verdict(
      "places still taken when nothing is asked",
      told(report.stats, "inUse", "pending"),
      "0",
      isFree(report.stats),
    ),
    verdict("answered in the last calm", `${Math.round(report.lastCalm * 100)} %`, ">= 99 %", report.lastCalm >= 0.99),
    verdict("handles left after the end", left.join(", ") || "none", "none", left.length === 0),
  ].map((one) => ({ ...one, line: `soak, ${report.minutes} min: ${one.line}` }));
}

type Stats = SoakReport["stats"];

function told(stats: Stats, ...names: readonly string[]): string {
  return Object.entries(stats)
    .map(([driver, counts]) => `${driver} ${names.map((name) => String(counts[name])).join(" + ")}`)
    .join(", ");
}

/** A place that is taken for good is one that all later calls lack. */
function isFree(stats: Stats): boolean {
  return Object.values(stats).every((counts) => counts["inUse"] === 0 && counts["pending"] === 0);
}

function verdict(line: string, measured: string, wanted: string, met: boolean): Verdict {
  return { line, measured, wanted, met };
}
