// npm run chaos [driver ...] [fault ...] [drill ...] [soak] [--seconds 10] [--minutes 30] [--quick]
import { DRIVERS, type DriverName } from "./drivers/driver.ts";
import { FAULTS } from "./matrix/faults.ts";
import { matrix, matrixTable } from "./matrix/matrix.ts";
import { matrixVerdicts } from "./matrix/verdicts.ts";
import { printVerdicts, save } from "./report/print.ts";
import type { Verdict } from "./report/verdict.ts";
import { runSoak } from "./soak/main.ts";

const names = FAULTS.map(({ name }) => name);
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
  const drivers = DRIVERS.filter((driver) => words.has(driver));
  const faults = names.filter((name) => words.has(slug(name)));
  const chosen: readonly DriverName[] = drivers.length > 0 ? drivers : DRIVERS;
  const verdicts: Verdict[] = [];
  const figures = await matrix(chosen, faults.length > 0 ? faults : names, pace);
  console.log(matrixTable(figures));
  verdicts.push(...matrixVerdicts(figures));
  save("chaos", { measuredAt: new Date().toISOString(), pace, figures, verdicts });
  return printVerdicts(verdicts);
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
  const known = [...DRIVERS, ...names.map(slug), "soak", "--quick"];
  const unknown = [...words].filter((word) => !known.includes(word));
  if (unknown.length > 0 || Object.values(numbers).some((n) => !(n > 0))) {
    console.error(`chaos: do not know ${unknown.join(" ") || "that number"}; usage: npm run chaos -- [${known.join(" | ")}] [--seconds 10] [--minutes 30]`);
    process.exit(2);
  }
  return { numbers, words };
}
