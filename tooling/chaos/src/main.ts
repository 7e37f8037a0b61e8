// npm run chaos [driver ...] [fault ...] [drill ...] [soak] [--seconds 10] [--minutes 30] [--quick]
import { availableParallelism, loadavg } from "node:os";
import { DRILLS } from "./drills/drills.ts";
import { DRIVERS, type DriverName } from "./drivers/driver.ts";
import { FAULTS } from "./matrix/faults.ts";
import { matrix, matrixTable } from "./matrix/matrix.ts";
import { matrixVerdicts } from "./matrix/verdicts.ts";
import { inProcess } from "./report/in-process.ts";
import { printVerdicts, save, table } from "./report/print.ts";
import type { Found, Row, Verdict } from "./report/verdict.ts";
import { runSoak } from "./soak/main.ts";

const names = FAULTS.map(({ name }) => name);
const extras = Object.keys(DRILLS);
const slug = (name: string): string => name.replaceAll(/,? /g, "-");
const { numbers, words } = parse(process.argv.slice(2));
const quick = words.has("--quick");
const pace = {
  warmMs: quick ? 800 : 2_000,
  longMs: (numbers["--seconds"] ?? (quick ? 3 : 10)) * 1_000,
  afterMs: quick ? 4_000 : 8_000,
};

if (words.has("soak")) process.exitCode = (await runSoak(numbers["--minutes"] ?? 30)) > 0 ? 1 : 0;
else process.exitCode = (await drills()) > 0 ? 1 : 0;

async function drills(): Promise<number> {
  const chosen = picked(DRIVERS, words);
  const [faults, others] = [names.filter((name) => words.has(slug(name))), extras.filter((name) => words.has(name))];
  const everything = faults.length + others.length === 0;
  const verdicts: Verdict[] = [];
  const figures = everything || faults.length > 0 ? await matrix(chosen, everything ? names : faults, pace) : [];
  if (figures.length > 0) console.log(matrixTable(figures));
  verdicts.push(...matrixVerdicts(figures));
  const rows: Row[] = [];
  for (const found of await drilled(chosen, everything ? extras : others)) {
    rows.push(...found.rows);
    verdicts.push(...found.verdicts);
  }
  if (rows.length > 0) console.log(rowTable(rows));
  save("chaos", { measuredAt: new Date().toISOString(), loadAverage: loadavg(), pace, figures, rows, verdicts });
  console.log(
    `\nLoad of the machine: ${loadavg()
      .map((n) => n.toFixed(1))
      .join(", ")} on ${availableParallelism()} cores`,
  );
  return printVerdicts(verdicts);
}

function picked(all: readonly DriverName[], by: ReadonlySet<string>): readonly DriverName[] {
  const some = all.filter((one) => by.has(one));
  return some.length > 0 ? some : all;
}

/** One driver after the other, unless it has to be quick: what they measure is heap and waiting, which others disturb. */
async function drilled(drivers: readonly DriverName[], drillNames: readonly string[]): Promise<Found[]> {
  const all: Found[] = [];
  if (drillNames.length === 0) return all;
  const one = async (driver: DriverName): Promise<Found[]> =>
    (await inProcess("drills/worker.js", [driver, drillNames.join(";")])) as Found[]; // what it sends
  if (quick) return (await Promise.all(drivers.map(one))).flat();
  for (const driver of drivers) all.push(...(await one(driver)));
  return all;
}

function rowTable(rows: readonly Row[]): string {
  const told = (figures: Row["figures"]): string =>
    Object.entries(figures)
      .map(([name, value]) => `${name} ${value}`)
      .join(", ");
  const cells = rows.map((row) => [row.drill, row.driver, row.client, told(row.figures)]);
  return table(
    "Drills",
    ["drill", "driver", "client", "figures"],
    cells.sort((a, b) => (a[0] ?? "").localeCompare(b[0] ?? "")),
  );
}

function parse(args: readonly string[]): { numbers: Record<string, number>; words: Set<string> } {
  const numbers: Record<string, number> = {};
  const words = new Set<string>();
  const rest = args.filter((arg) => arg !== "--").flatMap((arg) => arg.split("="));
  for (let i = 0; i < rest.length; i++) {
    const arg = rest[i] ?? "";
    if (arg === "--seconds" || arg === "--minutes") numbers[arg] = Number(rest[++i]);
    else words.add(arg);
  }
  const known = [...DRIVERS, ...names.map(slug), ...extras, "soak", "--quick"];
  const unknown = [...words].filter((word) => !known.includes(word));
  if (unknown.length > 0 || Object.values(numbers).some((n) => !(n > 0))) {
    console.error(
      `chaos: do not know ${unknown.join(" ") || "that number"}; usage: npm run chaos -- [${known.join(" | ")}] [--seconds 10] [--minutes 30]`,
    );
    process.exit(2);
  }
  return { numbers, words };
}
