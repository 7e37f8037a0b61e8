// Runs the TypeScript compiler on one project, then removes outputs whose source is gone.
// Nothing is deleted up front, so a process that uses the old output meanwhile keeps working.
// With --bundle the compiler checks and writes declarations, and esbuild writes one module for each entry of the
// package's exports, and for each of its commands: loading 60 small modules costs Node several times what it costs to run them.
// With --together and names of entries, all that these share with others is one module too.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const [project = "tsconfig.json", ...given] = process.argv.slice(2);
const bundles = given.includes("--bundle");
const mains = given.includes("--together") ? given.slice(given.indexOf("--together") + 1) : [];
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
  const files = [...modules, ...Object.values(imports), ...Object.values(bin)].filter((o) => o.startsWith("./dist/"));
  const options = {
    entryPoints: files.map((file) => file.replace(/^\.\/dist\//, "src/").replace(/\.js$/, ".ts")),
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
  };
  const { metafile } = await build(options);
  const { outputs } =
    mains.length === 0 ? metafile : (await build({ ...options, plugins: [together(metafile)] })).metafile;
  return Object.keys(outputs).map((output) => resolve(output));
}

/**
 * Puts into one chunk what the main entries share with others: each entry that shares some of it imports all of it. esbuild
 * makes a chunk for each set of entries that share a module, and Node takes longer for a file than for what is in it.
 */
function together({ outputs }) {
  const entries = Object.entries(outputs).filter(([, { entryPoint }]) => entryPoint !== undefined);
  const reached = entries.map(([output, { entryPoint }]) => ({ entryPoint, modules: modulesOf(output, outputs) }));
  const wanted = reached.filter(({ entryPoint }) => mains.some((name) => entryPoint === `src/${name}.ts`));
  const shared = [...new Set(wanted.flatMap(({ modules }) => [...modules]))].filter(
    (module) => reached.filter(({ modules }) => modules.has(module)).length > 1,
  );
  const sharing = reached.filter(({ modules }) => shared.some((module) => modules.has(module)));
  const added = new Map(
    sharing.map(({ entryPoint }) => [resolve(entryPoint), shared.filter((module) => module !== entryPoint)]),
  );
  return {
    name: "together",
    setup({ onLoad, onResolve }) {
      onLoad({ filter: /\.ts$/ }, ({ path }) => {
        if (!added.has(path)) return undefined;
        const imports = added.get(path).map((module) => `import "together:${resolve(module)}";`);
        return { contents: `${readFileSync(path, "utf8")}\n${imports.join("\n")}`, loader: "ts" };
      });
      onResolve({ filter: /^together:/ }, ({ path }) => ({ path: path.slice("together:".length), sideEffects: true }));
    },
  };
}

/** The sources that an output loads, with those of the chunks that it imports. */
function modulesOf(output, outputs, seen = new Set()) {
  if (seen.has(output)) return new Set();
  seen.add(output);
  const { inputs, imports } = outputs[output];
  const chunks = imports.filter(({ kind, external }) => kind === "import-statement" && external !== true);
  return new Set([...Object.keys(inputs), ...chunks.flatMap(({ path }) => [...modulesOf(path, outputs, seen)])]);
}
