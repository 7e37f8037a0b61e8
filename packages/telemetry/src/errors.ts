/** Codes of the problems that this package meets, with their meaning. */
export const TELEMETRY_CODES = {
  TELEMETRY_SOURCE_FAILED: "A source of metrics threw; its series are missing from that reading.",
  TELEMETRY_METRIC_CONFLICT: "Two metrics of one name differ in kind, unit or buckets.",
  TELEMETRY_NAME_INVALID: "A metric or one of its attributes has a name that exporters cannot write.",
  TELEMETRY_ALERT_BLIND: "An alert is about a resource or metric that there is not.",
  TELEMETRY_ALERT_LOST: "The message of an alert could not be delivered in its time, or was refused.",
  TELEMETRY_WEBHOOK_REFUSED: "A webhook answered with a status other than 2xx.",
} as const;

/** A code that `@steward/telemetry` raises or reports. */
export type TelemetryCode = keyof typeof TELEMETRY_CODES;
