import type { RuleSettings } from "./options.ts";
import { selected } from "./series.ts";

/** How soon somebody has to look: `critical` wakes people, `warning` can wait for the morning, `info` is for a look back. */
export type Severity = "critical" | "warning" | "info";

/** An alert on a metric. */
export interface Alert {
  readonly name: string;
  readonly severity: Severity;
  /** How long it has to be so, in the words of Prometheus. */
  readonly for: string;
  readonly expression: (settings: RuleSettings) => string;
  /** What is wrong, with Prometheus' templates. */
  readonly summary: string;
  /** What to do. */
  readonly action: string;
}

const REPLICA = "job, instance, resource";
const ON = "{{ $labels.resource }} on {{ $labels.instance }}";
const REQUESTS = "http.server.request.duration";

/** Whether the error budget of a month burns `factor` times too fast, over a long window and, so that it ends soon after, a short one. */
function burning(factor: number, long: string, short: string): Alert["expression"] {
  return ({ selector, objective }) => {
    const rate = (window: string, ...more: readonly string[]): string =>
      `sum by (job) (rate(${selected(REQUESTS, [...more, selector], "_count")}[${window}]))`;
    const failed = 'http_response_status_code=~"5.."';
    const budget = Number((factor * (1 - objective)).toPrecision(6));
    const share = (window: string): string => `${rate(window, failed)} / ${rate(window)} > ${budget}`;
    return `${share(long)}\nand ${share(short)}`;
  };
}

/** The alerts, by the metric that they are about. The expression of each may look at further ones. */
export const ALERTS: Readonly<Record<string, readonly Alert[]>> = {
  dependency_health: [
    {
      name: "StewardUnhealthy",
      severity: "warning",
      for: "2m",
      expression: ({ selector }) => `${selected("dependency_health", [selector])} == 0`,
      summary: `${ON} is unhealthy`,
      action: "`/health/detailed` of the replica says why, and which resource is the root cause.",
    },
    {
      name: "StewardUnhealthyEverywhere",
      severity: "critical",
      for: "1m",
      // What may be down wakes no one: it has the warning above.
      expression: ({ selector }) =>
        `max by (job, resource) (${selected("dependency_health", ['criticality="critical"', selector])}) == 0`,
      summary: "{{ $labels.resource }} is unhealthy on every replica of {{ $labels.job }}",
      action: "What all replicas share is down: look at the server behind the resource, not at the replicas.",
    },
    {
      name: "StewardAbsent",
      severity: "critical",
      for: "5m",
      expression: ({ selector }) => `absent(${selected("dependency_health", [selector])})`,
      summary: "No replica shows the health of any resource",
      action: "Nothing runs, nothing has started yet, or it is not scraped: look at the targets of Prometheus.",
    },
  ],
  dependency_circuit_open: [
    {
      name: "StewardBreakerOpen",
      severity: "warning",
      for: "1m",
      expression: ({ selector }) => `${selected("dependency_circuit_open", [selector])} > 0`,
      summary: `${ON} has been refusing calls for over a minute`,
      action: "Its circuit breaker is open, because the resource does not answer. The breaker closes by itself.",
    },
  ],
  dependency_pending: [
    {
      name: "StewardPoolFull",
      severity: "warning",
      for: "5m",
      expression: ({ selector }) =>
        `${selected("dependency_pending", [selector])} > 0\nand on (${REPLICA}) ${selected("dependency_utilisation_ratio", [selector])} >= 1`,
      summary: `{{ $value }} calls wait for ${ON}, all places of which are taken`,
      action: "Slow calls or too few places: compare its latency with that of an hour ago before raising the bound.",
    },
  ],
  [REQUESTS]: [
    {
      name: "StewardErrorBudgetFast",
      severity: "critical",
      for: "2m",
      expression: burning(14.4, "1h", "5m"),
      summary: "{{ $value | humanizePercentage }} of the requests to {{ $labels.job }} fail",
      action: "At this speed 2 % of the errors allowed in a month are used up in an hour.",
    },
    {
      name: "StewardErrorBudgetSlow",
      severity: "warning",
      for: "15m",
      expression: burning(6, "6h", "30m"),
      summary: "{{ $value | humanizePercentage }} of the requests to {{ $labels.job }} have failed for hours",
      action: "At this speed 5 % of the errors allowed in a month are used up in six hours.",
    },
  ],
  "steward.database.overdue_leases": [
    {
      name: "StewardLeaseOverdue",
      severity: "warning",
      for: "1m",
      expression: ({ selector }) => `${selected("steward.database.overdue_leases", [selector])} > 0`,
      summary: `{{ $value }} connections of ${ON} are held for too long`,
      action:
        "A transaction or reservation was not ended; the event of the channel `leak` has the place that began it.",
    },
  ],
  resource_uptime_seconds: [
    {
      name: "StewardRestarting",
      severity: "warning",
      for: "0m",
      expression: ({ selector }) => `resets(${selected("resource_uptime_seconds", [selector])}[15m]) > 3`,
      summary: `${ON} has started {{ $value }} times more in 15 minutes`,
      action: "Every resource of a replica: the process dies, look at its last lines. One alone: look at its journal.",
    },
  ],
  resource_start_duration_seconds: [
    {
      name: "StewardSlowStart",
      severity: "info",
      for: "0m",
      expression: ({ selector, slowStartMs }) =>
        `${selected("resource_start_duration_seconds", [selector])} > ${slowStartMs / 1_000}`,
      summary: `${ON} took {{ $value | humanizeDuration }} to start`,
      action: "`explain(running)` and the dashboard show the critical path of the start.",
    },
  ],
  "steward.config.reloads": [
    {
      name: "StewardConfigRefused",
      severity: "warning",
      for: "0m",
      expression: ({ selector }) =>
        `increase(${selected("steward.config.reloads", ['outcome="refused"', selector])}[15m]) > 0`,
      summary: `A change of ${ON} was refused; the settings of before stay in use`,
      action: "The log says which setting is wrong.",
    },
  ],
};
