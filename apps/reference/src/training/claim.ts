import { randomUUID } from "node:crypto";
import { link, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

/**
 * Claims a training for this process; two that share a data folder would write one file else. What a dead process has
 * claimed is free: its file stays, and the next one has the number after it, so that of those who find it dead one gets it.
 *
 * @returns what gives it back, or `undefined` where another process has it.
 */
export async function claim(folder: string, id: string): Promise<(() => Promise<void>) | undefined> {
  await mkdir(folder, { recursive: true });
  const own = join(folder, `.${randomUUID()}`);
  await writeFile(own, `${process.pid} ${await beginOf(process.pid)}`);
  try {
    for (let dead = 0; ;) {
      const file = join(folder, `${id}.${dead}.pid`);
      if (await isLinked(own, file)) return () => rm(file, { force: true });
      const holder = await holderOf(file);
      if (holder === undefined) continue; // it has just been given back
      if (await isAlive(holder)) return undefined;
      dead++;
    }
  } finally {
    await rm(own, { force: true });
  }
}

/** Removes what dead processes have left of a training that is over. */
export async function forgetClaims(folder: string, id: string): Promise<void> {
  const names = await readdir(folder);
  const left = names.filter((name) => name.startsWith(`${id}.`) && name.endsWith(".pid"));
  await Promise.all(left.map((name) => rm(join(folder, name), { force: true })));
}

/** Gives a file, with what is in it, another name, unless that is taken. */
async function isLinked(file: string, name: string): Promise<boolean> {
  try {
    await link(file, name);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false; // of the file system
    throw error;
  }
}

/** The number of a process, and when it began. */
interface Holder {
  readonly pid: number;
  readonly begin: string;
}

async function holderOf(file: string): Promise<Holder | undefined> {
  try {
    const [pid = "", begin = ""] = (await readFile(file, "utf8")).split(" ");
    return { pid: Number(pid), begin };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined; // of the file system
    throw error;
  }
}

/** When a process began, where the system says so: its number is given to others after its end. */
async function beginOf(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}

/** Whether another process has it: this one has given back what it had. */
async function isAlive({ pid, begin }: Holder): Promise<boolean> {
  if (pid === process.pid || !isRunning(pid)) return false;
  const now = begin === "" ? "" : await beginOf(pid);
  return now === "" || now === begin;
}

function isRunning(pid: number): boolean {
  try {
    return pid > 0 && process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // it belongs to somebody else
  }
}
