import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** This app's folder: both `dist` and `.test/src` lie below it. */
export const HOME = resolve(fileURLToPath(import.meta.resolve("#package")), "..");
/** The repository. */
export const ROOT = resolve(HOME, "../..");
/** Pages as they are written. */
export const PAGES = join(HOME, "pages");
/** Pages as they are built: those, and what is made of the packages. */
export const SITE = join(HOME, ".site");
/** The built site. */
export const BUILT = join(HOME, ".built");

/** Markdown files below a folder, relative to it. */
export function markdownBelow(folder: string): string[] {
  return filesBelow(folder, ".md");
}

/** Files below a folder whose names end so, relative to it, with slashes. */
export function filesBelow(folder: string, end: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(end) && !file.includes("node_modules"))
    .map((file) => file.replaceAll("\\", "/"))
    .sort();
}
