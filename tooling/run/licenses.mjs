import { run } from "./child.mjs";
import { ensureInstalled } from "./install.mjs";
import { explain } from "./problem.mjs";

/** Licences that ask for nothing but their own text. */
const ALLOWED = [
  "MIT",
  "Apache-2.0",
  "ISC",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "0BSD",
  "BlueOak-1.0.0",
  "MIT-0",
  "CC0-1.0",
];

/** Lists what users of the packages install, by licence; one that asks for more fails. */
export async function main(args) {
  if (args.length > 0) explain("licenses takes nothing");
  await ensureInstalled("tests");
  const { code, output } = await run("pnpm", ["--filter", "./packages/*", "licenses", "list", "--prod", "--json"], {
    quiet: true,
  });
  if (code !== 0) explain(`pnpm licenses failed:\n${output}`);
  const { lines, problems } = licenseReport(JSON.parse(output.slice(output.indexOf("{"))));
  for (const line of lines) console.log(line);
  for (const problem of problems) console.error(problem);
  return problems.length === 0 ? 0 : 1;
}

/** `{ MIT: [{ name, versions }] }` in lines, and what is not allowed. */
export function licenseReport(byLicense) {
  const entries = Object.entries(byLicense);
  if (entries.length === 0) return { lines: [], problems: ["no licence was found: the list looks in the wrong place"] };
  const named = (list) => list.map(({ name, versions }) => `${name} ${versions.join(", ")}`).join("; ");
  const isAllowed = (license) =>
    license
      .replaceAll(/[()]/g, "")
      .split(" OR ")
      .some((one) => ALLOWED.includes(one));
  return {
    lines: entries.map(([license, list]) => `${license} (${list.length}): ${named(list)}`),
    problems: entries
      .filter(([license]) => !isAllowed(license))
      .map(([license, list]) => `${license} is no licence that we may pass on: ${named(list)}`),
  };
}
