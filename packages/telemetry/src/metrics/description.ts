/** What a metric of Steward is. The README has the same table, and alert rules and dashboards are made of it. */
export interface MetricDescription {
  readonly kind: "counter" | "gauge" | "histogram";
  /** Unit in UCUM. */
  readonly unit: string;
  /** The attributes that its series may have; Prometheus knows them with `_` in place of `.`. */
  readonly labels: readonly string[];
  /** What it says, in one sentence. */
  readonly help: string;
}
