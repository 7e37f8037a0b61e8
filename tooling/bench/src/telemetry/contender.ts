/** A way to record a value, or to write a thousand histograms. */
export interface TelemetryVariant {
  readonly name: string;
  readonly kind: "counter" | "histogram" | "scrape";
  open(): Operation;
}

/** Records once, given a number; or writes everything and gives its length. */
export interface Operation {
  readonly record?: (value: number) => void;
  readonly scrape?: () => Promise<number>;
}

/** What one process measured of a recording. */
export interface RecordCost {
  readonly cpuNs: number;
  readonly bytes: number;
}

/** What one process measured of a scrape. */
export interface ScrapeCost {
  /** Longest time that the event loop did not turn, in ms. */
  readonly longestMs: number;
  /** The same in CPU of the process, collection of garbage included: what a busy machine does not change. */
  readonly longestCpuMs: number;
  /** The same while nothing is scraped: the machine's own. */
  readonly jitterMs: number;
  readonly cpuMs: number;
  readonly bytes: number;
}

/** Histograms of a scrape. */
export const HISTOGRAMS = 1_000;
