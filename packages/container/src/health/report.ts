import type { HealthStatus, Phase, Readiness } from "@steward/core";
import { describeError, type LastProbe } from "@steward/core/container";
import { indicesOf } from "../lifecycle/state.ts";
import type { Engine } from "../lifecycle/engine.ts";
import type { LiveNode } from "../lifecycle/live-node.ts";
import { lastProbeOf, ownFinding, phaseOf } from "./own-health.ts";

/** One resource in a health report. */
export interface ResourceHealth {
  readonly name: string;
  /** Degraded where it is well itself but something that it needs is not. */
  readonly status: HealthStatus;
  /** What it would be by itself, whatever it needs. */
  readonly ownStatus: HealthStatus;
  readonly phase: Phase | "disabled";
  /** The kind of driver, such as `redis`; `undefined` for a plain resource. */
  readonly driver: string | undefined;
  readonly criticality: "critical" | "optional";
  /** Whether it counts for `/readyz`. What may be down does not count, unless it says so. */
  readonly readiness: Readiness;
  readonly tags: readonly string[];
  /** Since when it has its own status, in ms before the report; `undefined` where nothing is known. */
  readonly sinceMs: number | undefined;
  /** How long the last probe took, in ms. */
  readonly probeMs: number | undefined;
  /** When it last showed a sign of life or of its lack: the last probe, or a later call that succeeded. ISO 8601. */
  readonly lastCheckAt: string | undefined;
  /** How long one of its calls took on average since the start, in ms; where there was none, the last probe. */
  readonly responseTimeMs: number | undefined;
  /** How many of its calls failed since the start; `undefined` where its calls are not seen. */
  readonly errorCount: number | undefined;
  /** Why it is not well. It may name hosts, so it is for operators. */
  readonly reason: string | undefined;
  /** What it says of itself, such as where its value comes from. For operators too. */
  readonly about: Readonly<Record<string, unknown>> | undefined;
  /** The resources below it that are the reason. */
  readonly causes: readonly string[];
}

/** How a container is as a whole, and each of its resources, root causes first. */
export interface HealthReport {
  readonly status: HealthStatus;
  readonly phase: Phase;
  /** When this was read, in ISO 8601. */
  readonly timestamp: string;
  /** The version of the app, as the container's options say. */
  readonly version: string | undefined;
  /** For how long the container has been up, in ms; 0 before. */
  readonly uptimeMs: number;
  /** Why it did not start. It may name hosts, so it is for operators. */
  readonly reason: string | undefined;
  readonly resources: readonly ResourceHealth[];
}

/** The present health, from lifecycle states, probes and real calls. No I/O. */
export function healthOf(engine: Engine, version: string | undefined): HealthReport {
  const now = engine.clock.now();
  const date = engine.clock.wallNow();
  const moment = { now, date };
  const nodes = [...engine.live, ...engine.starting].filter((node) => node.graph.constant === undefined);
  const own = new Map(nodes.map((node) => [node.graph.index, ownHealth(engine, node, moment)]));
  const isWell = [...own.values()].every(({ ownStatus }) => ownStatus === "healthy");
  const causes = new Causes(engine, own);
  const resources = [...own].map(([index, health]) => (isWell ? health : causes.of(index, health)));
  resources.sort((a, b) => weight(b) - weight(a));
  return Object.freeze({
    status: engine.graph.isEmpty ? "unknown" : statusOf(engine.phase, resources),
    phase: engine.phase,
    timestamp: new Date(date).toISOString(),
    version,
    uptimeMs: engine.readyAt === undefined ? 0 : Math.round(now - engine.readyAt),
    reason: engine.failure === undefined ? undefined : describeError(engine.failure),
    resources: Object.freeze(resources),
  });
}

/** Root causes first, then what suffers from them, then the rest in the order of the graph. */
function weight({ ownStatus, status }: ResourceHealth): number {
  return ownStatus === "unhealthy" ? 3 : ownStatus === "degraded" ? 2 : status === "healthy" ? 0 : 1;
}

