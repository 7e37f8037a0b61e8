/** What is sent of an alert. */
export interface AlertMessage {
  /** Name of the rule. */
  readonly rule: string;
  /** `firing` once, `reminder` while it lasts, `resolved` when it is over. */
  readonly status: "firing" | "reminder" | "resolved";
  /** All of it in one line. It may name hosts, so it is for operators. */
  readonly text: string;
  /** Name of the container. */
  readonly container: string;
  /** Since when it has been so, in ISO 8601. */
  readonly since: string;
  /** When this was found, in ISO 8601. */
  readonly at: string;
  /** The value of the metric, where the rule is about one. */
  readonly value: number | undefined;
  /** How often the rule fired since its last message without being sent, because it had too many. */
  readonly suppressed: number;
}
