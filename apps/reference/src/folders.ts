import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

/** A file or folder of this package, wherever the compiled code lies. */
export function inPackage(...parts: readonly string[]): string {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, "package.json"))) folder = dirname(folder);
  return join(folder, ...parts);
}