/** One moment on both clocks: monotonic for differences, of the wall for display. */
interface Moment {
  readonly now: number;
  readonly date: number;
}

function ownHealth(engine: Engine, node: LiveNode, { now, date }: Moment): ResourceHealth {
  const { settings, managed } = node.graph.spec;
  const tracked = engine.monitor?.trackerOf(node)?.health;
  const probe = lastProbeOf(node);
  const { status, reason } = ownFinding(node, tracked, probe);
  const calls = node.manager?.calls;
  const lastCheckAt = lastCheckOf(node, probe);
  return {
    name: node.name,
    status,
    ownStatus: status,
    phase: phaseOf(node),
    driver: managed?.driver,
    criticality: settings.criticality ?? "critical",
    readiness: settings.readiness ?? (settings.criticality === "optional" ? "ignore" : "gate"),
    tags: settings.tags ?? [],
    sinceMs: tracked === undefined ? undefined : Math.round(now - tracked.since),
    probeMs: rounded(probe?.durationMs),
    lastCheckAt: lastCheckAt === undefined ? undefined : new Date(date - (now - lastCheckAt)).toISOString(),
    responseTimeMs: rounded(calls?.meanMs ?? probe?.durationMs),
    errorCount: calls?.failed,
    reason: status === "healthy" ? undefined : reason,
    about: node.manager?.about,
    causes: [],
  };
}

/** When it was last heard of, in ms of the clock. */
function lastCheckOf({ manager }: LiveNode, probe: LastProbe | undefined): number | undefined {
  const at = Math.max(
    probe?.at ?? Number.NEGATIVE_INFINITY,
    manager?.passive?.lastSuccessAt ?? Number.NEGATIVE_INFINITY,
  );
  return at === Number.NEGATIVE_INFINITY ? undefined : at;
}

function rounded(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms * 10) / 10;
}

/** The resources furthest down that are not well by themselves, below each resource. Each is looked at once. */
class Causes {
  readonly #engine: Engine;
  readonly #own: ReadonlyMap<number, ResourceHealth>;
  readonly #below = new Map<number, ReadonlySet<string>>();

  constructor(engine: Engine, own: ReadonlyMap<number, ResourceHealth>) {
    this.#engine = engine;
    this.#own = own;
  }

  /** The health of a resource with what it needs counted in. */
  of(index: number, health: ResourceHealth): ResourceHealth {
    if (health.ownStatus !== "healthy") return health;
    const causes = [...this.#causesBelow(index)];
    return causes.length === 0
      ? health
      : { ...health, status: "degraded", causes, reason: `it needs ${causes.join(", ")}` };
  }

  #causesBelow(index: number): ReadonlySet<string> {
    const known = this.#below.get(index);
    if (known !== undefined) return known;
    this.#below.set(index, NONE); // a resource is not below itself
    let causes: Set<string> | undefined;
    for (const edge of this.#engine.graph.nodes[index]?.edges ?? [])
      for (const to of indicesOf(edge)) {
        const below = this.#causesBelow(to);
        const health = this.#own.get(to);
        for (const name of below) (causes ??= new Set()).add(name);
        if (below.size === 0 && health !== undefined && health.ownStatus !== "healthy")
          (causes ??= new Set()).add(health.name);
      }
    const found = causes ?? NONE;
    this.#below.set(index, found);
    return found;
  }
}

const NONE: ReadonlySet<string> = new Set();

/** How resources are together, in a container of the given phase. */
export function statusOf(phase: Phase, resources: readonly ResourceHealth[]): HealthStatus {
  if (phase === "idle" || phase === "starting") return "unknown";
  if (phase !== "ready" && phase !== "draining") return "unhealthy";
  if (resources.some((resource) => resource.ownStatus === "unhealthy" && resource.criticality === "critical"))
    return "unhealthy";
  return resources.some((resource) => resource.status !== "healthy") ? "degraded" : "healthy";
}
