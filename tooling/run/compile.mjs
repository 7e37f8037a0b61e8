// Runs the TypeScript compiler on one project, then removes outputs whose source is gone.
// Nothing is deleted up front, so a process that uses the old output meanwhile keeps working.
import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const project = process.argv[2] ?? "tsconfig.json";
const require = createRequire(join(process.cwd(), "package.json"));
const compiler = join(require.resolve("typescript/package.json"), "../bin/tsc");
const run = spawnSync(process.execPath, [compiler, "--project", project, "--listEmittedFiles", "--pretty", "false"], {
  encoding: "utf8",
  maxBuffer: 64 * 1024 * 1024,
});
const lines = `${run.stdout}${run.stderr}`.split("\n");
const emitted = new Set();
for (const line of lines) {
  if (line.startsWith("TSFILE: ")) emitted.add(resolve(line.slice("TSFILE: ".length).trim()));
  else if (line.trim() !== "") console.error(line);
}
if (run.error) console.error(`tsc did not run: ${run.error.message}`);
if (run.status !== 0) process.exit(run.status ?? 1);
if (emitted.size === 0) {
  console.error(`${project}: the compiler wrote no file`);
  process.exit(1);
}
const outDir = resolve(project.includes("test") ? ".test" : "dist");
for (const entry of readdirSync(outDir, { recursive: true, withFileTypes: true })) {
  const file = join(entry.parentPath ?? entry.path, entry.name);
  if (entry.isFile() && !emitted.has(file)) rmSync(file);
}
