/** Codes of the problems that this package meets, with their meaning. */
export const TELEMETRY_CODES = {
  TELEMETRY_SOURCE_FAILED: "A source of metrics threw; its series are missing from that reading.",
  TELEMETRY_METRIC_CONFLICT: "Two metrics of one name differ in kind, unit or buckets.",
  TELEMETRY_NAME_INVALID: "A metric or one of its attributes has a name that exporters cannot write.",
} as const;

/** A code that `@steward/telemetry` raises or reports. */
export type TelemetryCode = keyof typeof TELEMETRY_CODES;
