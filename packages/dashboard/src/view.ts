import type { Clock, HealthStatus, Phase } from "@steward/core";
import type { Calls, ResourceCalls } from "./recorder/calls.ts";
import type { JournalEntry } from "./recorder/journal.ts";
import type { ProcessView } from "./recorder/process.ts";
import type { OpenRequest } from "./recorder/requests.ts";
import { attempt, type DashboardSource, type SourceHealth, type SourceNode, type SourceReport } from "./source.ts";

/** A need of a resource. */
export type DashboardNeed = SourceNode["needs"][number];

/** A resource as a dashboard shows it. */
export interface DashboardNode {
  readonly name: string;
  /** The kind of driver; `undefined` for a plain resource. */
  readonly driver: string | undefined;
  readonly lifetime: string;
  readonly needs: readonly DashboardNeed[];
  /** Its phase, or `given`, `disabled` or `not started`. */
  readonly phase: string;
  /** `undefined` for what has no health, such as constants and what a request opens. */
  readonly status: HealthStatus | undefined;
  /** What it would be by itself, whatever it needs. */
  readonly ownStatus: HealthStatus | undefined;
  readonly criticality: "critical" | "optional" | undefined;
  readonly tags: readonly string[];
  /** Why it is not well, for operators. */
  readonly reason: string | undefined;
  /** The resources below it that are the reason. */
  readonly causes: readonly string[];
  /** Since when it has its own status, in ms since 1970, by the second. */
  readonly sinceAt: number | undefined;
  /** When its start began, in ms from the first start of all. */
  readonly startedAtMs: number | undefined;
  readonly startedInMs: number | undefined;
  /** Calls a second and how many of them failed; `undefined` where no call was seen since the first viewer came. */
  readonly rate: number | undefined;
  readonly errorRate: number | undefined;
  /** Durations of its calls in the last 10 to 20 s, in ms. */
  readonly p50: number | undefined;
  readonly p95: number | undefined;
  readonly p99: number | undefined;
  /** Places in use, places that there are, and calls that wait. */
  readonly inUse: number | undefined;
  readonly max: number | undefined;
  readonly pending: number | undefined;
  /** The state of its circuit breaker. */
  readonly breaker: string | undefined;
}

/** Everything that a dashboard shows, at one moment. */
export interface DashboardView {
  readonly schema: 1;
  /** Which process it is: host, process id, and something random, as ids of processes come again. */
  readonly instance: string;
  readonly container: string | undefined;
  readonly version: string | undefined;
  /** When it was read, in ms since 1970. */
  readonly at: number;
  /** The last change of the journal that is in it. */
  readonly sequence: number;
  readonly phase: Phase;
  readonly status: HealthStatus;
  /** Why the container did not start. */
  readonly reason: string | undefined;
  readonly startedInMs: number | undefined;
  readonly uptimeMs: number;
  readonly nodes: readonly DashboardNode[];
  readonly journal: readonly JournalEntry[];
  /** `undefined` while no one watches. */
  readonly process: ProcessView | undefined;
  /** Requests that are being answered, of those that came since the first viewer. */
  readonly requests: { readonly open: number; readonly oldest: readonly OpenRequest[] } | undefined;
  /** Whether there are training runs to be asked for, at `runs`. */
  readonly hasRuns: boolean;
}

/** The part of a view that is about the container as a whole. */
export type Summary = Pick<
  DashboardView,
  "container" | "version" | "phase" | "status" | "reason" | "startedInMs" | "uptimeMs"
>;

/** How the container is as a whole; before the start it is idle. */
export function summaryOf(source: DashboardSource | undefined, report: SourceReport | undefined): Summary {
  return {
    container: source?.name,
    version: report?.version,
    phase: report?.phase ?? "idle",
    status: report?.status ?? "unknown",
    reason: report?.reason,
    startedInMs: source?.startedInMs,
    uptimeMs: report?.uptimeMs ?? 0,
  };
}

/** Resources whose start failed, with the reasons. */
export type Failures = ReadonlyMap<string, string | undefined>;

