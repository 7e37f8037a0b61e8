// Runs cases of test files, all in one process, as most of what a short case costs is the process: those that
// STEWARD_CASES names, in its order. At the end it writes down what each met and took, or which file was run last.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import t from "tap";

const { files, chosen, output } = JSON.parse(process.env.STEWARD_CASES);
const found = [];
const runs = [];
const register = t.test.bind(t);
const { stackTraceLimit } = Error;
let loading;

// Cases are put off until all files are loaded, so that loading is no part of the first.
t.test = (name, ...rest) => {
  loading.cases.push({ name, options: rest.slice(0, -1), body: rest.at(-1) });
};
for (const file of files) {
  loading = { file, cases: [] };
  globalThis.__met = new Set();
  await import(pathToFileURL(join(process.cwd(), file)));
  found.push({ ...loading, met: globalThis.__met });
}
t.test = register;

const all = found.flatMap(({ file, cases }) => cases.map((each, n) => ({ ...each, file, n })));
const wanted = chosen?.map(([file, n]) => all.find((each) => each.file === file && each.n === n)) ?? all;
for (const one of wanted) {
  register(one.name, ...one.options, (t) => {
    begin(one);
    return one.body(t);
  });
}
process.on("exit", () => {
  runs.at(-1)?.end();
  const met = [...found[0].met];
  const cases = runs.map(({ n, ms, met }) => ({ n, ms, met: [...met] }));
  if (chosen === undefined) writeFileSync(output, JSON.stringify({ met, cases }));
});

/** One case follows another, so that one ends where the next begins. */
function begin({ file, n }) {
  const before = runs.at(-1);
  before?.end();
  if (chosen !== undefined && before?.file !== file) writeFileSync(output, file);
  Error.stackTraceLimit = stackTraceLimit;
  const started = process.cpuUsage();
  const run = { file, n, ms: 0, met: new Set(), end: () => (run.ms = cpuMs(process.cpuUsage(started))) };
  globalThis.__met = run.met;
  runs.push(run);
}

function cpuMs({ user, system }) {
  return (user + system) / 1_000;
}
