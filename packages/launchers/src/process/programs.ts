import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { sendSignal } from "./process-table.ts";

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

/**
 * Runs a command to its end; failing is an outcome, an abort ends the command and then rejects. It has a session of its
 * own: the Ctrl-C of a terminal reaches us, and we end it.
 */
export async function runCommand(
  command: readonly string[],
  { cwd, input = "", signal }: CommandOptions = {},
): Promise<CommandOutcome> {
  const [program = "", ...args] = command;
  signal?.throwIfAborted();
  const child: ChildProcess = spawn(program, args, { cwd, env: serverEnvironment(), detached: true });
  const end = (): void => {
    if (child.pid !== undefined) sendSignal(-child.pid, "SIGTERM");
  };
  signal?.addEventListener("abort", end, { once: true });
  // A command that does not read its input closes the pipe early.
  child.stdin?.on("error", () => undefined).end(input);
  const said: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding("utf8").on("data", (text: string) => said.push(text));
  const failed = await new Promise<string | undefined>((resolve) => {
    child.once("error", ({ message }) => resolve(message));
    child.once("close", (code, by) =>
      resolve(code === 0 ? undefined : `${program} ended with ${by ?? `code ${code}`}`),
    );
  });
  signal?.removeEventListener("abort", end);
  signal?.throwIfAborted();
  return { ok: failed === undefined, text: said.join("").trim() || (failed ?? "") };
}

/** Our environment without what would change a server's behaviour or language. */
export function serverEnvironment(): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !/^(PG|LC_)/.test(name));
  return { ...Object.fromEntries(own), LC_ALL: "C" };
}
