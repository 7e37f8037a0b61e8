import type { MetricSample } from "@steward/core";

/** Series of an audit log. */
export function auditSeries(
  attributes: Readonly<Record<string, string>>,
  counts: Readonly<Record<"recorded" | "failed" | "pending" | "lost", number>>,
): readonly MetricSample[] {
  const of = { unit: "{event}", attributes } as const;
  return [
    { name: "steward.audit.recorded", kind: "counter", ...of, value: counts.recorded },
    { name: "steward.audit.failed", kind: "counter", ...of, value: counts.failed },
    { name: "steward.audit.lost", kind: "counter", ...of, value: counts.lost },
    { name: "steward.audit.pending", kind: "gauge", ...of, value: counts.pending },
  ];
}
