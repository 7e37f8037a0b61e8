import { execFile } from "node:child_process";
import { join } from "node:path";
import { OUTCOME, type Outcome } from "./programs.ts";

/**
 * Runs programs in one process, one by one: the packages that they import are loaded once. One that ends the process,
 * or leaves something open that keeps it alive, is a failure.
 */
export function runTogether(
  files: readonly string[],
  { cwd, env, timeoutMs }: { readonly cwd: string; readonly env: NodeJS.ProcessEnv; readonly timeoutMs: number },
): Promise<Outcome[]> {
  if (files.length === 0) return Promise.resolve([]);
  const child = join(import.meta.dirname, "one-by-one.js");
  return new Promise((resolve) => {
    const options = { cwd, env: { ...process.env, ...env }, timeout: timeoutMs, maxBuffer: 64 * 1024 * 1024 };
    execFile(process.execPath, [child, ...files], options, (error, stdout, stderr) => {
      const outcomes: Outcome[] = stdout
        .split("\n")
        .filter((line) => line.startsWith(OUTCOME))
        .map((line) => JSON.parse(line.slice(OUTCOME.length)) as Outcome); // written by one-by-one.ts
      if (error !== null) {
        const why = error.killed === true ? `did not end within ${timeoutMs} ms` : `ended with ${String(error.code)}`;
        // After all of them have run, it is something that one of them left open.
        if (outcomes.length === files.length) outcomes.pop();
        outcomes.push({ failure: `the process of all programs ${why}, in this one or the last`, output: stderr });
      }
      resolve(outcomes);
    });
  });
}
