import { row, type Findings, type Table } from "@steward/harness";
import type { Settings } from "../settings.ts";
import { CONTENDERS, type Contender } from "./contenders.ts";
import { TYPOS, variableOf, type Format, type Typo } from "./typos.ts";
import { World } from "./world.ts";

const area = "config";
const FORMATS: readonly Format[] = ["variable", "YAML", "JSON", "secret file"];

/** What became of one mistyped name. */
interface Outcome {
  readonly format: Format;
  readonly isRefused: boolean;
  /** Whether the message has the right name in it. */
  readonly isNamed: boolean;
}

/** What became of all of them with one contender. */
interface Found {
  readonly name: string;
  readonly outcomes: readonly Outcome[];
}

/** 30 mistyped names: how many stop the start, and how many messages say what was meant. */
export async function configBench({ say }: Settings): Promise<Findings> {
  const found: Found[] = [];
  for (const contender of CONTENDERS) {
    say(contender.name);
    found.push({ name: contender.name, outcomes: await outcomesOf(contender) });
  }
  const bar = `= ${TYPOS.length}` as const;
  const line = (what: string, count: (of: readonly Outcome[]) => number) => {
    const [ours = 0, ...rivals] = found.map(({ outcomes }) => count(outcomes));
    const figure = Math.max(...rivals);
    const name = found[rivals.indexOf(figure) + 1]?.name ?? "";
    return row({
      area,
      work: `${TYPOS.length} mistyped names: ${what}`,
      unit: "names",
      rival: { name, figure },
      ours,
      bar,
    });
  };
  return { rows: [line("refused", refused), line("the right one is named", named)], tables: [tableOf(found)] };
}

function refused(outcomes: readonly Outcome[]): number {
  return outcomes.filter(({ isRefused }) => isRefused).length;
}

function named(outcomes: readonly Outcome[]): number {
  return outcomes.filter(({ isNamed }) => isNamed).length;
}

function tableOf(found: readonly Found[]): Table {
  const cell = (outcomes: readonly Outcome[], format: Format): string => {
    const those = outcomes.filter((one) => one.format === format);
    return `${refused(those)} of ${those.length}`;
  };
  return {
    title: "Mistyped names that were refused, by where they stood",
    columns: ["", ...FORMATS, "refused", "named right"],
    rows: found.map(({ name, outcomes }) => [
      name,
      ...FORMATS.map((format) => cell(outcomes, format)),
      refused(outcomes),
      named(outcomes),
    ]),
    note: "A rival that does not read a format cannot refuse what stands there; what has to be set is missed by all.",
  };
}

async function outcomesOf(contender: Contender): Promise<Outcome[]> {
  using right = new World(undefined);
  await contender.read(right); // it has to take what is right
  const outcomes: Outcome[] = [];
  for (const typo of TYPOS) outcomes.push(await outcomeOf(contender, typo));
  return outcomes;
}

/** What was written, where it stands by itself: a message that only repeats it names nothing. */
function asWritten(written: string): RegExp {
  return new RegExp(`(?<![\\w.])${written.replaceAll(".", "\\.")}(?!\\w)`, "g");
}

async function outcomeOf(contender: Contender, typo: Typo): Promise<Outcome> {
  using world = new World(typo);
  const { format, meant, written } = typo;
  try {
    await contender.read(world);
    return { format, isRefused: false, isNamed: false };
  } catch (error) {
    const text = String(error instanceof Error ? error.message : error).replaceAll(asWritten(written), "");
    const names = [
      meant,
      variableOf(meant),
      `"${meant.split(".").at(-1) ?? meant}"`,
      `"${meant.split(".")[0] ?? meant}"`,
    ];
    return { format, isRefused: true, isNamed: names.some((name) => text.includes(name)) };
  }
}
