import { createHash } from "node:crypto";
import { appendFileSync, cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { SourceMap } from "node:module";
import { join } from "node:path";
import { run } from "../run/child.mjs";
import { ensureInstalled } from "../run/install.mjs";
import { explain } from "../run/problem.mjs";
import { build } from "../run/turbo.mjs";
import { packages } from "../run/workspace.mjs";
import { testFiles } from "../tap/files.mjs";
import { report } from "./report.mjs";

const AT_ONCE = 2;

/**
 * `npm run mutate core guard breaker`: packages by name, then parts of the names of their files; `--every=4` takes each
 * fourth mutant.
 */
export async function main(all) {
  const every = Number(all.find((a) => a.startsWith("--every="))?.slice("--every=".length) ?? 1);
  const args = all.filter((a) => !a.startsWith("--"));
  const known = packages().filter((p) => existsSync(join(p.directory, "tsconfig.test.json")));
  const chosen = known.filter((p) => args.includes(p.short));
  const parts = args.filter((a) => !chosen.some((p) => p.short === a));
  if (chosen.length === 0) explain("say which package, and which files: npm run mutate core guard");
  await ensureInstalled("tests");
  const files = [];
  for (const one of chosen) files.push(...(await mutatePackage(one, parts, every)));
  if (files.length === 0) explain(`no source file has "${parts.join('" or "')}" in its name`);
  for (const line of report(files)) console.log(line);
  return 0;
}

async function mutatePackage({ directory, name, short }, parts, every) {
  const [built, compiled] = [await build([name]), await compileTests(directory)];
  if (built !== 0 || compiled !== 0) explain(`${name} does not compile`);
  const place = join(directory, ".mutants");
  for (const folder of ["src", "test"]) {
    rmSync(join(place, folder), { recursive: true, force: true });
    cpSync(join(directory, ".test", folder), join(place, folder), { recursive: true });
  }
  const tests = testFiles(directory).filter((f) => !f.includes("/integration/"));
  const files = sample(await instrumentAll(directory, place, parts), every);
  if (files.length === 0) return [];
  const measured = await measureAll(directory, tests);
  const past = pastOutcomes(place);
  const left = files.flatMap(({ key, mutants }) => mutants.map((mutant) => ({ key: `${key} ${mutant.n}`, mutant })));
  console.log(`${short}: ${left.length} mutants in ${files.length} files, ${tests.length} test files`);
  await each(left, (item) => judge(item, directory, measured, past));
  return files.map((file) => ({ ...file, name: `${short}/${file.name}` }));
}

async function compileTests(directory) {
  const compiler = join(import.meta.dirname, "../run/compile.mjs");
  const { code } = await run(process.execPath, [compiler, "tsconfig.test.json"], { cwd: directory });
  return code;
}

/** Writes the modules with their switches in the place of the compiled ones. */
async function instrumentAll(directory, place, parts) {
  const { instrument } = await import("./instrument.mjs");
  const wanted = (file) => parts.length === 0 || parts.some((part) => file.includes(part));
  const names = readdirSync(join(place, "src"), { recursive: true }).map(String);
  const files = [];
  let next = 1;
  for (const file of names.filter((n) => n.endsWith(".js") && wanted(n)).sort()) {
    const source = readFileSync(join(directory, ".test/src", file), "utf8");
    const { text, mutants } = instrument(source, next);
    writeFileSync(join(place, "src", file), text);
    next += mutants.length;
    const map = new SourceMap(JSON.parse(readFileSync(join(directory, ".test/src", `${file}.map`), "utf8")));
    const placed = mutants.map((mutant, n) => ({ ...mutant, n, place: placeOf(mutant.at, source, map) }));
    const key = hashOf([instrument(source, 1).text]);
    if (placed.length > 0) files.push({ name: file.replace(/\.js$/, ".ts"), key, mutants: placed });
  }
  return files;
}

/** Each so many-th mutant of each file: a first look at a large package. */
function sample(files, every) {
  return files.map((file) => ({ ...file, mutants: file.mutants.filter(({ n }) => n % every === 0) }));
}

/** Line and column in the TypeScript. */
function placeOf(at, source, map) {
  const before = source.slice(0, at).split("\n");
  const { originalLine = 0, originalColumn = 0 } = map.findEntry(before.length - 1, before.at(-1).length);
  return `${originalLine + 1}:${originalColumn + 1}`;
}

async function measureAll(directory, tests) {
  const { measure, setApart } = await import("./runs.mjs");
  const measured = [];
  const shared = sharedByTests(directory);
  await each(tests, async (file) => {
    const one = await measure(directory, file.replace(".test/", ".mutants/"));
    // Such as a test that counts allocations, which switches add to.
    if (!one.ok) console.log(`left out: ${file} fails with switches in the code`);
    if (one.slow > 0) console.log(`left out: ${one.slow} cases of ${file} that take long`);
    if (one.ok) measured.push({ ...one, key: hashOf([...shared, readFileSync(join(directory, file))]) });
  });
  await setApart(directory, measured);
  for (const { file } of measured.filter(({ apart }) => apart)) console.log(`in a process of its own: ${file}`);
  return measured;
}

/** What test files import of one another: the modules beside them that are no test files. */
function sharedByTests(directory) {
  const root = join(directory, ".test/test");
  const names = readdirSync(root, { recursive: true }).map(String).sort();
  return names.filter((n) => /(?<!\.test)\.js$/.test(n)).map((n) => readFileSync(join(root, n)));
}

function hashOf(texts) {
  const hash = createHash("sha256");
  for (const text of texts) hash.update(text);
  return hash.digest("hex").slice(0, 16);
}

/**
 * What became of a mutant in a test file, of earlier runs over the same two, so that a run can be broken off and gone
 * on with, and a new test costs only what it adds.
 */
function pastOutcomes(place) {
  const file = join(place, "outcomes.jsonl");
  const lines = existsSync(file) ? readFileSync(file, "utf8").trim().split("\n").filter(Boolean) : [];
  const of = new Map();
  for (const [mutant, test, outcome] of lines.map((line) => JSON.parse(line))) {
    of.set(mutant, (of.get(mutant) ?? new Map()).set(test, outcome));
  }
  return { file, of };
}

async function judge({ key, mutant }, directory, measured, past) {
  const { verdictOn } = await import("./runs.mjs");
  mutant.verdict = await verdictOn(mutant.id, directory, measured, past.of.get(key), (test, outcome) =>
    appendFileSync(past.file, `${JSON.stringify([key, test, outcome])}\n`),
  );
}

async function each(items, work) {
  const began = performance.now();
  let [next, done] = [0, 0];
  const worker = async () => {
    while (next < items.length) {
      await work(items[next++]);
      done += 1;
      const minutes = ((performance.now() - began) / 60_000).toFixed(1);
      if (done % 50 === 0) console.log(`  ${done} of ${items.length}, ${minutes} min`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
