// Compiles and runs the programs of a package's README and of its @example comments, as a reader would.
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { compile } from "../compiler.ts";
import { examplesOf, programsOf, type Program } from "./programs.ts";
import { startServers } from "./servers.ts";

const timeoutMs = 120_000;
const directory = process.cwd();
const work = join(directory, ".readme");
const programs = [...fromTexts(), ...fromSources()];
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
  const texts = process.argv.length > 2 ? process.argv.slice(2) : ["README.md"];
  return texts
    .filter((file) => existsSync(join(directory, file)))
    .flatMap((file) => programsOf(readFileSync(join(directory, file), "utf8"), file));
}

function fromSources(): Program[] {
  const names = readdirSync(join(directory, "src"), { recursive: true, encoding: "utf8" });
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
  const failures: string[] = [];
  for (const [index, program] of programs.entries()) {
    if (!program.runs || program.needs.some((need) => servers.missing.has(need))) continue;
    failures.push(...(await execute(program, join(work, "out", `program-${index}.js`), servers.env)));
  }
  return failures;
}

function write(): void {
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work);
  for (const [index, { code }] of programs.entries())
    writeFileSync(join(work, `program-${index}.ts`), `${code}\nexport {};\n`);
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
    include: ["./*.ts"],
    exclude: [],
  };
  writeFileSync(join(work, "tsconfig.json"), JSON.stringify(project));
}

/** A line of a written program, as a line of the text it stands in. */
function placeIn(file: string, line: number): string {
  const index = Number(/program-(\d+)\.ts$/.exec(file)?.[1]);
  const at = programs[index]?.at.split(":");
  return at === undefined ? `${file}:${line}` : `${at[0] ?? ""}:${Number(at[1]) + line}`;
}

function execute(program: Program, file: string, env: NodeJS.ProcessEnv): Promise<string[]> {
  return new Promise((resolve) => {
    const options = { cwd: directory, env: { ...process.env, ...env }, timeout: timeoutMs };
    execFile(process.execPath, [file], options, (error, stdout, stderr) => {
      if (error !== null) {
        const why = error.killed === true ? `did not end within ${timeoutMs} ms` : `ended with ${String(error.code)}`;
        resolve([`${program.at}: ${why}\n${stdout}${stderr}`]);
        return;
      }
      const printed = stdout.trimEnd().split("\n");
      const same = program.prints.length === 0 || printed.join("\n") === program.prints.join("\n");
      resolve(
        same
          ? []
          : [`${program.at}: says it prints\n  ${program.prints.join("\n  ")}\nand printed\n  ${printed.join("\n  ")}`],
      );
    });
  });
}
