// npm run bench [name ...] [--rounds=9] [--nodes=20,24]: runs benchmarks, prints tables, writes .bench/results.json.
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { join } from "node:path";
import { codeNow } from "./harness/code.ts";
import { home, ownNode } from "./harness/process.ts";
import { markdown, targetTable, type Findings } from "./harness/report.ts";
import type { Settings } from "./harness/settings.ts";

type Bench = (settings: Settings) => Promise<Findings>;

const benches: Readonly<Record<string, () => Promise<Bench>>> = {
  start: async () => (await import("./start/bench.ts")).startBench,
  scope: async () => (await import("./scope/bench.ts")).scopeBench,
  types: async () => (await import("./types/bench.ts")).typesBench,
  import: async () => (await import("./import/bench.ts")).importBench,
  boot: async () => (await import("./boot/bench.ts")).bootBench,
  guard: async () => (await import("./guard/bench.ts")).guardBench,
  health: async () => (await import("./health/bench.ts")).healthBench,
  telemetry: async () => (await import("./telemetry/bench.ts")).telemetryBench,
  clients: async () => (await import("./clients/bench.ts")).clientsBench,
  websocket: async () => (await import("./websocket/bench.ts")).websocketBench,
  grpc: async () => (await import("./grpc/bench.ts")).grpcBench,
  crypto: async () => (await import("./crypto/bench.ts")).cryptoBench,
  fastify: async () => (await import("./fastify/bench.ts")).fastifyBench,
};

function settingsFrom(args: readonly string[]): Settings {
  const flags = new Map(args.filter((a) => a.startsWith("--")).map((a) => [a.slice(2).split("=")[0], a.split("=")[1]]));
  for (const flag of flags.keys()) if (flag !== "rounds" && flag !== "nodes") stop(`there is no --${flag}`);
  const rounds = Number(flags.get("rounds") ?? 9);
  const nodes = (flags.get("nodes") ?? "20,24").split(",").map(Number);
  if (!Number.isInteger(rounds) || rounds < 1 || !nodes.every(Number.isInteger)) stop("--rounds=9 --nodes=20,24");
  return { rounds, nodes, say: (what) => console.error(`  ${what}`) };
}

function stop(problem: string): never {
  console.error(
    `bench: ${problem}; usage: npm run bench -- [${Object.keys(benches).join(" | ")}] [--rounds=9] [--nodes=20,24]`,
  );
  process.exit(2);
}

const args = process.argv.slice(2).filter((a) => a !== "--");
const settings = settingsFrom(args);
const named = args.filter((a) => !a.startsWith("--"));
const wanted = named.length > 0 ? named : Object.keys(benches);
const results: Record<string, Findings> = {};
const code = await codeNow();
for (const name of wanted) {
  const load = benches[name] ?? stop(`there is no benchmark "${name}"`);
  results[name] = await (await load())(settings);
  for (const table of results[name].tables) console.log(markdown(table));
}

const targets = Object.values(results).flatMap((found) => found.targets);
console.log(markdown(targetTable(targets)));
const missed = targets.filter((t) => t.verdict === "MISSED").length;
console.log(
  `\n${targets.length} targets: ${targets.filter((t) => t.verdict === "met").length} met, ${targets.filter((t) => t.verdict === "close").length} close, ${missed} missed`,
);

if ((await codeNow()).hash !== code.hash)
  console.log("Core or container was built anew meanwhile: these figures mix two versions.");

const machine = { node: ownNode().version, cpu: cpus()[0]?.model, cores: cpus().length, loadAverage: loadavg() };
const folder = join(home, ".bench");
mkdirSync(folder, { recursive: true });
const file = join(folder, named.length === 0 ? "results.json" : `${wanted.join("-")}.json`);
writeFileSync(
  file,
  `${JSON.stringify({ measuredAt: new Date().toISOString(), code, machine, rounds: settings.rounds, results }, null, 2)}\n`,
);
process.exitCode = missed > 0 ? 1 : 0;
