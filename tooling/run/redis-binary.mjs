import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** Path of the Redis or Valkey server on PATH, if there is one. Test results depend on it. */
export function redisBinary() {
  for (const name of ["redis-server", "valkey-server"]) {
    for (const folder of (process.env.PATH ?? "").split(delimiter)) {
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
