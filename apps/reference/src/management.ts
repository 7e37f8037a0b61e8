import { serveManagement, type ManagementListener, type RunningContainer } from "@steward/container";
import { levelRoute } from "@steward/logging";
import { log } from "./log.ts";
import { settings } from "./settings.ts";

/**
 * A listener for operators on this machine alone, where `MANAGEMENT_PORT` asks for one: health with all details, and
 * with `CLIPS_ADMIN_TOKEN` the level of the log. It answers until everything has stopped.
 */
export async function openManagement(running: RunningContainer): Promise<ManagementListener | undefined> {
  const { managementPort, adminToken } = running.get(settings);
  if (managementPort === undefined) return undefined;
  const routes =
    adminToken === undefined ? {} : { "/log-level": levelRoute(running.get(log), { token: adminToken.reveal() }) };
  return serveManagement(running, { port: managementPort, routes });
}
