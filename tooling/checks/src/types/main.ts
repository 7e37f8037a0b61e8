// Proves the types of the package in the working directory: test/types/ok/*.ts compiles and its declarations
// emit; every error that test/types/bad/*.ts announces is reported, in its words, and no other.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { compile } from "../compiler.ts";
import { compare, expectationsOf } from "./expectations.ts";

const directory = process.cwd();
const work = join(directory, ".types");
const problems: string[] = [];
rmSync(work, { recursive: true, force: true });
mkdirSync(work);

const good = fixtures("ok");
const bad = fixtures("bad");
if (good.length === 0) problems.push("test/types/ok holds no fixture");
if (bad.length === 0) problems.push("test/types/bad holds no fixture");

if (good.length > 0) {
  const { diagnostics, other } = compile(directory, project("ok", { declaration: true, outDir: "out" }));
  problems.push(...diagnostics.map((d) => `${d.file}:${d.line}: ${d.code}: ${d.text}`), ...nonEmpty(other));
}

let expected = 0;
if (bad.length > 0) {
  const wanted = bad.flatMap((file) => expectationsOf(file, readFileSync(join(directory, file), "utf8")));
  const silent = bad.filter((file) => !wanted.some((w) => w.file === file));
  const { diagnostics, other } = compile(directory, project("bad", { noEmit: true }));
  expected = wanted.length;
  problems.push(
    ...silent.map((file) => `${file} announces no error`),
    ...compare(wanted, diagnostics),
    ...nonEmpty(other),
  );
}

for (const problem of problems) console.error(problem);
console.log(`types: ${good.length} files compile, ${expected} errors in ${bad.length} files are as announced`);
if (problems.length > 0) console.log(`${problems.length} differences`);
process.exitCode = problems.length === 0 ? 0 : 1;

function fixtures(kind: string): string[] {
  const folder = join(directory, "test/types", kind);
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  return names.filter((n) => n.endsWith(".ts")).map((n) => relative(directory, join(folder, n)));
}

function project(kind: string, options: Record<string, unknown>): string {
  const file = join(work, `${kind}.json`);
  // Unused names are what fixtures are made of.
  const compilerOptions = { noUnusedLocals: false, noUnusedParameters: false, rootDir: "..", ...options };
  const content = {
    extends: "../../../tooling/typescript/test.json",
    compilerOptions,
    include: [`../test/types/${kind}/**/*.ts`],
    exclude: [],
  };
  writeFileSync(file, JSON.stringify(content));
  return relative(directory, file);
}

function nonEmpty(text: string): string[] {
  return text === "" ? [] : [text];
}
