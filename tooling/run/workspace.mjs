import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { explain, nearest } from "./problem.mjs";

export const root = resolve(fileURLToPath(import.meta.url), "../../..");

export function readJson(file) {
  return JSON.parse(readFileSync(file, "utf8"));
}

/** Every package of the workspace: `{ directory, name, short, manifest }`. */
export function packages(top = root) {
  const found = [];
  for (const group of ["packages", "apps", "tooling"]) {
    if (!existsSync(join(top, group))) continue;
    for (const entry of readdirSync(join(top, group)).sort()) {
      const directory = join(top, group, entry);
      if (!existsSync(join(directory, "package.json"))) continue;
      const manifest = readJson(join(directory, "package.json"));
      found.push({ directory, name: manifest.name, short: entry, manifest });
    }
  }
  return found;
}

/** The package a person means by `core`, `@steward/core` or `packages/core`. */
export function packageNamed(text, all = packages()) {
  const found = all.find((p) => p.name === text || p.short === basename(text));
  const known = all.map((p) => p.short);
  return found ?? explain(`there is no package "${text}"${nearest(basename(text), known)}`);
}
