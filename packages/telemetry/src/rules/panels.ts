/** The dashboards that there are. */
export type DashboardName = "overview" | "resource" | "rollout";

/** Where a metric is drawn. */
export interface Panel {
  readonly on: DashboardName;
  readonly title: string;
  /** Labels that its lines are distinguished by; the others are added up, or the worst of them is shown. Default: its own. */
  readonly by?: readonly string[];
  /** Matchers besides those of the dashboard. */
  readonly where?: string;
  /** Histograms: how many there were in a second, not how long they took. */
  readonly counts?: true;
  /** Histograms of durations: the share of time that all of them took, not how long one took. */
  readonly spent?: true;
  /** Gauges: what stands for several series. Default `max`. */
  readonly take?: "min" | "max" | "sum";
}

/** The panels of each metric, in the order of the dashboards. */
export const PANELS: Readonly<Record<string, readonly Panel[]>> = {
  dependency_health: [
    { on: "overview", title: "Health, the worst replica", by: ["resource", "criticality"], take: "min" },
    { on: "resource", title: "Health", by: ["instance"], take: "min" },
    {
      on: "rollout",
      title: "Health, the worst critical resource",
      by: ["instance"],
      where: 'criticality="critical"',
      take: "min",
    },
  ],
  resource_ready_count: [
    { on: "overview", title: "Resources that are ready", by: ["instance"] },
    { on: "rollout", title: "Resources that are ready", by: ["instance"] },
  ],
  "http.server.request.duration": [
    { on: "overview", title: "Requests by status", by: ["http.response.status_code"], counts: true },
    {
      on: "overview",
      title: "Requests that fail",
      by: ["http.route"],
      counts: true,
      where: 'http_response_status_code=~"5.."',
    },
    { on: "overview", title: "Latency of requests", by: ["http.route"] },
    {
      on: "rollout",
      title: "Requests that fail",
      by: ["instance"],
      counts: true,
      where: 'http_response_status_code=~"5.."',
    },
    { on: "rollout", title: "Latency of requests", by: ["instance"] },
  ],
  "http.server.active_requests": [{ on: "overview", title: "Requests in progress", by: ["instance"], take: "sum" }],
  dependency_requests_total: [
    { on: "overview", title: "Calls that fail", by: ["resource"], where: 'outcome!="success"' },
    { on: "resource", title: "Calls by outcome", by: ["outcome"] },
    { on: "rollout", title: "Calls that fail", by: ["instance"], where: 'outcome!="success"' },
  ],
  dependency_duration_seconds: [
    { on: "overview", title: "Latency of calls", by: ["resource"] },
    { on: "resource", title: "Latency of calls", by: ["instance"] },
  ],
  dependency_circuit_open: [
    { on: "overview", title: "Open circuit breakers", by: ["resource"], take: "sum" },
    { on: "resource", title: "Open circuit breakers", by: ["instance"] },
  ],
  dependency_utilisation_ratio: [
    { on: "overview", title: "Places in use", by: ["resource"] },
    { on: "resource", title: "Places in use", by: ["instance"] },
  ],
  dependency_pending: [
    { on: "overview", title: "Calls that wait", by: ["resource"], take: "sum" },
    { on: "resource", title: "Calls that wait", by: ["instance"] },
  ],
  dependency_in_use: [{ on: "resource", title: "Calls that run", by: ["instance"] }],
  dependency_in_use_peak: [{ on: "resource", title: "The most calls at once", by: ["instance"] }],
  dependency_retries_total: [{ on: "resource", title: "Attempts behind the first", by: ["instance"] }],
  "db.client.connection.count": [{ on: "resource", title: "Connections of a pool", by: ["state"], take: "sum" }],
  "db.client.connection.timeouts": [{ on: "resource", title: "Calls of a pool past their deadline", by: ["instance"] }],
  "steward.database.overdue_leases": [{ on: "resource", title: "Leases held for too long", by: ["instance"] }],
  resource_uptime_seconds: [
    { on: "resource", title: "Uptime", by: ["instance"] },
    { on: "rollout", title: "Uptime of the youngest resource", by: ["instance"], take: "min" },
  ],
  resource_availability_ratio: [{ on: "resource", title: "Availability", by: ["instance"], take: "min" }],
  resource_start_duration_seconds: [
    { on: "resource", title: "Duration of the last start", by: ["instance"] },
    { on: "rollout", title: "Slowest start of a resource", by: ["instance"] },
  ],
  resource_scopes_open: [{ on: "rollout", title: "Open scopes", by: ["instance"] }],
  process_cpu_seconds_total: [
    { on: "overview", title: "CPU, of one core", by: ["instance"] },
    { on: "rollout", title: "CPU, of one core", by: ["instance"] },
  ],
  nodejs_gc_duration_seconds: [
    { on: "overview", title: "Share of time for garbage collection", by: ["instance"], spent: true },
    { on: "overview", title: "Pauses for garbage collection", by: ["kind"] },
    { on: "rollout", title: "Share of time for garbage collection", by: ["instance"], spent: true },
  ],
  "steward.requests.open": [{ on: "rollout", title: "Requests in progress", by: ["instance"] }],
  "steward.config.generation": [{ on: "rollout", title: "Generation of the settings", by: ["instance"], take: "min" }],
  "steward.connections.refused": [{ on: "overview", title: "Connections refused", by: ["instance"] }],
  "steward.rate_limit.decisions": [{ on: "overview", title: "Decisions of rate limiters", by: ["policy", "outcome"] }],
  "steward.cache.lookups": [{ on: "overview", title: "Look-ups of caches", by: ["level", "result"] }],
};
