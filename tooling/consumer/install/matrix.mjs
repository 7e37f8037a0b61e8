// Installs each packed package alone in an empty folder, with the install line of its own README, and runs the README's
// first program there: with every package manager, on every Node that is found, on Deno and Bun, and compiled by every
// TypeScript. Prints a table, and what did not work.
//   node matrix.mjs [--packages core,redis] [--managers npm,pnpm,yarn] [--peers lowest] [--skip runs,types]
// Node 22, 24 and 26 are looked for where .ci/run puts them.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { buildProgram, firstProgram, installLine } from "./readme.mjs";
import { startRegistry } from "./registry.mjs";
import { run } from "./run.mjs";

const root = join(import.meta.dirname, "../../..");
const { values } = parseArgs({
  options: {
    packages: { type: "string" },
    managers: { type: "string", default: "npm,pnpm,yarn" },
    peers: { type: "string", default: "newest" }, // or "lowest": the first version that each range of peers allows
    skip: { type: "string", default: "" }, // "runs", "types" or both
  },
});
/** What cannot work, as the root's README says. */
const KNOWN = {
  "http, bun": "no", // its undici is its own, without MockAgent
  "websocket, bun": "no", // its ws is its own, without Sender
};
const COMPILERS = ["5.4", "5.9", "6.0", "7.0"]; // the README says that 5.4 is the oldest
const RESOLUTIONS = [
  { name: "nodenext", options: { module: "nodenext" } },
  { name: "bundler", options: { module: "esnext", moduleResolution: "bundler" } },
];
const managers = values.managers.split(",");
const TOOLS = { deno: "2.9.6", bun: "1.4.5", yarn: "npm:@yarnpkg/cli-dist@4.18.1" };

const VARIABLES = { postgres: "DATABASE_URL", redis: "REDIS_URL" };

const registry = await startRegistry();
// By its place: as a dependency it would be a part of what the consumer's types are checked against.
const { postgresForTests, redisForTests } = await import(join(root, "packages/launchers/dist/index.js"));
const launched = [await postgresForTests(), await redisForTests()];
const servers = { DATABASE_URL: launched[0].url, REDIS_URL: launched[1].url };
const work = mkdtempSync(join(tmpdir(), "steward-matrix-"));
const tools = join(work, "tools");
const upstream = (await run("npm", ["config", "get", "registry"], { cwd: work })).output.trim();
const rows = [];
const troubles = [];
try {
  await main();
} finally {
  for (const server of [registry, ...launched]) await server[Symbol.asyncDispose]();
  rmSync(work, { recursive: true, force: true });
}

async function main() {
  await installTools();
  const chosen = values.packages?.split(",");
  const nodes = await nodesFound();
  for (const short of readdirSync(join(root, "packages"))) {
    if (short === "create-steward" || (chosen !== undefined && !chosen.includes(short))) continue;
    const readme = readFileSync(join(root, "packages", short, "README.md"), "utf8");
    const cells = {};
    for (const manager of managers) {
      const folder = join(work, manager, short);
      cells[manager] = await installed(short, manager, folder, readme);
      if (skips("runs") || !cells[manager].startsWith("ok") || manager !== managers[0]) continue;
      Object.assign(cells, await runs(short, folder, readme, nodes));
    }
    rows.push({ short, cells });
    console.log(
      `${short}: ${Object.entries(cells)
        .map(([name, cell]) => `${name} ${cell}`)
        .join(", ")}`,
    );
  }
  if (!skips("types")) await compile(rows.map(({ short }) => short));
  print();
  if (troubles.length > 0) process.exitCode = 1;
}

function skips(what) {
  return values.skip.split(",").includes(what);
}

