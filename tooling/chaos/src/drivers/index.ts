import { DatabaseBackend } from "./database.ts";
import type { Backend, DriverName } from "./driver.ts";
import { HttpBackend } from "./http-backend.ts";
import { RedisBackend } from "./redis.ts";

/** Starts the real server of a driver. */
export function launchBackend(driver: DriverName): Promise<Backend> {
  if (driver === "http") return HttpBackend.launch();
  return driver === "database" ? DatabaseBackend.launch() : RedisBackend.launch();
}
