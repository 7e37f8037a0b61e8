import { execFile } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";

/** The full path of a program on PATH, or in one of the folders `beside` it, or `undefined`. */
export function findProgram(name: string, beside: readonly string[] = []): string | undefined {
  for (const folder of (process.env["PATH"] ?? "").split(delimiter).concat(beside)) {
    const path = join(folder, name);
    if (folder !== "" && isExecutable(path)) return path;
  }
  return undefined;
}

/** Whether a path is a file that we may run. */
export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** What a finished command left behind. */
export interface CommandOutcome {
  readonly ok: boolean;
  /** Standard output and error, trimmed. */
  readonly text: string;
}

/** How a command is run. */
export interface CommandOptions {
  readonly cwd?: string;
  readonly input?: string;
  readonly signal?: AbortSignal | undefined;
}

/** Runs a command to its end; failing is an outcome, an abort ends the command and then rejects. */
export function runCommand(command: readonly string[], options: CommandOptions = {}): Promise<CommandOutcome> {
  const { cwd, input, signal } = options;
  const [program = "", ...args] = command;
  return new Promise((resolve, reject) => {
    const child = execFile(
      program,
      args,
      { env: serverEnvironment(), maxBuffer: 1 << 24, ...(cwd && { cwd }) },
      (error, stdout, stderr) => {
        signal?.removeEventListener("abort", end);
        if (signal?.aborted === true) return reject(signal.reason);
        const said = `${stdout}${stderr}`.trim();
        resolve({ ok: error === null, text: said === "" ? (error?.message ?? "") : said });
      },
    );
    // Not the signal option of execFile: it rejects while the command still runs.
    const end = (): void => void child.kill();
    if (signal?.aborted === true) end();
    signal?.addEventListener("abort", end, { once: true });
    // A command that does not read its input closes the pipe early.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input ?? "");
  });
}

/** Our environment without what would change a server's behaviour or language. */
export function serverEnvironment(): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !/^(PG|LC_)/.test(name));
  return { ...Object.fromEntries(own), LC_ALL: "C" };
}
