import type { ResourceHealth, RunningContainer } from "@steward/container";
import type { HealthStatus } from "@steward/core";

/** One resource on the front page. */
export interface Row extends Pick<ResourceHealth, "name" | "status" | "phase" | "reason" | "probeMs"> {
  readonly driver: string | undefined;
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
  const uptimeSeconds = Math.round(process.uptime());
  // A port of 0 is any free one, which is known only to who reads what is printed at the start.
  const dashboard = managementPort ? { dashboard: `http://localhost:${managementPort}/steward/` } : {};
  const links = details ? { ...LINKS, metrics: "/metrics", ...dashboard } : LINKS;
  if (running === undefined)
    return { name: "Clips", status: "unknown", startedInMs: undefined, uptimeSeconds, resources: [], links };
  const { status, resources } = running.health();
  const graph = graphOf(running);
  const rows = resources.map(({ name, status, phase, reason, probeMs }) => ({
    name,
    status,
    phase,
    reason: details ? reason : undefined,
    probeMs,
    ...(graph.get(name) ?? NOTHING),
  }));
  return {
    name: "Clips",
    status,
    startedInMs: Math.round(running.startedInMs),
    uptimeSeconds,
    resources: rows,
    links,
  };
}

type GraphRow = Pick<Row, "driver" | "needs" | "startedInMs">;

const NOTHING: GraphRow = { driver: undefined, needs: [], startedInMs: undefined };

function graphOf(running: RunningContainer): Map<string, GraphRow> {
  return new Map(
    running
      .graph()
      .nodes.map(({ name, driver, startedInMs, needs }) => [
        name,
        { driver, startedInMs, needs: needs.map((need) => need.name) },
      ]),
  );
}
