import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Verdict } from "./verdict.ts";

/** Rows as an aligned Markdown table. */
export function table(title: string, columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = columns.map((name, i) => Math.max(name.length, ...rows.map((row) => (row[i] ?? "").length)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" | ")} |`;
  const rule = `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`;
  return [`\n${title}`, line(columns), rule, ...rows.map(line)].join("\n");
}

/** Prints what was to be shown, and says how much of it was missed. */
export function printVerdicts(verdicts: readonly Verdict[]): number {
  const rows = verdicts.map((v) => [v.line, v.measured, v.wanted, v.met ? "met" : "MISSED"]);
  console.log(table("Must show (ours)", ["what", "measured", "wanted", ""], rows));
  const missed = verdicts.filter((v) => !v.met).length;
  console.log(`\n${verdicts.length - missed} met, ${missed} missed`);
  return missed;
}

/** Writes the figures of a run where git does not look. */
export function save(name: string, figures: unknown): void {
  const folder = join(import.meta.dirname, "../../.results");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(figures, null, 2)}\n`);
}
