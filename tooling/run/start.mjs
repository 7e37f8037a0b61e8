import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ensureInstalled } from "./install.mjs";
import { build } from "./turbo.mjs";
import { root } from "./workspace.mjs";

/** What each command starts. */
const APPS = { start: { app: "reference", scope: "app" }, hello: { app: "hello", scope: "hello" } };

/** Installs and builds an app, then becomes it: signals reach the app itself, not a parent of it. */
export async function main(_args, name) {
  const { app, scope } = APPS[name];
  await ensureInstalled(scope);
  const code = await build([`@steward/${app}...`]);
  if (code !== 0) return code;
  const entry = join(root, `apps/${app}/dist/main.js`);
  if (!existsSync(entry)) throw new Error(`the build made no ${entry}`);
  await import(pathToFileURL(entry).href);
  return process.exitCode;
}
