import type { StewardError } from "@steward/core";
import { func, listOf, recognised, recordOf, shape, text, wholeNumber, type Shape } from "@steward/core/driver";

/** What a metric of yours is called and means. */
export interface MetricOptions {
  /** Attributes of this series. Values of a small, fixed set only: each combination is a series that stays. */
  readonly attributes?: Readonly<Record<string, string>> | undefined;
  /** What the metric says, in one sentence. */
  readonly help?: string | undefined;
  /** Unit in UCUM, such as `s`, `By` or `{job}`. Default `1`. */
  readonly unit?: string | undefined;
}

/** What a histogram of yours is called, means and distinguishes. */
export interface HistogramOptions extends MetricOptions {
  /** Upper bounds of its buckets, ascending. Default: durations from 50 us to 10 s, in s. */
  readonly bounds?: readonly number[] | undefined;
}

/** How much a meter keeps. */
export interface MeterOptions {
  /** Series in all; recordings of further ones go to one per metric, with the attribute `overflow`. Default 2,000. */
  readonly maxSeries?: number | undefined;
}

/** How sources are read. */
export interface ReadOptions {
  /** Called for a source that failed and for metrics that contradict each other; the rest is exported all the same. */
  readonly onProblem?: ((problem: StewardError) => void) | undefined;
}

/** What the options of a metric must be. */
export const metricShape: Shape<MetricOptions> = shape<MetricOptions>(() => ({
  attributes: recordOf(text(true)),
  help: text(true),
  unit: text(),
}));

/** What the options of a histogram must be. */
export const histogramShape: Shape<HistogramOptions> = shape<HistogramOptions>(
  () => ({
    attributes: recordOf(text(true)),
    help: text(true),
    unit: text(),
    bounds: listOf(recognised(Number.isFinite, "a finite number")),
  }),
  ({ bounds = [] }) =>
    bounds.some((bound, i) => bound <= (bounds[i - 1] ?? Number.NEGATIVE_INFINITY))
      ? { path: "bounds", message: "must ascend" }
      : undefined,
);

/** What the options of a meter must be. */
export const meterShape: Shape<MeterOptions> = shape<MeterOptions>(() => ({ maxSeries: wholeNumber(1) }));

/** What the options of a reading must be. */
export const readShape: Shape<ReadOptions> = shape<ReadOptions>(() => ({ onProblem: func() }));
