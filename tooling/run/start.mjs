import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ensureInstalled } from "./install.mjs";
import { explain, nearest } from "./problem.mjs";
import { build } from "./turbo.mjs";
import { root } from "./workspace.mjs";

/** What each command starts; an option may name another program. */
const APPS = {
  start: {
    app: "reference",
    scope: "app",
    says: "Clips is a small video API that shows how a service looks on Steward.",
    options: { "--replicas": "replicas/main.js" },
  },
  hello: {
    app: "hello",
    scope: "hello",
    says: "Hello keeps notes in Postgres: a small app on Steward, to copy from.",
    options: {},
  },
};

/** Installs and builds an app, then becomes it: signals reach the app itself, not a parent of it. */
export async function main(args, name) {
  const { app, scope, says, options } = APPS[name];
  const option = args.find((arg) => arg.startsWith("-"))?.replace(/=.*/s, "");
  if (option !== undefined && !Object.hasOwn(options, option)) {
    const known = Object.keys(options);
    explain(`${name} has no option ${option}${known.length === 0 ? "" : nearest(option, known)}`);
  }
  console.log(says);
  await ensureInstalled(scope);
  const code = await build([`@steward/${app}...`]);
  if (code !== 0) return code;
  const entry = join(root, `apps/${app}/dist`, options[option] ?? "main.js");
  if (!existsSync(entry)) throw new Error(`the build made no ${entry}`);
  await import(pathToFileURL(entry).href);
  return process.exitCode;
}
