import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensureInstalled } from "./install.mjs";
import { explain } from "./problem.mjs";
import { build } from "./turbo.mjs";
import { packages } from "./workspace.mjs";

/** Compares what packages export, signatures included, with `api.txt` in each of them (`--update` writes these anew). */
export async function main(args) {
  const unknown = args.filter((arg) => arg !== "--update");
  if (unknown.length > 0) explain(`api takes --update, not "${unknown.join(" ")}"`);
  await ensureInstalled("tests");
  const code = await build(["./packages/*"]);
  if (code !== 0) return code;
  const { signaturesOf } = await import("./api-signatures.mjs"); // needs what is installed
  const packs = packages().filter(({ directory, manifest }) => directory.includes("/packages/") && manifest.exports);
  const all = signaturesOf(packs);
  let broken = 0;
  for (const { name, directory } of packs) {
    const file = join(directory, "api.txt");
    if (args.includes("--update")) writeFileSync(file, apiText(all[name]));
    const report = apiReport(existsSync(file) ? parsedApi(readFileSync(file, "utf8")) : {}, all[name]);
    for (const line of report.lines) console.log(line);
    broken += report.broken;
  }
  if (broken === 0) return 0;
  console.error(
    `${broken} names are gone or have changed, which may break who uses them: npm run api -- --update shows the change to who reviews it; say in .changeset what breaks`,
  );
  return 1;
}

/** As a file: an entry behind `#`, a name behind `##`, then its declarations. */
export function apiText(api) {
  const entries = Object.entries(api).map(([entry, names]) => {
    const blocks = Object.entries(names).map(([name, text]) => `## ${name}\n${text}\n`);
    return [`# ${entry}\n`, ...blocks].join("\n");
  });
  return entries.join("\n");
}

/** What `apiText` has written. */
export function parsedApi(text) {
  const entries = text.split(/^# /m).slice(1);
  return Object.fromEntries(
    entries.map((entry) => {
      const [head, ...blocks] = entry.split(/^## /m);
      const names = blocks.map((block) => [
        block.slice(0, block.indexOf("\n")),
        block.slice(block.indexOf("\n") + 1).trimEnd(),
      ]);
      return [head.trim(), Object.fromEntries(names)];
    }),
  );
}

/** What was added, is gone or has changed, in lines; `broken` counts the latter two. */
export function apiReport(before, now) {
  const entries = [...new Set([...Object.keys(before), ...Object.keys(now)])].sort();
  const lines = [];
  let broken = 0;
  for (const entry of entries) {
    const [old = {}, current = {}] = [before[entry], now[entry]];
    const added = Object.keys(current).filter((name) => !Object.hasOwn(old, name));
    const gone = Object.keys(old).filter((name) => !Object.hasOwn(current, name));
    const changed = Object.keys(old).filter((name) => Object.hasOwn(current, name) && old[name] !== current[name]);
    if (added.length > 0) lines.push(`+ ${entry}: ${added.join(", ")}`);
    if (gone.length > 0) lines.push(`- ${entry}: ${gone.join(", ")}`);
    for (const name of changed) lines.push(`~ ${entry}: ${name}`, ...lineDiff(old[name], current[name]));
    broken += gone.length + changed.length;
  }
  return { lines, broken };
}

/** Lines of the one that the other has not, and the other way round. */
function lineDiff(before, after) {
  const [old, current] = [before.split("\n"), after.split("\n")];
  return [
    ...old.filter((line) => !current.includes(line)).map((line) => `    - ${line.trim()}`),
    ...current.filter((line) => !old.includes(line)).map((line) => `    + ${line.trim()}`),
  ];
}
