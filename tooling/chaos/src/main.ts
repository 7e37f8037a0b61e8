// npm run chaos [driver ...] [fault ...] [drill ...] [detection | cache | auth | soak | rollout | killings | upgrade | hanging | restarts | crowds | operators] [--quick] [--seconds 10] ...
import { constants } from "node:os";
import { join } from "node:path";
import { markdown, report, type Row, type Table } from "@steward/harness";
import { authDrill, authRows, authTable } from "./auth/auth.ts";
import { DRIVERS, type DriverName } from "./drivers/driver.ts";
import { crowdRows, crowds, crowdTable } from "./crowds.ts";
import { detection, detectionRows } from "./detection.ts";
import { drillTable, DRILLS, type Found } from "./drills/drills.ts";
import { inProcess, sideBySide } from "./in-process.ts";
import { FAULTS } from "./matrix/faults.ts";
import { grid, matrix, matrixTable } from "./matrix/matrix.ts";
import { matrixRows } from "./matrix/judge.ts";
import { cacheModel, modelRows, modelTable } from "./model/model.ts";
import { failoverRows, failovers } from "./operators/failover.ts";
import { rotation, rotationRows } from "./operators/rotation.ts";
import { tenantRows, tenantsDrill } from "./operators/tenants.ts";
import { restarts } from "./restarts.ts";
import { endHanging } from "./rollout/hanging.ts";
import { hangingRows, killingRows, rolloutRows, rolloutTable, upgradeRows } from "./rollout/report.ts";
import { Earlier } from "./rollout/earlier.ts";
import { killings } from "./rollout/killings.ts";
import { appOf } from "./rollout/replica.ts";
import { rollOut, upgrade } from "./rollout/rolling.ts";
import { soakRows } from "./soak/report.ts";
import { soak } from "./soak/soak.ts";

/** What a part found; `rest` goes into the JSON alone. */
interface Part {
  readonly rows: readonly Row[];
  readonly tables?: readonly Table[];
  readonly rest?: object;
}

// What a drill has started ends with the process, at whose exit it is looked for: signals alone make none.
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => process.exit(128 + constants.signals[signal]));

const say = (what: string): void => console.error(`  ${what}`);
const slug = (name: string): string => name.replaceAll(/,? /g, "-");
const faults = FAULTS.map(({ name }) => name);
const COMMANDS = [
  "detection",
  "cache",
  "auth",
  "soak",
  "rollout",
  "killings",
  "upgrade",
  "hanging",
  "restarts",
  "crowds",
  "operators",
] as const;
/** Of the drills with several Clips: before them haproxy, not the balancer of Clips; not in Kubernetes. */
const FLAGS = ["--quick", "--haproxy", "--elsewhere"];
const NUMBERS: Readonly<Record<string, number>> = {
  "--seconds": 10,
  "--minutes": 30,
  "--runs": 10,
  "--seeds": 5_000,
  "--reads": 100_000,
  "--thousands": 1,
  "--rounds": 200,
  "--logouts": 10_000,
  "--load": 100,
};

function read(args: readonly string[]) {
  const numbers: Record<string, number> = {};
  let [app, from] = ["", "HEAD"];
  const words = new Set<string>();
  const rest = args.filter((arg) => arg !== "--").flatMap((arg) => arg.split("="));
  for (let i = 0; i < rest.length; i++) {
    const arg = rest[i] ?? "";
    if (Object.hasOwn(NUMBERS, arg)) numbers[arg] = Number(rest[++i]);
    else if (arg === "--app") app = rest[++i] ?? "";
    else if (arg === "--from") from = rest[++i] ?? "";
    else words.add(arg);
  }
  const known = [...DRIVERS, ...faults.map(slug), ...Object.keys(DRILLS), ...COMMANDS, ...FLAGS];
  const unknown = [...words].filter((word) => !known.includes(word));
  if (unknown.length > 0 || Object.values(numbers).some((n) => !(n > 0))) {
    const flags = Object.entries(NUMBERS).map(([name, value]) => `[${name} ${value}]`);
    const problem = unknown.length > 0 ? `does not know ${unknown.join(" ")}` : "needs positive numbers";
    console.error(`chaos: ${problem}; usage: npm run chaos -- [${known.join(" | ")}] ${flags.join(" ")} [--from HEAD]`);
    process.exit(2);
  }
  return { numbers, words, app, from };
}

const { numbers, words, app, from } = read(process.argv.slice(2));
const quick = words.has("--quick");
const number = (name: string, whenQuick: number): number =>
  numbers[name] ?? (quick ? whenQuick : (NUMBERS[name] ?? NaN));
