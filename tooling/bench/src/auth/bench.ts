import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { estimate, measureIn, median, row, type Findings, type Row, type Table } from "@steward/harness";
import { besideRow, together, togetherTable, type Together } from "../arms/together.ts";
import type { Settings } from "../settings.ts";
import type { SignInsFound } from "./sign-ins.ts";

const area = "auth";
const RIVALS = ["fast-jwt, cache", "fast-jwt", "jose", "better-auth, jwt", "better-auth, cookie cache", "better-auth"];
const REFUSALS = 400;
const GUESSES = 1_000_000;

/** What it costs to know who asks, beside what people use; how alike refusals are, and what guesses come to. */
export async function authBench(settings: Settings): Promise<Findings> {
  const all = [...(await together("auth/tokens", settings)), ...(await together("auth/better", settings))];
  settings.say(`${REFUSALS} refusals of each kind, and ${GUESSES} guesses at one name`);
  const script = join(import.meta.dirname, "sign-ins.js");
  const place = { node: settings.node, flags: ["--expose-gc"] };
  const found = (await measureIn(place, script, [String(REFUSALS), String(GUESSES)])) as SignInsFound; // it prints them
  const costs = all.flatMap((group) => [...hitRows(group), ...rivalRows(group)]);
  return {
    rows: [...costs, ...alikeRows(found), ...guessRows(found)],
    tables: [togetherTable("Whose is it?", all, versions()), refusalTable(found)],
  };
}

function hitRows({ work, us }: Together): Row[] {
  if (!work.includes("before")) return [];
  return [row({ area, work, unit: "us CPU", ours: estimate(us["Steward"] ?? []), bar: "<= 2" })];
}

function rivalRows(group: Together): Row[] {
  return RIVALS.filter((rival) => rival in group.us).map((rival) =>
    besideRow(group, { area, ours: "Steward", rival, ...(group.work.includes("new") ? {} : { bar: ">= 1" }) }),
  );
}

/** Refusals of two causes are alike when their medians are, and when they might have one distribution. */
function alikeRows({ ms }: SignInsFound): Row[] {
  return (["unknown", "disabled"] as const).flatMap((cause) => {
    const work = `a refusal: ${cause} beside wrong`;
    const apart = Math.abs(median([...ms[cause]]) / median([...ms.wrong]) - 1) * 100;
    return [
      row({ area, work: `${work}, medians apart`, unit: "%", ours: apart, bar: "<= 3" }),
      row({ area, work: `${work}, Kolmogorov-Smirnov`, unit: "p", ours: chance(ms[cause], ms.wrong), bar: ">= 0.01" }),
    ];
  });
}

/** How likely two samples of one distribution are at least so far apart. */
function chance(some: readonly number[], others: readonly number[]): number {
  const below = (of: readonly number[], value: number): number => of.filter((one) => one <= value).length / of.length;
  const most = Math.max(...[...some, ...others].map((value) => Math.abs(below(some, value) - below(others, value))));
  const size = Math.sqrt((some.length * others.length) / (some.length + others.length));
  const lambda = (size + 0.12 + 0.11 / size) * most;
  let sum = 0;
  for (let k = 1; k <= 100; k++) sum += (k % 2 === 1 ? 2 : -2) * Math.exp(-2 * k * k * lambda * lambda);
  return Math.min(1, Math.max(0, lambda < 0.2 ? 1 : sum)); // below that the series does not come to an end
}

function guessRows({ guesses, compared, isOwnerIn, guessUs, heldBytes }: SignInsFound): Row[] {
  const work = `${guesses.toLocaleString("en-US")} guesses at one name`;
  return [
    row({ area, work: `${work}: compared with a hash`, unit: "guesses", ours: compared, bar: "<= 30" }),
    row({ area, work: `${work}: the owner's device signs in`, unit: "of 1", ours: isOwnerIn ? 1 : 0, bar: "= 1" }),
    row({ area, work: `${work}: one takes`, unit: "us CPU", ours: guessUs }),
    row({ area, work: "as many names and addresses: the limiter holds", unit: "MB", ours: heldBytes / 1e6 }),
  ];
}

function refusalTable({ ms }: SignInsFound): Table {
  return {
    title: `Refused sign-ins, ${REFUSALS} of each kind in turn, scrypt 2^12`,
    columns: ["cause", "ms"],
    rows: Object.entries(ms).map(([cause, figures]) => [cause, estimate([...figures])]),
  };
}

function versions(): string {
  const require = createRequire(import.meta.url);
  const versionOf = (name: string): string => {
    for (let folder = dirname(require.resolve(name)); ; folder = dirname(folder)) {
      const { name: found, version } = packageIn(folder);
      if (found === name) return `${name} ${version}`;
    }
  };
  return `${["better-auth", "fast-jwt", "jose"].map(versionOf).join(", ")}. Tokens are HS256, those of better-auth EdDSA; its database and our stores are in memory.`;
}

function packageIn(folder: string): { readonly name?: string; readonly version?: string } {
  try {
    return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { name?: string; version?: string }; // as npm has it
  } catch {
    return {};
  }
}
