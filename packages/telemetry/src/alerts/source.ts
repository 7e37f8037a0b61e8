import type { HealthStatus, MetricsSource } from "@steward/core";

/** What is watched: a `RunningContainer`. */
export interface AlertSource extends MetricsSource {
  readonly name?: string;
  /** Nothing is looked at unless it is `ready`: a shutdown is no outage. */
  readonly phase?: string;
  health(): AlertHealth;
}

/** What of a health report is looked at. */
export interface AlertHealth {
  readonly resources: readonly {
    readonly name: string;
    readonly status: HealthStatus;
    readonly sinceMs: number | undefined;
    readonly reason: string | undefined;
  }[];
}
