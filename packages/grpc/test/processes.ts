import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** A program of ours in a process of its own. */
export interface Program extends AsyncDisposable {
  readonly child: ChildProcess;
  /** The first line it wrote. */
  readonly said: string;
  /** Further lines, when it has ended. */
  readonly rest: Promise<string[]>;
  readonly exit: Promise<number | null>;
}

/** Starts `test/programs/<name>` and waits for its first line. */
export async function startProgram(name: string, ...args: readonly string[]): Promise<Program> {
  const file = join(import.meta.dirname, "programs", `${name}.js`);
  const child = spawn(process.execPath, [file, ...args], { stdio: ["pipe", "pipe", "inherit"] });
  const exit = once(child, "exit").then(([code]) => code as number | null); // of a child process
  const lines = createInterface({ input: child.stdout });
  const [said] = (await once(lines, "line")) as [string]; // of a readline interface
  const more: string[] = [];
  lines.on("line", (line) => more.push(line));
  return {
    child,
    said,
    exit,
    rest: exit.then(() => more),
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await exit;
    },
  };
}
