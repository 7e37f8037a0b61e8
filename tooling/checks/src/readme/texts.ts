import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** The Markdown files that are named, those below a folder included; paths relative to `directory`. What is not there is left out. */
export function textsIn(directory: string, named: readonly string[]): string[] {
  return named.flatMap((name) => {
    const path = join(directory, name);
    if (!existsSync(path)) return [];
    if (!statSync(path).isDirectory()) return [name];
    return readdirSync(path, { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".md"))
      .sort()
      .map((file) => join(name, file));
  });
}
