// npm run bench [area ...] [--rounds 9] [--node 24] [--json file] [--against checkout]
import { existsSync } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import { type Findings, markdown, nodeOf, output, report, root, type Row, type Table } from "@steward/harness";
import { home } from "./home.ts";
import type { Settings } from "./settings.ts";

type Bench = (settings: Settings) => Promise<Findings>;

const areas: Readonly<Record<string, () => Promise<Bench>>> = {
  scope: async () => (await import("./scope/bench.ts")).scopeBench,
  start: async () => (await import("./start/bench.ts")).startBench,
  guard: async () => (await import("./guard/bench.ts")).guardBench,
  import: async () => (await import("./import/bench.ts")).importBench,
  types: async () => (await import("./types/bench.ts")).typesBench,
  health: async () => (await import("./health/bench.ts")).healthBench,
  telemetry: async () => (await import("./telemetry/bench.ts")).telemetryBench,
  clients: async () => (await import("./clients/bench.ts")).clientsBench,
  websocket: async () => (await import("./websocket/bench.ts")).websocketBench,
  grpc: async () => (await import("./grpc/bench.ts")).grpcBench,
  crypto: async () => (await import("./crypto/bench.ts")).cryptoBench,
  fastify: async () => (await import("./fastify/bench.ts")).fastifyBench,
  servers: async () => (await import("./servers/bench.ts")).serversBench,
  cache: async () => (await import("./cache/bench.ts")).cacheBench,
  auth: async () => (await import("./auth/bench.ts")).authBench,
  config: async () => (await import("./config/bench.ts")).configBench,
  logging: async () => (await import("./logging/bench.ts")).loggingBench,
  "rate-limit": async () => (await import("./rate-limit/bench.ts")).rateLimitBench,
  models: async () => (await import("./models/bench.ts")).modelsBench,
  training: async () => (await import("./training/bench.ts")).trainingBench,
  dashboard: async () => (await import("./dashboard/bench.ts")).dashboardBench,
  launchers: async () => (await import("./launchers/bench.ts")).launchersBench,
  boot: async () => (await import("./boot/bench.ts")).bootBench,
};
/** Areas that know an earlier checkout. */
const COMPARABLE = ["scope", "guard", "start", "import"];

function stop(problem: string): never {
  console.error(
    `bench: ${problem}; usage: npm run bench [${Object.keys(areas).join(" | ")}] [--rounds 9] [--node 24] [--json file] [--against checkout]`,
  );
  process.exit(2);
}

/** Where npm was called, for paths of a command line. */
const here = process.env["INIT_CWD"] ?? process.cwd();

function read(args: readonly string[]) {
  const words: string[] = [];
  const flags = new Map<string, string>();
  const parts = args.filter((arg) => arg !== "--").flatMap((arg) => (arg.startsWith("--") ? arg.split("=") : [arg]));
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i] ?? "";
    if (!part.startsWith("--")) words.push(part);
    else if (["--rounds", "--node", "--json", "--against"].includes(part)) flags.set(part.slice(2), parts[++i] ?? "");
    else stop(`there is no ${part}`);
  }
  const unknown = words.filter((word) => !Object.hasOwn(areas, word));
  if (unknown.length > 0) stop(`there is no area ${unknown.join(", ")}`);
  return { words, flags };
}

function checkoutOf(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const folder = isAbsolute(text) ? text : resolve(here, text);
  for (const name of ["core", "container"])
    if (!existsSync(join(folder, `packages/${name}/dist/index.js`)))
      stop(`${folder} is no built checkout: run "npm run dev container" there`);
  return folder;
}

async function measure(names: readonly string[], settings: Settings): Promise<{ rows: Row[]; tables: Table[] }> {
  const [rows, tables]: [Row[], Table[]] = [[], []];
  for (const name of names) {
    const since = performance.now();
    const bench = await areas[name]?.();
    const found = await bench?.({ ...settings, say: (what) => console.error(`  ${name}: ${what}`) });
    console.error(`  ${name}: took ${Math.round((performance.now() - since) / 1_000)} s`);
    rows.push(...(found?.rows ?? []));
    tables.push(...(found?.tables ?? []));
  }
  return { rows, tables };
}

const { words, flags } = read(process.argv.slice(2));
const against = checkoutOf(flags.get("against"));
const rounds = Number(flags.get("rounds") ?? (against === undefined ? 9 : 15));
if (!Number.isInteger(rounds) || rounds < 1) stop("--rounds is a whole number");
const node = flags.has("node") ? await nodeOf(Number(flags.get("node"))) : process.execPath;
const wanted = words.length > 0 ? words : against === undefined ? Object.keys(areas) : COMPARABLE;
const other = wanted.find((word) => against !== undefined && !COMPARABLE.includes(word));
if (other !== undefined) stop(`--against knows ${COMPARABLE.join(", ")}, not ${other}`);

const { rows, tables } = await measure(wanted, { rounds, node, against, say: console.error });
const file = resolve(here, flags.get("json") ?? join(home, ".bench", `${words.join("-") || "all"}.json`));
const commit = await output("git", ["-c", "safe.directory=*", "describe", "--always", "--dirty"], root).catch(
  () => "?",
);
if (words.length > 0) for (const table of tables) console.log(markdown(table));
const title = against === undefined ? "Steward beside its limits and rivals" : `Now beside ${against}`;
const rest = { commit: commit.trim(), node: (await output(node, ["--version"])).trim(), rounds, against, tables };
process.exitCode = report(title, rows, file, rest);
