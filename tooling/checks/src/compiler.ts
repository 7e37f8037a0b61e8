import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { isAbsolute, join, relative, resolve } from "node:path";

/** One message of the compiler; `file` is relative to the folder it ran in, `text` holds all its lines. */
export interface Diagnostic {
  readonly file: string;
  readonly line: number;
  readonly code: string;
  readonly text: string;
}

const head = /^(.+?)\((\d+),\d+\): error (TS\d+): (.*)$/;

/** Runs the TypeScript compiler of the package in `directory` on a project file, in `cwd`. */
export function compile(
  directory: string,
  project: string,
  cwd = directory,
): { readonly diagnostics: readonly Diagnostic[]; readonly other: string } {
  const resolver = createRequire(join(directory, "package.json"));
  const compiler = join(resolver.resolve("typescript/package.json"), "../bin/tsc");
  const { stdout, stderr, status, error } = spawnSync(
    process.execPath,
    [compiler, "--project", project, "--pretty", "false"],
    { cwd, encoding: "utf8", maxBuffer: 64 * 1024 * 1024 },
  );
  if (error !== undefined) throw error;
  const { diagnostics, other } = readDiagnostics(`${stdout}${stderr}`, cwd);
  const silent = status !== 0 && diagnostics.length === 0 && other === "";
  return { diagnostics, other: silent ? `tsc ended with ${String(status)} and said nothing` : other };
}

/** Reads `file(line,column): error TS1: text` with the indented lines below it. */
export function readDiagnostics(output: string, directory: string): { diagnostics: Diagnostic[]; other: string } {
  const diagnostics: Diagnostic[] = [];
  const other: string[] = [];
  for (const line of output.split("\n")) {
    const found = head.exec(line);
    const last = diagnostics.at(-1);
    if (found !== null) {
      const [, file = "", number = "", code = "", text = ""] = found;
      const path = relative(directory, isAbsolute(file) ? file : resolve(directory, file));
      diagnostics.push({ file: path, line: Number(number), code, text });
    } else if (last !== undefined && /^\s+\S/.test(line)) {
      diagnostics[diagnostics.length - 1] = { ...last, text: `${last.text}\n${line.trim()}` };
    } else if (line.trim() !== "") {
      other.push(line);
    }
  }
  return { diagnostics, other: other.join("\n") };
}
