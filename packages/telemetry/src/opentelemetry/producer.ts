import type { Attributes, HrTime } from "@opentelemetry/api";
import { ValueType } from "@opentelemetry/api";
import {
  AggregationTemporality,
  DataPointType,
  type CollectionResult,
  type DataPoint,
  type MetricData,
  type MetricProducer,
} from "@opentelemetry/sdk-metrics";
import { systemClock } from "@steward/core";
import { assertShape } from "@steward/core/driver";
import { gather, type Family, type Series, type Sources } from "../gather.ts";
import { readShape, type ReadOptions } from "../options.ts";

type Resource = CollectionResult["resourceMetrics"]["resource"];

/** The conventions ask for these names of attributes; elsewhere the short ones are kept. */
const POOL_ATTRIBUTES: Readonly<Record<string, string>> = {
  resource: "db.client.connection.pool.name",
  state: "db.client.connection.state",
};

/**
 * Hands series to OpenTelemetry as they are: no instrument, no cost per call, one reading per collection. Give it to
 * a reader: `new PeriodicExportingMetricReader({ exporter, metricProducers: [metricProducer(running)] })`.
 *
 * Counters and histograms are cumulative since its making; gauges that count things are non-monotonic sums.
 */
export function metricProducer(sources: Sources, options: ReadOptions = {}): MetricProducer {
  assertShape("metricProducer", readShape, options);
  const startTime = now();
  return {
    async collect(): Promise<CollectionResult> {
      const errors: unknown[] = [];
      const onProblem: ReadOptions["onProblem"] = (problem) => (errors.push(problem), options.onProblem?.(problem));
      const families = await gather(sources, { onProblem });
      const span = { startTime, endTime: now() };
      const metrics = [...families.values()].map((family) => metricOf(family, span));
      return {
        resourceMetrics: { resource: noResource, scopeMetrics: [{ scope: { name: "@steward/telemetry" }, metrics }] },
        errors,
      };
    },
  };
}

/** A reader takes the resource from its SDK; what a producer says is not looked at. */
const noResource: Resource = { attributes: {}, merge: (other) => other ?? noResource, getRawAttributes: () => [] };

interface Span {
  readonly startTime: HrTime;
  readonly endTime: HrTime;
}

function metricOf({ name, kind, unit, help, series }: Family, span: Span): MetricData {
  const aggregationTemporality = AggregationTemporality.CUMULATIVE;
  const descriptor = { name, unit, description: help, valueType: ValueType.DOUBLE };
  const points = [...series.values()].map((one) => pointOf(name, one, span));
  if (kind === "histogram")
    return {
      descriptor: { ...descriptor },
      aggregationTemporality,
      dataPointType: DataPointType.HISTOGRAM,
      dataPoints: points.flatMap((point) => histogramPoint(point)),
    };
  const dataPoints = points.flatMap((point) =>
    typeof point.value === "number" ? [{ ...point, value: point.value }] : [],
  );
  const isMonotonic = kind === "counter";
  if (isMonotonic || unit.startsWith("{"))
    return { descriptor, aggregationTemporality, dataPointType: DataPointType.SUM, dataPoints, isMonotonic };
  return { descriptor, aggregationTemporality, dataPointType: DataPointType.GAUGE, dataPoints };
}

function pointOf(name: string, { attributes, value }: Series, span: Span): DataPoint<Series["value"]> {
  return {
    ...span,
    attributes: name.startsWith("db.client.connection.") ? renamed(attributes) : { ...attributes },
    value,
  };
}

function renamed(attributes: Readonly<Record<string, string>>): Attributes {
  return Object.fromEntries(Object.entries(attributes).map(([name, value]) => [POOL_ATTRIBUTES[name] ?? name, value]));
}

function histogramPoint({
  value,
  ...point
}: DataPoint<Series["value"]>): Extract<
  MetricData,
  { dataPointType: DataPointType.HISTOGRAM }
>["dataPoints"][number][] {
  if (typeof value === "number") return [];
  return [
    {
      ...point,
      value: {
        buckets: { boundaries: [...value.bounds], counts: [...value.counts] },
        sum: value.sum,
        count: value.count,
      },
    },
  ];
}

function now(): HrTime {
  const ms = systemClock.wallNow();
  return [Math.floor(ms / 1_000), (ms % 1_000) * 1_000_000];
}
