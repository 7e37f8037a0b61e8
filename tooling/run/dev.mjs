import { existsSync, watch } from "node:fs";
import { join } from "node:path";
import { testFiles } from "../tap/files.mjs";
import { run } from "./child.mjs";
import { benches, ensureInstalled } from "./install.mjs";
import { explain } from "./problem.mjs";
import { build } from "./turbo.mjs";
import { packageNamed } from "./workspace.mjs";

/** Builds one package with what it needs and runs its tests: seconds, not minutes. */
export async function main(args) {
  const flags = args.filter((a) => a.startsWith("--"));
  const unknown = flags.filter((f) => f !== "--all" && f !== "--watch");
  if (unknown.length > 0) explain(`dev knows --all and --watch, not ${unknown.join(" ")}`);
  const [name, ...parts] = args.filter((a) => !a.startsWith("--"));
  if (name === undefined) explain("say which package: npm run dev core");
  const { directory, name: packageName } = packageNamed(name);
  await ensureInstalled(packageName === benches ? "all" : "tests");
  const once = () => loop(directory, packageName, parts, flags.includes("--all") || parts.length > 0);
  const code = await once();
  if (flags.includes("--watch")) await again(directory, once);
  return code;
}

async function loop(directory, packageName, parts, all) {
  const began = performance.now();
  const built = await build([packageName, "@steward/tap"]);
  if (built !== 0) return built;
  if (existsSync(join(directory, "tsconfig.test.json"))) {
    const compile = join(import.meta.dirname, "compile.mjs");
    const { code } = await run(process.execPath, [compile, "tsconfig.test.json"], { cwd: directory });
    if (code !== 0) return code;
  }
  if (testFiles(directory, parts).length === 0)
    explain(`${packageName} has no test file${parts.length > 0 ? ` with "${parts.join('" or "')}" in its name` : ""}`);
  const runner = join(import.meta.dirname, "../tap/run.mjs");
  const { code } = await run(process.execPath, [runner, all ? "--each" : "--quick", ...parts], { cwd: directory });
  console.log(`${((performance.now() - began) / 1000).toFixed(1)} s`);
  return code;
}

/** Runs again after each burst of changes, until the process is ended. */
async function again(directory, once) {
  for (;;) {
    await changed(directory);
    await once().catch((error) => console.error(error.message));
  }
}

function changed(directory) {
  const folders = ["src", "test"].map((f) => join(directory, f)).filter((f) => existsSync(f));
  return new Promise((resolve) => {
    let timer;
    const watchers = folders.map((folder) =>
      watch(folder, { recursive: true }, () => {
        clearTimeout(timer);
        timer = setTimeout(() => {
          for (const watcher of watchers) watcher.close();
          resolve();
        }, 100);
      }),
    );
  });
}
