import type { HandleCounts } from "@steward/testing";
import { type BarText, median, type Row, row } from "@steward/harness";
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

/** Judges a soak. */
export function soakRows(report: SoakReport): Row[] {
  const all = Object.values(report.counts);
  const sum = (name: "open" | "late"): number => all.reduce((total, one) => total + one[name], 0);
  const { heapFirst, heapLast, handlesFirst, handlesLast } = report;
  const left = Object.entries(report.left);
  const kinds = left.map(([kind, count]) => `${count} ${kind}`).join(", ");
  const line = (work: string, unit: string, ours: number, bar: BarText): Row =>
    row({ area: `soak, ${report.minutes} min`, work, unit, ours, bar });
  const mb = (bytes: number): string => (bytes / 1e6).toFixed(2);
  return [
    line(
      `heap, last third to first (${mb(heapFirst)} -> ${mb(heapLast)} MB)`,
      "times",
      heapLast / heapFirst,
      `<= ${FLAT}`,
    ),
    line("handles, last third less first", "handles", handlesLast - handlesFirst, `<= ${HANDLES_APART}`),
    line("unsettled at the end", "calls", sum("open"), "= 0"),
    line("past their deadline by over 500 ms, but for stalls", "calls", sum("late"), "= 0"),
    line("places still taken when nothing is asked", "places", taken(report.stats), "= 0"),
    line("answered in the last calm, of the driver that did worst", "share", report.lastCalm, ">= 0.99"),
    line(`handles left after the end${kinds === "" ? "" : ` (${kinds})`}`, "kinds", left.length, "= 0"),
  ];
}

/** A place that is taken for good is one that all later calls lack. */
function taken(stats: SoakReport["stats"]): number {
  return Object.values(stats).reduce((sum, counts) => sum + Number(counts["inUse"]) + Number(counts["pending"]), 0);
}