/**
 * All resources, in the order of the graph. After a start that failed a container knows nothing of them any more; what
 * failed is said by `failures`.
 */
export function nodesOf(
  source: DashboardSource | undefined,
  report: SourceReport | undefined,
  calls: Calls,
  clock: Clock,
  failures: Failures,
): DashboardNode[] {
  if (source === undefined) return [];
  const health = new Map((report?.resources ?? []).map((one) => [one.name, one]));
  const stats = attempt(() => source.stats?.(), undefined) ?? {};
  const nodes = attempt(() => source.graph?.().nodes, undefined) ?? [...health.values()].map(bareNode);
  const now = clock.wallNow();
  return nodes.map((node) => {
    const one = nodeOf(node, health.get(node.name), calls.of(node.name), own(stats, node.name), now);
    return failures.has(node.name) && one.status === undefined ? { ...one, ...failed(failures.get(node.name)) } : one;
  });
}

function failed(reason: string | undefined): Partial<DashboardNode> {
  return { phase: "failed", status: "unhealthy", ownStatus: "unhealthy", reason };
}

/** Where there is no graph, resources stand side by side. */
function bareNode({ name, driver, phase }: SourceHealth): SourceNode {
  return {
    name,
    driver,
    lifetime: "application",
    needs: [],
    state: phase,
    startedAtMs: undefined,
    startedInMs: undefined,
  };
}

const NO_STATS: Readonly<Record<string, unknown>> = {};

/** One literal, and no list in between: it is made for each resource several times a second. */
function nodeOf(
  node: SourceNode,
  health: SourceHealth | undefined,
  calls: ResourceCalls | undefined,
  stats: Readonly<Record<string, unknown>> = NO_STATS,
  now: number,
): DashboardNode {
  const guard = recordIn(stats, "guard") ?? recordIn(stats, "calls") ?? stats;
  const breaker = recordIn(guard, "breaker") ?? recordIn(stats, "breaker");
  const max = numberIn(guard, "maxConcurrent") ?? numberIn(stats, "maxConnections") ?? numberIn(stats, "max");
  return {
    name: node.name,
    driver: node.driver,
    lifetime: node.lifetime,
    needs: node.needs,
    phase: health?.phase ?? node.state,
    status: health?.status,
    ownStatus: health?.ownStatus,
    criticality: health?.criticality,
    tags: health?.tags ?? NOTHING,
    reason: health?.reason,
    causes: health?.causes ?? NOTHING,
    sinceAt: health?.sinceMs === undefined ? undefined : Math.round((now - health.sinceMs) / 1_000) * 1_000,
    startedAtMs: rounded(node.startedAtMs),
    startedInMs: rounded(node.startedInMs),
    rate: rounded(calls?.rate),
    errorRate: rounded(calls?.errorRate),
    p50: calls?.recent.p50,
    p95: calls?.recent.p95,
    p99: calls?.recent.p99,
    inUse: numberIn(guard, "inUse") ?? numberIn(stats, "inUse"),
    max: max === 0 ? undefined : max, // 0 stands for no bound
    pending: numberIn(guard, "pending") ?? numberIn(stats, "pending"),
    breaker: textIn(breaker, "state"),
  };
}

const NOTHING: readonly string[] = [];

function recordIn(of: Readonly<Record<string, unknown>>, name: string): Readonly<Record<string, unknown>> | undefined {
  const value = of[name];
  return isRecord(value) ? value : undefined;
}

function numberIn(of: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const value = of[name];
  return typeof value === "number" ? value : undefined;
}

function textIn(of: Readonly<Record<string, unknown>> | undefined, name: string): string | undefined {
  const value = of?.[name];
  return typeof value === "string" ? value : undefined;
}

/** What an object itself has under a name, which may be `toString`. */
export function own<T>(of: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(of, name) ? of[name] : undefined;
}

/** Whether it is an object with names. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function rounded(value: number | undefined): number | undefined {
  return value === undefined ? undefined : Math.round(value * 10) / 10;
}
