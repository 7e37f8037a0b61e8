import { findProgram, runCommand } from "./programs.ts";

let supported: Promise<boolean> | undefined;

async function probe(): Promise<boolean> {
  if (process.platform !== "linux" || findProgram("setpriv") === undefined) return false;
  return (await runCommand(["setpriv", "--pdeathsig", "INT", "--", "true"])).ok;
}

/**
 * The command, so wrapped that the kernel sends it `signal` when our process ends in whatever way, `kill -9` included.
 *
 * Linux only (`setpriv` of util-linux); elsewhere the command stays as it is and an orphan is ended by the next start.
 * It must be the innermost wrapper, because a change of credentials clears the setting.
 */
export async function diesWithParent(command: readonly string[], signal: "INT" | "KILL"): Promise<readonly string[]> {
  supported ??= probe();
  return (await supported) ? ["setpriv", "--pdeathsig", signal, "--", ...command] : command;
}
