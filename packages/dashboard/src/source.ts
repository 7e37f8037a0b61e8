import type { HealthStatus, Phase } from "@steward/core";

/** A resource in a graph, as a running container gives it. */
export interface SourceNode {
  readonly name: string;
  readonly lifetime: string;
  readonly driver: string | undefined;
  readonly needs: readonly {
    readonly key: string;
    readonly name: string;
    readonly kind: string;
    readonly optional: boolean;
  }[];
  readonly state: string;
  readonly startedAtMs: number | undefined;
  readonly startedInMs: number | undefined;
}

/** The health of a resource, as a running container reports it. */
export interface SourceHealth {
  readonly name: string;
  readonly status: HealthStatus;
  readonly ownStatus: HealthStatus;
  readonly phase: Phase | "disabled";
  readonly driver: string | undefined;
  readonly criticality: "critical" | "optional";
  readonly readiness: string;
  readonly tags: readonly string[];
  readonly sinceMs: number | undefined;
  readonly probeMs: number | undefined;
  readonly lastCheckAt: string | undefined;
  readonly reason: string | undefined;
  readonly about: Readonly<Record<string, unknown>> | undefined;
  readonly causes: readonly string[];
}

/** A health report of a running container. */
export interface SourceReport {
  readonly status: HealthStatus;
  readonly phase: Phase;
  readonly version: string | undefined;
  readonly uptimeMs: number;
  readonly reason: string | undefined;
  readonly resources: readonly SourceHealth[];
}

/** What a dashboard shows: a `RunningContainer`. Nothing else of it is used, and where a part is missing, less is shown. */
export interface DashboardSource {
  health(): SourceReport;
  readonly name?: string;
  readonly startedInMs?: number;
  graph?(): { readonly nodes: readonly SourceNode[] };
  stats?(): Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** Gives what is shown, once it is there. */
export type FindSource = () => DashboardSource | undefined;

/** What is found, where it is there and is a source: what a program hands over may throw before its container exists. */
export function found(find: FindSource): DashboardSource | undefined {
  const source = attempt(find, undefined);
  return typeof source?.health === "function" ? source : undefined;
}

/** How it is, where it says so. */
export function reportOf(source: DashboardSource | undefined): SourceReport | undefined {
  return attempt(() => source?.health(), undefined);
}

/** What somebody else's code gives, or `otherwise` where it throws: one resource that is broken does not hide the others. */
export function attempt<T>(ask: () => T, otherwise: T): T {
  try {
    return ask();
  } catch {
    return otherwise;
  }
}
