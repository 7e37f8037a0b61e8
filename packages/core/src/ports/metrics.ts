/** One series of a metric, at the moment it was read. */
export interface MetricSample {
  /** Name as the OpenTelemetry conventions have it, where they have one. */
  readonly name: string;
  /** What kind of number it is. */
  readonly kind: "counter" | "gauge" | "histogram";
  /** Unit in UCUM, such as `s`, `By` or `{connection}`. */
  readonly unit: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly value: number | HistogramValue;
}

/** Counts per bucket. `counts` has one entry more than `bounds`: what lies above the last bound. */
export interface HistogramValue {
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
  readonly sum: number;
  readonly count: number;
}

/** Has metrics to show. */
export interface MetricsSource {
  /** The present values. Cheap, no I/O. */
  metrics(): Iterable<MetricSample>;
}
