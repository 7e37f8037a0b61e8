import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { run } from "./child.mjs";
import { readJson, root } from "./workspace.mjs";

/** Runs turbo tasks; with `quiet` the output comes back instead of being printed. */
export function turbo(args, options) {
  return run(join(root, "node_modules/.bin/turbo"), ["run", ...args], options);
}

/** Builds, says which package is being built, and else only what went wrong. */
export async function build(filters) {
  const began = performance.now();
  let count = 0;
  const onLine = (line) => {
    const [, name] = /^(\S+?):build: cache miss/.exec(line) ?? [];
    if (name !== undefined) console.log(`Building ${name} ...${++count === 1 ? "" : ` (${count})`}`);
  };
  const flags = ["--output-logs=new-only", ...filters.map((f) => `--filter=${f}`)];
  const { code, output } = await turbo(["build", ...flags], { quiet: true, onLine });
  if (code !== 0) console.error(output);
  else if (count > 0) console.log(`Built ${count} packages in ${((performance.now() - began) / 1000).toFixed(1)} s.`);
  return code;
}

/** Runs tasks to the end whatever fails, and returns what turbo recorded of each. */
export async function turboRecorded(tasks) {
  const folder = join(root, ".turbo/runs");
  rmSync(folder, { recursive: true, force: true });
  const { code } = await turbo([
    ...tasks,
    "--continue=dependencies-successful",
    "--summarize",
    "--output-logs=new-only",
  ]);
  const [file] = existsSync(folder) ? readdirSync(folder) : [];
  return { code, tasks: file === undefined ? [] : readJson(join(folder, file)).tasks };
}
