import { mkdir, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";

/**
 * Claims a training for this process; two that share a data folder would write one file else. What a dead process has
 * claimed is free.
 *
 * @returns what gives it back, or `undefined` where another process has it.
 */
export async function claim(folder: string, id: string): Promise<(() => Promise<void>) | undefined> {
  await mkdir(folder, { recursive: true });
  const file = join(folder, `${id}.pid`);
  for (const isLast of [false, true]) {
    try {
      const opened = await open(file, "wx");
      await opened.writeFile(String(process.pid));
      await opened.close();
      return () => rm(file, { force: true });
    } catch (error) {
      if (isLast || (error as NodeJS.ErrnoException).code !== "EEXIST") return undefined; // of the file system
    }
    const pid = Number(await readFile(file, "utf8").catch(() => ""));
    if (pid !== process.pid && isAlive(pid)) return undefined;
    await rm(file, { force: true });
  }
  return undefined;
}

function isAlive(pid: number): boolean {
  try {
    return pid > 0 && process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // it belongs to somebody else
  }
}
