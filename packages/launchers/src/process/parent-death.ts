import { findProgram, runCommand } from "./programs.ts";

/** Runs the rest only while the process that is named first is our parent: the kernel sends nothing of an end before. */
const WHILE_PARENT_LIVES = ["/bin/sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"'];

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
  if (setpriv === undefined) return command;
  return [setpriv, "--pdeathsig", signal, "--", ...WHILE_PARENT_LIVES, String(process.pid), ...command];
}
