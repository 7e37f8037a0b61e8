// Compiles the consumer package in the working directory as a stranger's project: against the packed packages,
// under pnpm's strict layout, with declarations; then reads those declarations from a second project.
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compile, type Diagnostic } from "../compiler.ts";
import { layOut, readManifest } from "./strict-layout.ts";

const consumer = process.cwd();
const target = realpathSync(mkdtempSync(join(tmpdir(), "steward-consumer-")));
try {
  const problems = check();
  for (const problem of problems) console.error(problem);
  process.exitCode = problems.length === 0 ? 0 : 1;
} finally {
  rmSync(target, { recursive: true, force: true });
}

function check(): string[] {
  const packed = layOut(consumer, target);
  const { dependencies: direct = {} } = readManifest(consumer);
  if (packed.length === 0) return ["the consumer depends on none of our packages"];
  for (const folder of ["src", "use"]) cpSync(join(consumer, folder), join(target, folder), { recursive: true });
  writeFileSync(join(target, "package.json"), JSON.stringify({ name: "consumer", type: "module" }));
  const emitted = project("src", { declaration: true, rootDir: "src", outDir: "out" });
  if (emitted.length > 0) return emitted;
  const read = project("use", { noEmit: true });
  const declarations = readdirSync(join(target, "out")).filter((f) => f.endsWith(".d.ts"));
  const texts = declarations.map((f) => readFileSync(join(target, "out", f), "utf8"));
  const definitions = texts
    .join("")
    .split("\n")
    .filter((l) => l.startsWith("export declare const")).length;
  const bytes = texts.join("").length;
  console.log(`consumer: ${definitions} definitions against ${packed.join(", ")}: ${bytes} bytes of declarations`);
  return [
    ...(definitions === 0 ? ["the consumer emitted no declaration"] : []),
    ...texts.filter((text) => /\bany\b/.test(text)).map((text) => `a declaration lost its type to any:\n${text}`),
    ...read,
    ...packed.filter((name) => Object.hasOwn(direct, name)).flatMap(loads),
  ];
}

function project(folder: string, options: Record<string, unknown>): string[] {
  const compilerOptions = {
    target: "es2022",
    module: "nodenext",
    lib: ["es2022", "esnext.disposable"],
    types: ["node"],
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    ...options,
  };
  const file = `tsconfig.${folder}.json`;
  writeFileSync(join(target, file), JSON.stringify({ compilerOptions, include: [folder] }));
  // The compiler is the repository's; everything else resolves from the stranger's folder.
  const { diagnostics, other } = compile(consumer, join(target, file), target);
  return [...diagnostics.map(print), ...(other === "" ? [] : [other])];
}

function print({ file, line, code, text }: Diagnostic): string {
  return `${file}:${line}: ${code}: ${text}`;
}

/** The packed package loads by import and by require, from where its user stands. */
function loads(name: string): string[] {
  const programs = [
    `await import(${JSON.stringify(name)})`,
    `(await import("node:module")).createRequire(process.cwd() + "/x.js")(${JSON.stringify(name)})`,
  ];
  return programs.flatMap((program) => {
    try {
      execFileSync(process.execPath, ["--no-warnings", "--input-type=module", "--eval", program], {
        cwd: target,
        stdio: "pipe",
      });
      return [];
    } catch (error) {
      return [`${name} does not load: ${String(error)}`];
    }
  });
}
