import type { ResourceHealth, RunningContainer } from "@steward/container";
import type { HealthStatus } from "@steward/core";

/** One resource on the front page. */
export interface Row extends Pick<ResourceHealth, "name" | "status" | "phase" | "reason" | "probeMs" | "driver"> {
  readonly needs: readonly string[];
  /** How long its start took, in ms. */
  readonly startedInMs: number | undefined;
}

/** What runs, as the front page shows it. */
export interface Overview {
  readonly name: "Clips";
  readonly status: HealthStatus;
  /** How long the start took, in ms. */
  readonly startedInMs: number | undefined;
  readonly uptimeSeconds: number;
  readonly resources: readonly Row[];
  readonly links: Readonly<Record<string, string>>;
}

const LINKS = {
  docs: "/docs",
  videos: "/api/v1/videos",
  data: "/api/data?url=",
  secrets: "/api/v1/secrets",
  ready: "/readyz",
  live: "/livez",
  startup: "/startupz",
  health: "/health",
  resources: "/health/resources",
  security: "/health/security",
  caches: "/health/cache",
};

/** What runs now; with `details` also why something is not well, and where the dashboard is. */
export function overviewOf(
  running: RunningContainer | undefined,
  details: boolean,
  managementPort: number | undefined = undefined,
): Overview {
  // A port of 0 is any free one, which is known only to who reads what is printed at the start.
  const dashboard = managementPort ? { dashboard: `http://localhost:${managementPort}/steward/` } : {};
  return {
    name: "Clips",
    status: running?.health().status ?? "unknown",
    startedInMs: running && Math.round(running.startedInMs),
    uptimeSeconds: Math.round(process.uptime()),
    resources: running === undefined ? [] : rowsOf(running, details),
    links: details ? { ...LINKS, metrics: "/metrics", ...dashboard } : LINKS,
  };
}

function rowsOf(running: RunningContainer, details: boolean): Row[] {
  const nodes = new Map(running.graph().nodes.map((node) => [node.name, node]));
  return running.health().resources.map(({ name, status, phase, reason, probeMs, driver }) => {
    const { needs = [], startedInMs } = nodes.get(name) ?? {};
    const shown = { name, status, phase, reason: details ? reason : undefined, probeMs, driver };
    return { ...shown, needs: needs.map((need) => need.name), startedInMs };
  });
}
