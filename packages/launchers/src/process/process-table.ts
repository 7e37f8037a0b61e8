import { execFile } from "node:child_process";
import { readdir, readFile, readlink } from "node:fs/promises";
import { sep } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** One process of this machine, distinct from a later process that got the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it began: opaque text, equal only for the same process. */
  readonly startedAt: string;
}

interface LinuxStat {
  readonly name: string;
  readonly state: string;
  readonly parent: number;
  readonly startTicks: string;
}

async function linuxStat(pid: number | string): Promise<LinuxStat | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  // The program's name stands in parentheses and may hold anything; the fixed fields follow it.
  const fields = text?.slice(text.lastIndexOf(")") + 2).split(" ");
  if (fields === undefined) return undefined;
  const name = text?.slice(text.indexOf("(") + 1, text.lastIndexOf(")")) ?? "";
  return { name, state: fields[0] ?? "", parent: Number(fields[1]), startTicks: fields[19] ?? "" };
}

async function linuxStartedAt(pid: number): Promise<string | undefined> {
  const stat = await linuxStat(pid);
  if (stat === undefined || stat.state === "Z" || stat.state === "X") return undefined;
  const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => "");
  return `${boot.trim()}:${stat.startTicks}`;
}

async function otherStartedAt(pid: number): Promise<string | undefined> {
  if (process.platform === "win32") return signalReaches(pid) ? "unknown" : undefined;
  const { stdout } = await run("ps", ["-o", "lstart=", "-p", String(pid)]).catch(() => ({ stdout: "" }));
  return stdout.trim() === "" ? undefined : stdout.trim();
}

function signalReaches(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

/** When the process began, or `undefined` when no such process lives (a zombie does not). */
export function startedAt(pid: number): Promise<string | undefined> {
  return process.platform === "linux" ? linuxStartedAt(pid) : otherStartedAt(pid);
}

/** Whether exactly this process still lives. */
export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  return (await startedAt(identity.pid)) === identity.startedAt;
}

/** The process that runs this code. */
export async function ownIdentity(): Promise<ProcessIdentity> {
  return { pid: process.pid, startedAt: (await startedAt(process.pid)) ?? "unknown" };
}

async function linuxPids(): Promise<number[]> {
  const names = await readdir("/proc").catch(() => []);
  return names.filter((name) => /^\d+$/.test(name)).map(Number);
}

/** The direct children of a process. */
export async function childrenOf(pid: number): Promise<number[]> {
  if (process.platform !== "linux") return otherChildrenOf(pid);
  const found = await Promise.all(
    (await linuxPids()).map(async (child) => ((await linuxStat(child))?.parent === pid ? child : 0)),
  );
  return found.filter((child) => child !== 0);
}

async function otherChildrenOf(pid: number): Promise<number[]> {
  const { stdout } = await run("pgrep", ["-P", String(pid)]).catch(() => ({ stdout: "" }));
  return stdout.split("\n").filter(Boolean).map(Number);
}

/**
 * The processes of one of these programs whose working directory is `folder` or below it.
 * Only Linux knows; elsewhere the list is empty.
 */
export async function processesIn(folder: string, programs: readonly string[]): Promise<number[]> {
  if (process.platform !== "linux") return [];
  const found = await Promise.all(
    (await linuxPids()).map(async (pid) => {
      const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => "");
      if (cwd !== folder && !cwd.startsWith(folder + sep)) return 0;
      return programs.includes((await linuxStat(pid))?.name ?? "") ? pid : 0;
    }),
  );
  return found.filter((pid) => pid !== 0);
}

/** Sends a signal; a process that is gone already is no error. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}
