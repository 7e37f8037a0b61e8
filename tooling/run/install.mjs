import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { run } from "./child.mjs";
import { explain } from "./problem.mjs";
import { packages, readJson, root } from "./workspace.mjs";

const stampFile = join(root, "node_modules/.steward/installed.json");
const app = "@steward/reference";

/**
 * Installs what `scope` needs ("app": the reference app and what it depends on; "all"), unless a run that
 * succeeded did so for this very lock file. pnpm's own marker is no proof: a failed install leaves it too.
 */
export async function ensureInstalled(scope) {
  const wanted = wantedStamp();
  if (isInstalled(scope, wanted)) return;
  const began = performance.now();
  console.log(`Installing the dependencies${scope === "app" ? " of the reference app" : ""} ...`);
  rmSync(stampFile, { force: true });
  const only = scope === "app" ? ["--filter", "steward", "--filter", `${app}...`] : [];
  const { code, output } = await pnpm([
    ...only,
    "install",
    "--frozen-lockfile",
    "--config.confirm-modules-purge=false",
  ]);
  if (code !== 0) explain(installProblem(output), code);
  mkdirSync(dirname(stampFile), { recursive: true });
  writeFileSync(stampFile, JSON.stringify({ stamp: wanted, scope }));
  console.log(`Installed in ${((performance.now() - began) / 1000).toFixed(1)} s.`);
}

function wantedStamp() {
  const hash = createHash("sha256").update(`${process.platform} ${process.arch}`);
  for (const file of ["pnpm-lock.yaml", "pnpm-workspace.yaml"]) hash.update(readFileSync(join(root, file)));
  return hash.digest("hex");
}

function isInstalled(scope, wanted) {
  if (!existsSync(stampFile) || !existsSync(join(root, "node_modules/.bin/turbo"))) return false;
  try {
    const found = readJson(stampFile);
    return found.stamp === wanted && (found.scope === "all" || found.scope === scope) && foldersExist(found.scope);
  } catch {
    return false;
  }
}

function foldersExist(scope) {
  const all = packages();
  const checked = scope === "all" ? all : all.filter((p) => p.name === app);
  return checked.every(({ directory, manifest }) => {
    const has = [manifest.dependencies, manifest.devDependencies].some((d) => d && Object.keys(d).length > 0);
    return !has || existsSync(join(directory, "node_modules"));
  });
}

/** The pinned pnpm: the installed one where it is that version, else through npx. */
function pnpm(args) {
  const pin = readJson(join(root, "package.json")).devEngines.packageManager.version;
  const own = join(root, "node_modules/pnpm/package.json");
  const binary = join(root, "node_modules/.bin/pnpm");
  if (existsSync(binary) && existsSync(own) && readJson(own).version === pin) {
    return run(binary, args, { quiet: true });
  }
  return run("npx", ["--yes", `pnpm@${pin}`, ...args], { quiet: true });
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
