import type { MetricSample } from "@steward/core";

/** Series of an audit log. */
export function auditSeries(
  attributes: Readonly<Record<string, string>>,
  counts: Readonly<Record<"recorded" | "failed" | "pending" | "lost", number>>,
): readonly MetricSample[] {
  const series = (kind: "counter" | "gauge", name: string, value: number): MetricSample => ({
    name: `steward.audit.${name}`,
    kind,
    unit: "{event}",
    attributes,
    value,
  });
  return [
    series("counter", "recorded", counts.recorded),
    series("counter", "failed", counts.failed),
    series("counter", "lost", counts.lost),
    series("gauge", "pending", counts.pending),
  ];
}
