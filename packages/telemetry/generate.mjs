// Writes what is made of the table of metrics: `node packages/telemetry/generate.mjs` after a build.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dashboards, metricsTable, rulesText, wrappedRulesText } from "./dist/rules.js";

/** The files that are made, by their path in this package. */
export function generated(readme) {
  const boards = Object.entries(dashboards()).map(([name, board]) => [
    `dashboards/steward-${name}.json`,
    `${JSON.stringify(board, undefined, 2)}\n`,
  ]);
  return {
    "alerts/steward.rules.yml": rulesText(),
    "alerts/prometheus-rule.yaml": wrappedRulesText(),
    ...Object.fromEntries(boards),
    "README.md": readme.replace(
      /(<!-- metrics: made by generate\.mjs -->\n)[\s\S]*?(<!-- end -->)/,
      (_whole, begin, end) => `${begin}\n${metricsTable()}\n${end}`,
    ),
  };
}

if (process.argv[1] === import.meta.filename) {
  const inPackage = (path) => join(import.meta.dirname, path);
  const files = generated(readFileSync(inPackage("README.md"), "utf8"));
  for (const [path, text] of Object.entries(files)) writeFileSync(inPackage(path), text);
}
