import { METRICS } from "../metrics/metrics.ts";
import type { MetricDescription } from "../metrics/description.ts";
import { prometheusName } from "../prometheus/names.ts";

/** What stands behind the name of a histogram in the names of its series; nothing for others. */
export type SeriesPart = "" | "_bucket" | "_count" | "_sum";

/** The row of a metric. */
export function rowOf(metric: string): MetricDescription {
  const row = Object.hasOwn(METRICS, metric) ? METRICS[metric] : undefined;
  if (row === undefined) throw new TypeError(`METRICS has no ${metric}`);
  return row;
}

/** How Prometheus knows a metric, or one of the series of a histogram. */
export function seriesName(metric: string, part: SeriesPart = ""): string {
  const { kind, unit } = rowOf(metric);
  return `${prometheusName(metric, kind, unit)}${part}`;
}

/** The series of a metric that meet all matchers; empty ones are left out. */
export function selected(metric: string, matchers: readonly string[], part: SeriesPart = ""): string {
  const inside = matchers.filter((matcher) => matcher !== "").join(", ");
  return `${seriesName(metric, part)}${inside === "" ? "" : `{${inside}}`}`;
}
