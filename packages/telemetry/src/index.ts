export { TELEMETRY_CODES, type TelemetryCode } from "./errors.ts";
export { withAttributes, type DescribedSource, type Sources } from "./gather.ts";
export { Counter, Gauge, Meter } from "./meter.ts";
export type { MetricDescription } from "./metrics/description.ts";
export { METRICS } from "./metrics/metrics.ts";
export type { HistogramOptions, MeterOptions, MetricOptions, ReadOptions } from "./options.ts";
export { prometheusName } from "./prometheus/names.ts";
export { metricsRoute, type MetricsRoute } from "./prometheus/route.ts";
export { prometheusText } from "./prometheus/text.ts";
