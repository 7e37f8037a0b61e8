// Runs the suites of many packages in one queue, the longest files first, so that no core waits for the end of a suite:
//   node run-all.mjs packages/core packages/http ...
import { resolve } from "node:path";
import { processesOf, testFiles } from "./files.mjs";
import { runFiles } from "./run-files.mjs";
import { Suite } from "./suite.mjs";

/** Two for each core of CI, and more while its cores are idle: with four, a quarter of the time they were. */
const [JOBS, MOST] = [4, 6];

const suites = new Map();
const processes = [];
for (const directory of process.argv.slice(2).map((one) => resolve(one))) {
  const times = Suite.timesOf(directory);
  const files = testFiles(directory);
  const suite = new Suite(directory);
  suites.set(directory, { suite, left: files.length });
  const lastMs = (file) => times[file]?.ms ?? guessedMs(directory, file);
  for (const shared of processesOf(files))
    processes.push({ directory, files: shared, lastMs: shared.reduce((sum, file) => sum + lastMs(file), 0) });
  suite.clear();
  if (files.length === 0) end(suite);
}
processes.sort((a, b) => b.lastMs - a.lastMs);

await runFiles(processes, {
  jobs: JOBS,
  most: MOST,
  env: {},
  onFile(ended) {
    const entry = suites.get(ended.directory);
    entry.suite.add(ended);
    entry.left -= 1;
    if (entry.left === 0) end(entry.suite);
  },
});

/** Of a file that never ran here: what starts servers and whole applications takes longest. */
function guessedMs(directory, file) {
  return directory.includes("/apps/") || file.includes("/integration/") ? 10_000 : 500;
}

function end(suite) {
  const { ok, line } = suite.end();
  suite.save();
  console.log(line);
  if (!ok) process.exitCode = 1;
}
