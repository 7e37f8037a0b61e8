// Runs the compiled tests of the package in the working directory with tap, each file in a process of its own.
//   node run.mjs            all files; writes .results/suite.json for the summary of npm test
//   node run.mjs --each     all files, one line for each; writes nothing
//   node run.mjs --quick    the same without test/integration, and with a twentieth of the rounds of random tests
//   node run.mjs guard      only files with "guard" in their name, one line for each case
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { testFiles } from "./files.mjs";
import { caseLine, failureBlock } from "./print.mjs";
import { runFiles } from "./run-files.mjs";

const directory = process.cwd();
const args = process.argv.slice(2);
const parts = args.filter((a) => !a.startsWith("--"));
const [isWhole, isQuick] = [args.length === 0, args.includes("--quick")];
const { name } = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"));
const files = testFiles(directory, parts).filter((f) => !isQuick || !f.includes("/integration/"));
const counts = { passed: 0, failed: 0, skipped: 0 };

const exitCode = await runFiles(directory, files, {
  env: isQuick ? { STEWARD_EFFORT: "0.05" } : {},
  onCase(found) {
    counts[found.kind] += 1;
    if (parts.length > 0) console.log(caseLine(found));
    if (found.kind === "failed") console.error(failureBlock(found));
  },
  onFile(file) {
    if (!isWhole) console.log(`${file.ok ? "ok    " : "FAILED"} ${file.name} (${(file.time / 1000).toFixed(1)} s)`);
  },
});
// A file that breaks off, or a package without files, leaves no failed case behind; it must not look like success.
if (files.length === 0)
  console.error(`${name} has no test file${parts.length > 0 ? ` named ${parts.join(", ")}` : ""}`);
if (counts.failed === 0 && (exitCode !== 0 || counts.passed + counts.skipped === 0)) counts.failed = 1;
if (isWhole) save({ name, ...counts, node: process.version });
const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : "";
console.log(`${name} on Node ${process.version}: ${counts.passed} passed, ${counts.failed} failed${skipped}`);
process.exitCode = counts.failed === 0 ? 0 : 1;

function save(suite) {
  mkdirSync(join(directory, ".results"), { recursive: true });
  writeFileSync(join(directory, ".results/suite.json"), `${JSON.stringify(suite)}\n`);
}
