import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** Path of the Redis or Valkey server on PATH, if there is one. Test results depend on it. */
export const redisBinary = () => firstOf(["redis-server", "valkey-server"]);

/** Path of the browser on PATH, if there is one. Test results depend on it. */
export const browserBinary = () => firstOf(["chromium", "chromium-browser", "google-chrome"]);

/** Path of the program on PATH that tests rules of Prometheus, if there is one. Test results depend on it. */
export const promtoolBinary = () => firstOf(["promtool"]);

/** Path of PgBouncer, if there is one: Debian puts it where users have no PATH to. Test results depend on it. */
export const pgbouncerBinary = () => firstOf(["pgbouncer"], ["/usr/sbin"]);

function firstOf(names, beside = []) {
  for (const name of names) {
    for (const folder of (process.env.PATH ?? "").split(delimiter).concat(beside)) {
      try {
        accessSync(join(folder, name), constants.X_OK);
        return join(folder, name);
      } catch {
        // Not in this folder.
      }
    }
  }
  return undefined;
}
