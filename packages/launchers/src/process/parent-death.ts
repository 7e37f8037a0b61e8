import { findProgram, runCommand } from "./programs.ts";

let wrapper: Promise<string | undefined> | undefined;

async function findWrapper(): Promise<string | undefined> {
  const setpriv = process.platform === "linux" ? findProgram("setpriv") : undefined;
  if (setpriv === undefined) return undefined;
  return (await runCommand([setpriv, "--pdeathsig", "INT", "--", "true"])).ok ? setpriv : undefined;
}

/**
 * The command, so wrapped that the kernel sends it `signal` when our process ends in whatever way, `kill -9` included.
 *
 * Linux only (`setpriv` of util-linux); elsewhere the command stays as it is and an orphan is ended by the next start.
 * It must be the innermost wrapper, because a change of credentials clears the setting. The kernel means the thread
 * that starts the server: started from a worker, it ends with that worker.
 */
export async function diesWithParent(command: readonly string[], signal: "INT" | "KILL"): Promise<readonly string[]> {
  wrapper ??= findWrapper();
  const setpriv = await wrapper;
  return setpriv === undefined ? command : [setpriv, "--pdeathsig", signal, "--", ...command];
}
