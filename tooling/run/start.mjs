import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ensureInstalled } from "./install.mjs";
import { build } from "./turbo.mjs";
import { root } from "./workspace.mjs";

/** Installs and builds the reference app, then becomes it: signals reach the app itself, not a parent of it. */
export async function main() {
  await ensureInstalled("app");
  const code = await build(["@steward/reference..."]);
  if (code !== 0) return code;
  const entry = join(root, "apps/reference/dist/main.js");
  if (!existsSync(entry)) throw new Error(`the build made no ${entry}`);
  await import(pathToFileURL(entry).href);
  return process.exitCode;
}