const cluster = {
  app: appOf(app),
  setting: words.has("--elsewhere") ? "elsewhere" : "kubernetes",
  balancer: words.has("--haproxy") ? "haproxy" : "node",
  share: (numbers["--load"] ?? 100) / 100,
} as const;
const picked = DRIVERS.filter((one) => words.has(one));
const drivers: readonly DriverName[] = picked.length > 0 ? picked : DRIVERS;
const chosen = {
  faults: faults.filter((name) => words.has(slug(name))),
  drills: Object.keys(DRILLS).filter((name) => words.has(name)),
  commands: COMMANDS.filter((name) => words.has(name)),
};
/** Nothing but drivers was named: all faults and drills, and without drivers also what takes minutes, but for the soak. */
const all = chosen.faults.length + chosen.drills.length + chosen.commands.length === 0;

async function matrixPart(names: readonly string[]): Promise<Part> {
  const longMs = number("--seconds", 3) * 1_000;
  const span = { warmMs: quick ? 800 : 2_000, longMs, afterMs: quick ? 4_000 : 8_000 };
  const figures = await matrix(drivers, names, span);
  const rows = matrixRows(figures);
  return { rows, tables: [matrixTable(figures), grid(drivers, figures, rows)], rest: { span, figures } };
}

/** One driver after the other, unless it has to be quick: what they measure is heap and waiting, which others disturb. */
async function drillPart(names: readonly string[]): Promise<Part> {
  const one = async (driver: DriverName): Promise<Found[]> =>
    (await inProcess(["drills", driver, names.join(";"), ""])) as Found[]; // what the worker sends
  const found: Found[] = [];
  if (quick) found.push(...(await sideBySide(drivers, one)).flat());
  else for (const driver of drivers) found.push(...(await one(driver)));
  return { rows: found.flatMap(({ rows }) => rows), tables: [drillTable(found)], rest: { drills: found } };
}

const parts: Readonly<Record<(typeof COMMANDS)[number], () => Promise<Part>>> = {
  async detection() {
    const found = await detection(drivers);
    return { rows: detectionRows(found), rest: { detection: found } };
  },
  async cache() {
    const reads = number("--reads", 5_000);
    const found = await cacheModel(reads, say);
    return { rows: modelRows(found, reads), tables: [modelTable(found)], rest: { cache: found } };
  },
  async auth() {
    const found = await authDrill(number("--rounds", 20), number("--logouts", 500), say);
    return { rows: authRows(found), tables: [authTable(found)], rest: { auth: found } };
  },
  async soak() {
    const found = await soak(number("--minutes", 2), say);
    return { rows: soakRows(found), rest: { soak: found } };
  },
  async rollout() {
    const found = await rollOut(cluster, number("--runs", 1), say);
    return { rows: rolloutRows(found), tables: [rolloutTable(found)] };
  },
  async killings() {
    const found = await killings(cluster, say);
    return { rows: killingRows(found), rest: { killings: { ...found, refused: [...found.refused] } } };
  },
  async upgrade() {
    say(`building ${from} ...`);
    await using earlier = await Earlier.build(from);
    return { rows: upgradeRows(from, await upgrade(earlier.app, cluster)) };
  },
  hanging: async () => ({ rows: hangingRows(await endHanging()) }),
  async crowds() {
    const shown = await crowds(number("--thousands", 0.04), say);
    return { rows: crowdRows(shown), tables: [crowdTable(shown)] };
  },
  async operators() {
    const rotated = await rotation(number("--seconds", 6));
    const tenants = await tenantsDrill(quick ? 100 : 1_000);
    const failedOver = await failovers();
    const rows = [...rotationRows(rotated), ...tenantRows(tenants), ...failoverRows(failedOver)];
    return { rows, rest: { rotated, tenants, failedOver } };
  },
  restarts: async () => ({ rows: await restarts(number("--seeds", 50)) }),
};

const [rows, tables, rest]: [Row[], Table[], Record<string, unknown>] = [[], [], {}];
async function add(part: Promise<Part>): Promise<void> {
  const found = await part;
  rows.push(...found.rows);
  tables.push(...(found.tables ?? []));
  Object.assign(rest, found.rest);
}

if (all || chosen.faults.length > 0) await add(matrixPart(all ? faults : chosen.faults));
if (all || chosen.drills.length > 0) await add(drillPart(all ? Object.keys(DRILLS) : chosen.drills));
const commands =
  all && picked.length === 0 ? (["detection", "rollout", "killings", "hanging"] as const) : chosen.commands;
for (const name of commands) await add(parts[name]());
for (const table of tables) console.log(markdown(table));
const file = join(
  import.meta.dirname,
  `../.results/${
    [...words]
      .filter((word) => word !== "--quick")
      .join("-")
      .replaceAll("--", "") || "all"
  }.json`,
);
process.exitCode = report("What ours had to show", rows, file, { tables, ...rest });
