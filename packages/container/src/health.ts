import { describeError, type Phase, type Readiness } from "@steward/core";
import type { Engine } from "./engine.ts";
import type { LiveNode } from "./node.ts";
import { PlainManager } from "./plain.ts";

/** How well something is. A resource that was never probed and is ready counts as healthy; one that has not started is unknown. */
export type HealthStatus = "unknown" | "healthy" | "degraded" | "unhealthy";

/** One resource in a health report. */
export interface ResourceHealth {
  readonly name: string;
  readonly status: HealthStatus;
  readonly phase: Phase | "disabled";
  readonly criticality: "critical" | "optional";
  /** Whether it counts for `/readyz`. What may be down does not count, unless it says so. */
  readonly readiness: Readiness;
  readonly tags: readonly string[];
  /** How long the last probe took, in ms. */
  readonly probeMs: number | undefined;
  /** Why it is not well, without anything secret. */
  readonly reason: string | undefined;
}

/** How a container is as a whole, and each of its resources. */
export interface HealthReport {
  readonly status: HealthStatus;
  readonly phase: Phase;
  readonly resources: readonly ResourceHealth[];
}

/** The health of now, from lifecycle states and last probes. No I/O. */
export function healthOf(engine: Engine): HealthReport {
  const resources = engine.live.flatMap((node) => (node.graph.constant === undefined ? [healthOfNode(node)] : []));
  return { status: overall(engine, resources), phase: engine.phase, resources };
}

function healthOfNode(node: LiveNode): ResourceHealth {
  const { settings } = node.graph.spec;
  const phase = node.disabled ? "disabled" : (node.manager?.phase ?? "ready");
  const nothingToAsk = node.manager instanceof PlainManager && !node.manager.probed;
  const probe = nothingToAsk ? undefined : node.manager?.lastProbe;
  return {
    name: node.name,
    status: statusOf(phase, probe?.error),
    phase,
    criticality: settings.criticality ?? "critical",
    readiness: settings.readiness ?? (settings.criticality === "optional" ? "ignore" : "gate"),
    tags: settings.tags ?? [],
    probeMs: probe === undefined ? undefined : Math.round(probe.durationMs * 10) / 10,
    reason: probe?.error === undefined ? (phase === "failed" ? "it did not start" : undefined) : describeError(probe.error),
  };
}

function statusOf(phase: Phase | "disabled", probeError: unknown): HealthStatus {
  if (phase === "ready" || phase === "draining") return probeError === undefined ? "healthy" : "unhealthy";
  if (phase === "disabled") return "healthy";
  return phase === "idle" || phase === "starting" ? "unknown" : "unhealthy";
}

function overall(engine: Engine, resources: readonly ResourceHealth[]): HealthStatus {
  if (engine.phase !== "ready" && engine.phase !== "draining") return engine.phase === "idle" || engine.phase === "starting" ? "unknown" : "unhealthy";
  if (resources.some((resource) => resource.status === "unhealthy" && resource.criticality === "critical")) return "unhealthy";
  return resources.some((resource) => resource.status !== "healthy") ? "degraded" : "healthy";
}
