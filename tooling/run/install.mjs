import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { run } from "./child.mjs";
import { explain } from "./problem.mjs";
import { packages, readJson, root } from "./workspace.mjs";

const stampFile = join(root, "node_modules/.steward/installed.json");
const app = "@steward/reference";
const hello = "@steward/hello";
const docs = "@steward/docs";

/** Only the benches need what they are compared with, which is as much again as all the rest. */
export const benches = "@steward/bench";

/** What models run on in tests and benches: 300 MB, which the reference app does without. */
const engine = "@steward/onnx";

/** What can be installed, from small to all: each scope holds those before it. */
const scopes = [
  {
    name: "app",
    filters: ["steward", `${app}...`, `!${engine}`],
    says: " of the reference app",
    has: (p) => p.name === app,
  },
  {
    name: "hello",
    filters: ["steward", `${app}...`, `${hello}...`, `!${engine}`],
    says: " of the apps",
    has: (p) => p.name === app || p.name === hello,
  },
  {
    name: "docs",
    filters: ["steward", `${app}...`, `${hello}...`, `${docs}...`, `!${engine}`],
    says: " of the apps and the documentation",
    has: (p) => p.name === app || p.name === hello || p.name === docs,
  },
  { name: "tests", filters: [`!${benches}`], says: "", has: (p) => p.name !== benches },
  { name: "all", filters: [], says: ", rivals of the benches included", has: () => true },
];
const sizeOf = (name) => scopes.findIndex((scope) => scope.name === name);

/**
 * Installs what a scope needs ("app": the reference app and what it depends on; "hello"; "docs"; "tests"; "all"), unless a run that
 * succeeded did so for this very lock file. pnpm's own marker is no proof: a failed install leaves it too.
 */
export async function ensureInstalled(name) {
  const stamp = wantedStamp();
  if (isInstalled(name, stamp)) return;
  const { filters, says } = scopes[sizeOf(name)];
  console.log(`Installing the dependencies${says} ...`);
  await install(filters, "--frozen-lockfile");
  writeFileSync(stampFile, JSON.stringify({ stamp, scope: name }));
}

/** Brings the lock file in line with the package.json files, and installs what tests need. */
export async function updateLockFile() {
  console.log("Updating pnpm-lock.yaml ...");
  await install(scopes[sizeOf("tests")].filters, "--no-frozen-lockfile");
  writeFileSync(stampFile, JSON.stringify({ stamp: wantedStamp(), scope: "tests" }));
}

async function install(filters, ...flags) {
  const began = performance.now();
  rmSync(stampFile, { force: true });
  const only = filters.flatMap((filter) => ["--filter", filter]);
  const { code, output } = await pnpm([...only, "install", ...flags, "--config.confirm-modules-purge=false"]);
  if (code !== 0) explain(installProblem(output), code);
  mkdirSync(dirname(stampFile), { recursive: true });
  console.log(`Installed in ${((performance.now() - began) / 1000).toFixed(1)} s.`);
}

function wantedStamp() {
  const hash = createHash("sha256").update(`${process.platform} ${process.arch}`);
  for (const file of ["pnpm-lock.yaml", "pnpm-workspace.yaml"]) hash.update(readFileSync(join(root, file)));
  return hash.digest("hex");
}

function isInstalled(name, wanted) {
  if (!existsSync(stampFile) || !existsSync(join(root, "node_modules/.bin/turbo"))) return false;
  try {
    const { stamp, scope } = readJson(stampFile);
    return stamp === wanted && sizeOf(scope) >= sizeOf(name) && foldersExist(scope);
  } catch {
    return false;
  }
}

function foldersExist(name) {
  const { has } = scopes[sizeOf(name)];
  return packages()
    .filter(has)
    .every(({ directory, manifest }) => {
      const needs = { ...manifest.dependencies, ...manifest.devDependencies };
      return Object.keys(needs).length === 0 || existsSync(join(directory, "node_modules"));
    });
}

/** The pinned pnpm: the installed one where it is that version, else through npx. */
function pnpm(args) {
  const pin = readJson(join(root, "package.json")).devEngines.packageManager.version;
  const own = join(root, "node_modules/pnpm/package.json");
  const binary = join(root, "node_modules/.bin/pnpm");
  if (existsSync(binary) && existsSync(own) && readJson(own).version === pin) {
    return run(binary, args, { quiet: true, onLine: sayProgress });
  }
  console.log(`Fetching pnpm ${pin} ...`);
  return run("npx", ["--yes", `pnpm@${pin}`, ...args], { quiet: true, onLine: sayProgress });
}

/** pnpm says now and then how far it is, and how many packages there are. */
function sayProgress(line) {
  const [, progress] = /^Progress: (.*)$/.exec(line) ?? [];
  if (progress !== undefined) console.log(`  ${progress}`);
}

/** What a failed install says to a person: one line where the reason is known, else the end of the output. */
export function installProblem(output) {
  if (
    /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|network request|error sending request|dns error/i.test(
      output,
    )
  ) {
    return "the npm registry cannot be reached: check the network, the proxy, and `npm config get registry`.";
  }
  if (/OUTDATED_LOCKFILE/.test(output)) {
    return "pnpm-lock.yaml does not match the package.json files: run `npx pnpm install` and commit the lock file.";
  }
  if (/ENOSPC/.test(output)) return "the disk is full.";
  return `the install failed:\n${output.trim().split("\n").slice(-20).join("\n")}`;
}
