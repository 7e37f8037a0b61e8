import type { MetricSample } from "../ports/metrics.ts";
import type { GuardStats } from "../guard/options.ts";

/** Connections of a pool. */
export interface PooledConnections {
  readonly size: number;
  readonly idle: number;
  /** The most that there may be. */
  readonly max: number;
}

/** Series of a pool of connections, by OpenTelemetry's conventions. */
export function* connectionSeries(
  { size, idle, max }: PooledConnections,
  { pending, timedOut }: GuardStats,
  attributes: Readonly<Record<string, string>>,
): Iterable<MetricSample> {
  const unit = "{connection}";
  for (const [state, value] of Object.entries({ idle, used: size - idle }))
    yield { name: "db.client.connection.count", kind: "gauge", unit, attributes: { ...attributes, state }, value };
  yield { name: "db.client.connection.max", kind: "gauge", unit, attributes, value: max };
  yield {
    name: "db.client.connection.pending_requests",
    kind: "gauge",
    unit: "{request}",
    attributes,
    value: pending,
  };
  yield { name: "db.client.connection.timeouts", kind: "counter", unit: "{timeout}", attributes, value: timedOut };
}
