// Runs the TypeScript compiler on one project, then removes outputs whose source is gone.
// Nothing is deleted up front, so a process that uses the old output meanwhile keeps working.
// With --bundle the compiler checks and writes declarations, and esbuild writes one module for each entry of the
// package's exports, and for each of its commands: loading 60 small modules costs Node several times what it costs to run them.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const [project = "tsconfig.json", flag] = process.argv.slice(2);
const bundles = flag === "--bundle";
const require = createRequire(join(process.cwd(), "package.json"));
const compiler = join(require.resolve("typescript/package.json"), "../bin/tsc");
// A build writes what its sources say; that they are sound is checked where the tests are compiled, from the same sources.
const checks = project === "tsconfig.json" && existsSync("tsconfig.test.json") ? ["--noCheck"] : [];
const flags = ["--listEmittedFiles", "--pretty", "false", ...checks, ...(bundles ? ["--emitDeclarationOnly"] : [])];
const run = spawnSync(process.execPath, [compiler, "--project", project, ...flags], {
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
if (bundles) for (const file of await bundle()) emitted.add(file);
const outDir = resolve(project.includes("test") ? ".test" : "dist");
for (const entry of readdirSync(outDir, { recursive: true, withFileTypes: true })) {
  const file = join(entry.parentPath ?? entry.path, entry.name);
  if (entry.isFile() && !emitted.has(file)) rmSync(file);
}

async function bundle() {
  const { build } = await import("esbuild");
  const { exports = {}, imports = {}, bin = {} } = JSON.parse(readFileSync("package.json", "utf8"));
  const modules = Object.values(exports).flatMap((entry) => entry.default ?? []);
  // `imports` names the programs of worker threads.
  const outputs = [...modules, ...Object.values(imports), ...Object.values(bin)].filter((o) => o.startsWith("./dist/"));
  const { metafile } = await build({
    entryPoints: outputs.map((output) => output.replace(/^\.\/dist\//, "src/").replace(/\.js$/, ".ts")),
    outdir: "dist",
    outbase: "src",
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20.19",
    packages: "external",
    sourcemap: true,
    // The sources are in the package, where maps lead to.
    sourcesContent: false,
    metafile: true,
    logLevel: "error",
  });
  return Object.keys(metafile.outputs).map((output) => resolve(output));
}
