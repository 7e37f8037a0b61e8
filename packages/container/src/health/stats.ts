import type { HealthStatus, MetricSample, Phase } from "@steward/core";
import { describeError } from "@steward/core/container";
import type { LiveNode } from "../lifecycle/live-node.ts";
import { phaseOf } from "./own-health.ts";
import type { ResourceHealth } from "./report.ts";

/** The numbers of a resource: those that every one has, and those of its driver. */
export interface ResourceStats {
  readonly phase: Phase | "disabled";
  /** How long its last start took, in ms: the attempt that succeeded. `undefined` while it is not ready. */
  readonly startedInMs: number | undefined;
  /** For how long this instance has been ready, in ms; 0 while it is not. */
  readonly uptimeMs: number;
  /** Healthy time over all time since the container started, restarts included, 0 to 1. `undefined` where health is not watched. */
  readonly availability: number | undefined;
  /** Calls that got a place. This and what follows is `undefined` where its calls are not seen, or there was none. */
  readonly callCount: number | undefined;
  readonly errorCount: number | undefined;
  /** How long a call took on average, in ms. */
  readonly averageMs: number | undefined;
  /** The most calls (of a pool: connections) that were in use at once; where calls go to several servers, the sum of the most at each. */
  readonly peakInUse: number | undefined;
  /** Places in use over places there are, 0 to 1; `undefined` where there is no bound. */
  readonly utilisation: number | undefined;
  /** The driver's own. */
  readonly [name: string]: unknown;
}

/** What its driver says; one that fails to say it hides no other resource. */
function ownStats({ manager }: LiveNode): Readonly<Record<string, unknown>> | undefined {
  try {
    return manager?.stats();
  } catch (error) {
    return { statsError: describeError(error) };
  }
}

/** The numbers of one resource, now. */
export function statsOf(node: LiveNode, now: number, availability: number | undefined): ResourceStats {
  const { state, calls } = node.manager ?? {};
  const ready = state?.phase === "ready" ? state : undefined;
  const { inUse = 0, maxConcurrent } = calls ?? {};
  return Object.freeze({
    ...ownStats(node),
    phase: phaseOf(node),
    startedInMs: ready?.startedInMs,
    uptimeMs: ready === undefined ? 0 : now - ready.since,
    availability,
    callCount: calls?.started,
    errorCount: calls?.failed,
    averageMs: calls?.meanMs,
    peakInUse: calls?.peakInUse,
    utilisation: maxConcurrent === undefined ? undefined : inUse / maxConcurrent,
  });
}

/** What a guard has no series for: those of one resource. */
export function* seriesOf(resource: string, stats: ResourceStats): Iterable<MetricSample> {
  const { startedInMs, uptimeMs, availability, utilisation } = stats;
  const attributes = { resource };
  yield { name: "resource_uptime_seconds", kind: "gauge", unit: "s", attributes, value: uptimeMs / 1_000 };
  if (startedInMs !== undefined)
    yield {
      name: "resource_start_duration_seconds",
      kind: "gauge",
      unit: "s",
      attributes,
      value: startedInMs / 1_000,
    };
  if (availability !== undefined)
    yield { name: "resource_availability_ratio", kind: "gauge", unit: "1", attributes, value: availability };
  if (utilisation !== undefined)
    yield { name: "dependency_utilisation_ratio", kind: "gauge", unit: "1", attributes, value: utilisation };
}

const HEALTH_VALUES: Readonly<Record<HealthStatus, number | undefined>> = {
  healthy: 1,
  degraded: 0.5,
  unhealthy: 0,
  unknown: undefined,
};

/** How a resource is; nothing while that is unknown, so that an alert never takes a start for a fault. */
export function* healthSeries({ name, criticality, status }: ResourceHealth): Iterable<MetricSample> {
  const value = HEALTH_VALUES[status];
  const attributes = { resource: name, criticality };
  if (value !== undefined) yield { name: "dependency_health", kind: "gauge", unit: "1", attributes, value };
}

/** How many resources there are, and how many of them are ready. */
export function* countSeries(phases: readonly (Phase | "disabled")[]): Iterable<MetricSample> {
  const ready = phases.filter((phase) => phase === "ready").length;
  const [unit, attributes] = ["{resource}", {}];
  yield { name: "resource_count", kind: "gauge", unit, attributes, value: phases.length };
  yield { name: "resource_ready_count", kind: "gauge", unit, attributes, value: ready };
}
