import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensureInstalled } from "./install.mjs";
import { explain } from "./problem.mjs";
import { build } from "./turbo.mjs";
import { packages, readJson, root } from "./workspace.mjs";

const recorded = join(root, "tooling/run/api.json");

/** Compares the names that packages export with those of the last release (`--update` records them anew). */
export async function main(args) {
  const unknown = args.filter((arg) => arg !== "--update");
  if (unknown.length > 0) explain(`api takes --update, not "${unknown.join(" ")}"`);
  await ensureInstalled("tests");
  const code = await build(["./packages/*"]);
  if (code !== 0) return code;
  const now = exportedNames();
  if (args.includes("--update")) {
    writeFileSync(recorded, `${JSON.stringify(now, undefined, 2)}\n`);
    return 0;
  }
  const { lines, gone } = apiReport(existsSync(recorded) ? readJson(recorded) : {}, now);
  for (const line of lines) console.log(line);
  if (gone === 0) return 0;
  console.error(
    `${gone} names are gone, which breaks who uses them: say so in .changeset, then npm run api -- --update`,
  );
  return 1;
}

/** `{ "@steward/core": ["resource", ...] }`, by entry point, from the declarations that are published. */
function exportedNames() {
  const entries = packages()
    .filter(({ directory }) => directory.includes("/packages/"))
    .flatMap(({ name, directory, manifest }) =>
      Object.entries(manifest.exports ?? {})
        .filter(([, entry]) => entry.types !== undefined)
        .map(([path, { types }]) => [`${name}${path.slice(1)}`, namesIn(readFileSync(join(directory, types), "utf8"))]),
    );
  return Object.fromEntries(entries);
}

/** What a declaration file exports, by name. */
export function namesIn(text) {
  const code = text.replaceAll(/\/\*[\s\S]*?\*\//g, "");
  const lists = [...code.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap(([, list]) => list.split(","));
  const renamed = lists
    .map((one) =>
      one
        .trim()
        .replace(/^type /, "")
        .split(" as ")
        .at(-1),
    )
    .filter((one) => one !== "");
  const kinds = "const|let|function|class|abstract class|interface|type|enum|namespace";
  const declared = [...code.matchAll(new RegExp(`^export (?:declare )?(?:${kinds}) ([\\w$]+)`, "gm"))];
  return [...new Set([...renamed, ...declared.map(([, name]) => name)])].sort();
}

/** What was added and what is gone, in lines. */
export function apiReport(before, now) {
  const entries = [...new Set([...Object.keys(before), ...Object.keys(now)])].sort();
  const missing = (from, of) =>
    entries.map((entry) => [entry, (from[entry] ?? []).filter((name) => !of[entry]?.includes(name))]);
  const added = missing(now, before).filter(([, names]) => names.length > 0);
  const gone = missing(before, now).filter(([, names]) => names.length > 0);
  return {
    lines: [
      ...added.map(([entry, names]) => `+ ${entry}: ${names.join(", ")}`),
      ...gone.map(([entry, names]) => `- ${entry}: ${names.join(", ")}`),
    ],
    gone: gone.reduce((sum, [, names]) => sum + names.length, 0),
  };
}
