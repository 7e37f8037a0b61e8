// Runs the compiled tests of the package in the working directory.
//   node run.mjs            all files; writes .results/suite.json for the summary of npm test
//   node run.mjs --each     all files, one line for each; writes no summary
//   node run.mjs --quick    the same without test/integration, and with a twentieth of the rounds of random tests
//   node run.mjs guard      only files with "guard" in their name, one line for each case
import { processesOf, testFiles } from "./files.mjs";
import { caseLine, fileLine } from "./print.mjs";
import { runFiles } from "./run-files.mjs";
import { Suite } from "./suite.mjs";

const JOBS = 2;

const directory = process.cwd();
const args = process.argv.slice(2);
const parts = args.filter((a) => !a.startsWith("--"));
const [isWhole, isQuick] = [args.length === 0, args.includes("--quick")];
const files = testFiles(directory, parts).filter((f) => !isQuick || !f.includes("/integration/"));
const suite = new Suite(directory);
if (isWhole) suite.clear();

await runFiles(
  processesOf(files).map((files) => ({ directory, files })),
  {
    jobs: JOBS,
    env: isQuick ? { STEWARD_EFFORT: "0.05" } : {},
    onFile(ended) {
      if (parts.length > 0) for (const one of ended.cases) console.log(caseLine(one));
      suite.add(ended);
      if (!isWhole) console.log(fileLine(ended));
    },
  },
);
if (files.length === 0)
  console.error(`${suite.name} has no test file${parts.length > 0 ? ` named ${parts.join(", ")}` : ""}`);
const { ok, line } = suite.end();
if (isWhole) suite.save();
console.log(line);
process.exitCode = ok ? 0 : 1;
