// Compiles and runs the programs of a package's README and of its @example comments, as a reader would.
// Other texts are named as arguments, files or folders. Programs run in one process, one by one, and those that fail there
// once more in processes of their own, which counts; with --each all of them do.
// With --in NAME it takes the programs that are marked `in=NAME`, and else those without such a mark.
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { parseArgs } from "node:util";
import { compile } from "../compiler.ts";
import { pathOf, writtenFiles } from "./folders.ts";
import { examplesOf, programsOf, type Outcome, type Program } from "./programs.ts";
import { startServers } from "./servers.ts";
import { textsIn } from "./texts.ts";
import { runTogether } from "./together.ts";

const timeoutMs = 120_000;
const directory = process.cwd();
const work = join(directory, ".readme");
const { values, positionals: named } = parseArgs({
  options: { each: { type: "boolean", default: false }, in: { type: "string" } },
  allowPositionals: true,
});
const programs = [...fromTexts(), ...fromSources()].filter(({ inside }) => inside === values.in);
const entry = join(directory, "src/index.ts"); // an app has none
// Databases of programs begin as copies, as those of tests do.
process.env["STEWARD_POSTGRES_TEMPLATES"] ??= join(import.meta.dirname, "../../../tap/.data/postgres");
const stub = existsSync(entry) && !/\bfrom\b/.test(readFileSync(entry, "utf8"));

if (stub) {
  console.log("readme: the package is a stub, nothing to run");
} else if (programs.length === 0) {
  console.error("readme: README.md shows no program (a block of ```ts that runs as it stands)");
  process.exitCode = 1;
} else {
  const failures = await runAll();
  for (const failure of failures) console.error(failure);
  const ran = programs.filter((p) => p.runs).length;
  console.log(`readme: ${programs.length} programs compile, ${ran} of them run, ${failures.length} fail`);
  process.exitCode = failures.length === 0 ? 0 : 1;
}

function fromTexts(): Program[] {
  const texts = textsIn(directory, named.length > 0 ? named : ["README.md"]);
  return texts.flatMap((file) => programsOf(readFileSync(join(directory, file), "utf8"), file));
}

function fromSources(): Program[] {
  const sources = join(directory, "src");
  const names = existsSync(sources) ? readdirSync(sources, { recursive: true, encoding: "utf8" }) : [];
  return names
    .filter((n) => n.endsWith(".ts"))
    .sort()
    .flatMap((n) => examplesOf(readFileSync(join(directory, "src", n), "utf8"), `src/${n}`));
}

async function runAll(): Promise<string[]> {
  write();
  const compiled = compile(directory, relative(directory, join(work, "tsconfig.json")));
  const wrong = compiled.diagnostics.map((d) => `${placeIn(d.file, d.line)}: ${d.code}: ${d.text}`);
  if (compiled.other !== "") wrong.push(compiled.other);
  if (wrong.length > 0) return wrong;
  await using servers = await startServers(new Set(programs.flatMap((p) => p.needs)));
  const runnable = programs
    .filter(({ runs, needs }) => runs && !needs.some((need) => servers.missing.has(need)))
    .map((program) => ({ program, file: join(work, "out", pathOf(programs, program).replace(/ts$/, "js")) }));
  if (values.each) return await eachAlone(runnable, servers.env); // before the servers end
  const shared = runnable.filter(({ program }) => !program.alone);
  const outcomes = await runTogether(
    shared.map(({ file }) => file),
    { cwd: directory, env: servers.env, timeoutMs },
  );
  const isRight = new Set(
    shared.flatMap(({ program }, i) => {
      const outcome = outcomes[i];
      return outcome !== undefined && judge(program, outcome).length === 0 ? [program] : [];
    }),
  );
  const rest = runnable.filter(({ program }) => !isRight.has(program));
  return await eachAlone(rest, servers.env);
}

async function eachAlone(
  runnable: readonly { readonly program: Program; readonly file: string }[],
  env: NodeJS.ProcessEnv,
): Promise<string[]> {
  const failures: string[] = [];
  for (const { program, file } of runnable) failures.push(...judge(program, await execute(file, env)));
  return failures;
}

function write(): void {
  rmSync(work, { recursive: true, force: true });
  for (const [path, code] of writtenFiles(programs)) {
    mkdirSync(dirname(join(work, path)), { recursive: true });
    writeFileSync(join(work, path), `${code}\nexport {};\n`);
  }
  const compilerOptions = {
    rootDir: ".",
    outDir: "out",
    noUnusedLocals: false,
    noUnusedParameters: false,
    sourceMap: false,
  };
  const own = join(directory, "tsconfig.test.json"); // decorators are an option of the compiler's, say
  const project = {
    extends: existsSync(own) ? "../tsconfig.test.json" : "../../../tooling/typescript/test.json",
    compilerOptions,
    include: ["./*/*.ts"],
    exclude: ["./out"],
  };
  writeFileSync(join(work, "tsconfig.json"), JSON.stringify(project));
}

/** A line of a written program, as a line of the text it stands in. */
function placeIn(file: string, line: number): string {
  const at = programs.find((program) => file.endsWith(`.readme/${pathOf(programs, program)}`))?.at.split(":");
  return at === undefined ? `${file}:${line}` : `${at[0] ?? ""}:${Number(at[1]) + line}`;
}

function execute(file: string, env: NodeJS.ProcessEnv): Promise<Outcome> {
  return new Promise((resolve) => {
    const options = { cwd: directory, env: { ...process.env, ...env }, timeout: timeoutMs };
    execFile(process.execPath, [file], options, (error, stdout, stderr) => {
      if (error === null) return resolve({ failure: undefined, output: stdout });
      const why = error.killed === true ? `did not end within ${timeoutMs} ms` : `ended with ${String(error.code)}`;
      return resolve({ failure: why, output: `${stdout}${stderr}` });
    });
  });
}

function judge(program: Program, { failure, output }: Outcome): string[] {
  if (failure !== undefined) return [`${program.at}: ${failure}\n${output}`];
  const printed = output.trimEnd().split("\n");
  if (program.prints.length === 0 || printed.join("\n") === program.prints.join("\n")) return [];
  return [`${program.at}: says it prints\n  ${program.prints.join("\n  ")}\nand printed\n  ${printed.join("\n  ")}`];
}
