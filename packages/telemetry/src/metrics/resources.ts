import type { MetricDescription } from "./description.ts";

/** Metrics of every resource, and of a container. */
export const RESOURCES: Readonly<Record<string, MetricDescription>> = {
  dependency_requests_total: {
    kind: "counter",
    unit: "{request}",
    labels: ["resource", "outcome"],
    help: "Calls of a resource by outcome: success, failure, overloaded, circuit_open.",
  },
  dependency_retries_total: {
    kind: "counter",
    unit: "{retry}",
    labels: ["resource"],
    help: "Attempts behind the first.",
  },
  dependency_duration_seconds: {
    kind: "histogram",
    unit: "s",
    labels: ["resource"],
    help: "Time from a call's place to its first evidence.",
  },
  dependency_in_use: { kind: "gauge", unit: "{request}", labels: ["resource"], help: "Calls that run now." },
  dependency_in_use_peak: {
    kind: "gauge",
    unit: "{request}",
    labels: ["resource"],
    help: "The most calls that ran at once so far.",
  },
  dependency_utilisation_ratio: {
    kind: "gauge",
    unit: "1",
    labels: ["resource"],
    help: "Places in use over places there are, 0 to 1.",
  },
  dependency_pending: {
    kind: "gauge",
    unit: "{request}",
    labels: ["resource"],
    help: "Calls that wait for a place now.",
  },
  dependency_circuit_open: {
    kind: "gauge",
    unit: "1",
    labels: ["resource"],
    help: "Circuit breakers that let nothing through now.",
  },
  dependency_health: {
    kind: "gauge",
    unit: "1",
    labels: ["resource", "criticality"],
    help: "Health: 1 healthy, 0.5 degraded, 0 unhealthy; no sample while it is unknown, before its first start has ended.",
  },
  resource_uptime_seconds: {
    kind: "gauge",
    unit: "s",
    labels: ["resource"],
    help: "For how long a resource has been ready; 0 while it is not.",
  },
  resource_start_duration_seconds: {
    kind: "gauge",
    unit: "s",
    labels: ["resource"],
    help: "How long the last start of a resource took.",
  },
  resource_availability_ratio: {
    kind: "gauge",
    unit: "1",
    labels: ["resource"],
    help: "Healthy time over all time since the container started, 0 to 1.",
  },
  resource_count: { kind: "gauge", unit: "{resource}", labels: [], help: "Resources of a container." },
  resource_ready_count: {
    kind: "gauge",
    unit: "{resource}",
    labels: [],
    help: "Resources of a container that are ready.",
  },
  resource_scopes_open: { kind: "gauge", unit: "{scope}", labels: [], help: "Scopes that are open now." },
};
