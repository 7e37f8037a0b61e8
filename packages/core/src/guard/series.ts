import type { GuardStats } from "./options.ts";
import type { HistogramValue, MetricSample } from "../ports.ts";

/** The numbers of a guard as series, with the given attributes. */
export function* guardSeries(
  stats: GuardStats,
  durations: HistogramValue,
  attributes: Readonly<Record<string, string>>,
): Iterable<MetricSample> {
  const { breaker } = stats;
  const counter = (outcome: string, value: number): MetricSample => ({
    name: "dependency_requests_total",
    kind: "counter",
    unit: "{request}",
    attributes: { ...attributes, outcome },
    value,
  });
  yield counter("success", stats.succeeded);
  yield counter("failure", stats.failed);
  yield counter("overloaded", stats.overloaded);
  if (breaker !== undefined) yield counter("circuit_open", breaker.refused);
  yield { name: "dependency_retries_total", kind: "counter", unit: "{retry}", attributes, value: stats.retried };
  yield { name: "dependency_duration_seconds", kind: "histogram", unit: "s", attributes, value: durations };
  yield { name: "dependency_in_use", kind: "gauge", unit: "{request}", attributes, value: stats.inUse };
  yield { name: "dependency_pending", kind: "gauge", unit: "{request}", attributes, value: stats.pending };
  if (breaker === undefined) return;
  const open = breaker.state === "closed" || breaker.state === "ramp" ? 0 : 1;
  yield { name: "dependency_circuit_open", kind: "gauge", unit: "1", attributes, value: open };
}
