import { mkdir, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** A file that is empty has just been made, or its process was killed while it made it. */
const JUST_MADE_MS = 100;

/**
 * Claims a training for this process; two that share a data folder would write one file else. What a dead process has
 * claimed is free.
 *
 * @returns what gives it back, or `undefined` where another process has it.
 */
export async function claim(folder: string, id: string): Promise<(() => Promise<void>) | undefined> {
  await mkdir(folder, { recursive: true });
  const file = join(folder, `${id}.pid`);
  const own = `${process.pid} ${await beginOf(process.pid)}`;
  for (const isLast of [false, true]) {
    try {
      const opened = await open(file, "wx");
      await opened.writeFile(own);
      await opened.close();
      return () => rm(file, { force: true });
    } catch (error) {
      if (isLast || (error as NodeJS.ErrnoException).code !== "EEXIST") return undefined; // of the file system
    }
    const [pid = "", begin = ""] = (await textOf(file)).split(" ");
    if (Number(pid) !== process.pid && (await isAlive(Number(pid), begin))) return undefined;
    await rm(file, { force: true });
  }
  return undefined;
}

async function textOf(file: string): Promise<string> {
  const read = (): Promise<string> => readFile(file, "utf8").catch(() => "");
  const text = await read();
  if (text !== "") return text;
  await sleep(JUST_MADE_MS);
  return read();
}

/** When a process began, where the system says so: its number is given to others after its end. */
async function beginOf(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}

async function isAlive(pid: number, begin: string): Promise<boolean> {
  if (!isRunning(pid)) return false;
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