async function installTools() {
  mkdirSync(tools);
  const compilers = COMPILERS.map((version) => [`typescript-${version}`, `npm:typescript@${version}`]);
  const wanted = {
    ...(managers.includes("yarn") ? { yarn: TOOLS.yarn } : {}),
    ...(skips("runs") ? {} : { deno: TOOLS.deno, bun: TOOLS.bun }),
    ...(skips("types") ? {} : Object.fromEntries(compilers)),
  };
  writeFileSync(join(tools, "package.json"), JSON.stringify({ private: true, dependencies: wanted }));
  const { ok, output } = await run("npm", ["install", "--no-audit", "--no-fund"], { cwd: tools });
  if (!ok) throw new Error(`the tools cannot be installed:\n${output}`);
}

async function nodesFound() {
  const places = [20, 22, 24, 26].map((major) => join(root, `.ci/node-${major}/node_modules/node${major}/bin/node`));
  const found = [process.execPath, ...places.filter(existsSync)];
  const named = [];
  for (const binary of found) {
    const { output } = await run(binary, ["--version"], { cwd: work });
    const major = output.slice(1).split(".")[0];
    if (!named.some((one) => one.major === major)) named.push({ major, binary });
  }
  return named;
}

async function installed(short, manager, folder, readme) {
  const line = installLine(readme);
  if (line === undefined) return trouble(short, manager, "the README has no install line");
  if (!(await installAll(short, manager, folder, line))) return "FAILS";
  const program = firstProgram(readme);
  if (program === undefined) return "ok, no program";
  const { file } = await buildProgram(program, folder, root, "program");
  return canRun(program)
    ? await printed(short, manager, process.execPath, [file], folder, program)
    : "ok, compiled alone";
}

async function installAll(short, manager, folder, line) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "user", private: true, type: "module" }));
  writeFileSync(join(folder, ".npmrc"), `@steward:registry=${registry.url}\n`);
  writeFileSync(join(folder, ".yarnrc.yml"), yarnSettings());
  const names = [...line.names.map((name) => `${name}${versionOf(short, name)}`), "@types/node@20"];
  const commands = {
    npm: ["npm", ["install", "--no-audit", "--no-fund", ...names]],
    // Which install scripts may run is for the user of pnpm to say.
    pnpm: ["npx", ["--yes", "pnpm@12.21.0", "add", "--config.strict-dep-builds=false", ...names]],
    yarn: [join(tools, "node_modules/.bin/yarn"), ["add", ...names]],
    bun: [join(tools, "node_modules/.bin/bun"), ["add", ...names]],
  };
  const [command, args] = commands[manager];
  const { ok, output } = await run(command, args, { cwd: folder, env: { ...line.env, CI: "" } });
  if (!ok) trouble(short, manager, output);
  return ok;
}

/** `@6.0.0` for the peer `^6.0.0`, where the lowest are asked for. */
function versionOf(short, name) {
  if (values.peers !== "lowest" || short === "all") return "";
  const { peerDependencies = {} } = JSON.parse(readFileSync(join(root, "packages", short, "package.json"), "utf8"));
  const range = peerDependencies[name];
  return range === undefined ? "" : `@${range.replace(/^[\^~>=]+/, "").split(" ")[0]}`;
}

/** yarn reads no .npmrc. */
function yarnSettings() {
  return `nodeLinker: node-modules
enableTelemetry: false
npmRegistryServer: "${upstream}"
unsafeHttpWhitelist: ["*"]
npmScopes:
  steward:
    npmRegistryServer: "${registry.url}"
`;
}

/** Programs that need a server get one, where it is on this machine. */
function canRun({ runs, needs }) {
  return runs && needs.every((need) => servers[VARIABLES[need]] !== undefined);
}

