import { func, listOf, recognised, recordOf, shape, text, wholeNumber, type Shape } from "@steward/core/driver";
import type { ReadOptions } from "./gather.ts";
import type { HistogramOptions, MeterOptions, MetricOptions } from "./meter.ts";

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
