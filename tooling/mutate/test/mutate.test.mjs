import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { instrument } from "../instrument.mjs";
import { report } from "../report.mjs";
import { measure, setApart, verdictOn } from "../runs.mjs";

/** The changes that are made to a piece of code, in order. */
const changes = (code) => instrument(code, 1).mutants.map(({ from, to }) => `${from} -> ${to}`);

t.test("code is changed in the usual small ways", async (t) => {
  t.same(changes("const x = a < b;"), ["a < b -> (a) <= (b)"]);
  t.same(changes("if (a) b();"), ["a -> true", "a -> false", "b(); -> "]);
  t.same(changes("const x = a ? 2 : 0;"), ["a -> true", "a -> false", "2 -> 0", "0 -> 1"]);
  t.same(changes("const x = a?.b ?? !c;"), ["!c -> (c)", "a?.b ?? !c -> (a?.b) && (!c)"]);
  t.same(changes("n += 1;"), ["1 -> 0", "n += 1 -> n -= 1"]);
  t.same(changes("this.x = y; await z();"), ["this.x = y; -> ", "await z(); -> "]);
});

t.test("what must stay as it is stays", async (t) => {
  t.same(changes('import { a } from "a"; export const b = "b" + a; super_(); for (;;) {}'), ["super_(); -> "]);
  t.same(changes("[a = b] = c; const { d = e } = f; delete g.h;"), ["[a = b] = c; -> "]);
  t.same(changes("class A extends B { constructor() { super(); } }"), []);
});

t.test("without a chosen mutant the code does what it did", async (t) => {
  const code = "let n = 0; for (let i = 0; i < 5; i++) { if (i % 2 === 0 && !(i > 3)) n += i; else n -= 1; } return n;";
  const { text } = instrument(`const f = () => { ${code} };`, 1);
  globalThis.__mutant = () => false;
  t.equal(new Function(`${text} return f();`)(), new Function(code)());
});

t.test("without a chosen mutant an else stays with its if", async (t) => {
  const code = "if (a) said.push(1); else said.push(2);";
  const { text } = instrument(`const f = (a) => { const said = []; ${code} return said; };`, 1);
  globalThis.__mutant = () => false;
  t.strictSame([true, false].map(new Function(`${text} return f;`)()), [[1], [2]]);
});

t.test("a mutant is killed, runs over its time, survives, or is met by no test", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "steward-mutate-"));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  symlinkSync(join(import.meta.dirname, "../node_modules"), join(directory, "node_modules"));
  const { text, mutants } = instrument(
    `export function sum(n) { let s = 0; while (n > 0) { s += n; n -= 1; } return s; }
     export const twice = (n) => n * 2;`,
    1,
  );
  writeFileSync(join(directory, "sum.mjs"), text);
  writeFileSync(
    join(directory, "a.test.mjs"),
    'import t from "tap"; import { sum } from "./sum.mjs"; t.test("sum", async (t) => t.equal(sum(3), 6));',
  );
  const measured = [{ ...(await measure(directory, "a.test.mjs")), key: "a" }];
  const verdicts = {};
  for (const { id, from, to } of mutants) verdicts[`${from} -> ${to}`] = await verdictOn(id, directory, measured);
  t.match(verdicts, {
    "s += n -> s -= n": "killed",
    "n > 0 -> (n) >= (0)": "survived",
    "n -= 1 -> n += 1": "timeout",
    "n * 2 -> (n) / (2)": "unreached",
  });
  const lines = report([{ name: "sum.ts", mutants: [{ verdict: "survived", place: "1:2", from: "a;", to: "" }] }]);
  t.match(lines[1], /^sum.ts +1 +0 +1 +0 +0.0 %$/);
  t.match(lines[2], "survived  sum.ts:1:2  a;  ->  (left out)");
});

t.test("test files that do not go together have a process each", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "steward-mutate-"));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  symlinkSync(join(import.meta.dirname, "../node_modules"), join(directory, "node_modules"));
  const { text } = instrument("globalThis.count = (globalThis.count ?? 0) + 1;", 1);
  const files = ["a.test.mjs", "b.test.mjs"];
  for (const file of files)
    writeFileSync(
      join(directory, file),
      `import t from "tap"; t.test("one", async (t) => { ${text} t.equal(globalThis.count, 1); });`,
    );
  const measured = [];
  for (const file of files) measured.push({ ...(await measure(directory, file)), key: file });
  await setApart(directory, measured);
  t.equal(measured.filter(({ apart }) => apart).length, 1);
  t.equal(await verdictOn(0, directory, measured), "unreached");
  t.equal(await verdictOn(1, directory, measured), "killed");
});