/** Without what Deno and Bun print otherwise: quotes, spaces and last commas. */
function bare(text) {
  return text.replaceAll(/['"`\s]/g, "").replaceAll(/,(?=[\]}])/g, "");
}

/** Whether the program runs, and prints what it says. */
async function printed(short, what, command, args, folder, program) {
  const { ok, output } = await run(command, args, { cwd: folder, timeoutMs: 60_000, env: servers });
  if (!ok) return trouble(short, what, output);
  const missing = program.prints.find((line) => !bare(output).includes(bare(line)));
  return missing === undefined ? "ok" : trouble(short, what, `does not print ${missing}:\n${output}`);
}

async function runs(short, folder, readme, nodes) {
  const program = firstProgram(readme);
  if (program === undefined || !canRun(program)) return {};
  const { file } = await buildProgram(program, folder, root, "program");
  const cells = {};
  for (const { major, binary } of nodes)
    cells[`n${major}`] = await printed(short, `n${major}`, binary, [file], folder, program);
  const deno = ["run", "--allow-all", "--node-modules-dir=manual", file];
  cells.deno = await printed(short, "deno", join(tools, "node_modules/.bin/deno"), deno, folder, program);
  cells.bun = await printed(short, "bun", join(tools, "node_modules/.bin/bun"), [file], folder, program);
  return cells;
}

/** All packages in one folder, and their programs in one project: each compiler reads the declarations once. */
async function compile(shorts) {
  const folder = join(work, "types");
  const readmes = shorts.map((short) => ({
    short,
    readme: readFileSync(join(root, "packages", short, "README.md"), "utf8"),
  }));
  const withProgram = readmes.filter(({ readme }) => firstProgram(readme) !== undefined);
  const names = new Set(withProgram.flatMap(({ readme }) => installLine(readme)?.names ?? []));
  const ok = await installAll("all", "npm", folder, { names: [...names], env: { ONNXRUNTIME_NODE_INSTALL: "skip" } });
  if (!ok) return;
  for (const { short, readme } of withProgram) await buildProgram(firstProgram(readme), folder, root, short);
  for (const version of COMPILERS)
    for (const { name, options } of RESOLUTIONS) {
      const compilerOptions = {
        target: "es2022",
        lib: ["es2022", "esnext.disposable"],
        types: ["node"],
        strict: true,
        exactOptionalPropertyTypes: true,
        experimentalDecorators: true,
        skipLibCheck: false,
        noEmit: true,
        ...options,
      };
      const files = withProgram.map(({ short }) => `${short}.ts`);
      writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files }));
      const compiler = join(tools, `node_modules/typescript-${version}/bin/tsc`);
      const { output } = await run(process.execPath, [compiler, "--pretty", "false"], {
        cwd: folder,
        timeoutMs: 600_000,
      });
      console.log(`TypeScript ${version}, ${name}: ${verdict(`TypeScript ${version} ${name}`, output, files.length)}`);
    }
}

/** Errors in the declarations of others are theirs. */
function verdict(what, output, count) {
  const errors = output.split("\n").filter((line) => /error TS\d+/.test(line));
  const ours = errors.filter((line) => !/^node_modules\/(?!@steward\/)/.test(line));
  if (ours.length > 0) return trouble("types", what, ours.slice(0, 12).join("\n"));
  const owners = [...new Set(errors.map((line) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(line)?.[1]))];
  const others = owners.length === 0 ? "" : `; ${errors.length} errors in the declarations of ${owners.join(", ")}`;
  return `${count} programs ok${others}`;
}

function trouble(short, what, output) {
  const known = KNOWN[`${short}, ${what}`];
  if (known !== undefined) return known;
  console.log(`  ${short}, ${what}: ${output.trim().split("\n").slice(-3).join(" | ").slice(0, 400)}`);
  troubles.push(`${short}, ${what}:\n  ${output.trim().split("\n").slice(-24).join("\n  ")}`);
  return "FAILS";
}

function print() {
  const columns = [...new Set(rows.flatMap(({ cells }) => Object.keys(cells)))];
  console.log(`\n| package | ${columns.join(" | ")} |\n|${"---|".repeat(columns.length + 1)}`);
  for (const { short, cells } of rows)
    console.log(`| ${short} | ${columns.map((name) => cells[name] ?? "-").join(" | ")} |`);
  for (const text of troubles) console.log(`\n${text}`);
  console.log(`\n${rows.length} packages, ${troubles.length} cells fail`);
}
