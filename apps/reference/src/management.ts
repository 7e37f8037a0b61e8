import { serveManagement, type ManagementListener, type RunningContainer } from "@steward/container";
import type { Dashboard, DashboardOptions } from "@steward/dashboard";
import { levelRoute } from "@steward/logging";
import { log } from "./log.ts";
import { settings } from "./settings.ts";

/** The dashboard asks for the token of operators, where there is one long enough; else for one that each start makes. */
export function dashboardOptions(env: Readonly<Record<string, string | undefined>>): DashboardOptions {
  const token = env["CLIPS_ADMIN_TOKEN"];
  return token !== undefined && token.length >= 16 ? { token } : {};
}

/**
 * A listener for operators on this machine alone, where `MANAGEMENT_PORT` asks for one: health with all details, the
 * dashboard at `/steward/`, and with `CLIPS_ADMIN_TOKEN` the level of the log. It answers until everything has stopped.
 */
export async function openManagement(
  running: RunningContainer,
  board: Dashboard,
): Promise<ManagementListener | undefined> {
  const { managementPort, adminToken } = running.get(settings);
  if (managementPort === undefined) return undefined;
  const routes = {
    "/steward/": board,
    ...(adminToken === undefined ? {} : { "/log-level": levelRoute(running.get(log), { token: adminToken.reveal() }) }),
  };
  return serveManagement(running, { port: managementPort, routes });
}
