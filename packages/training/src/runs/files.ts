import { open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";

/** Writes a file so that it is there as a whole or not at all, also after a kill or a loss of power. */
export async function writeWhole(path: string, parts: readonly Uint8Array[]): Promise<void> {
  const temporary = join(dirname(path), `.${process.pid}-${Date.now().toString(36)}.tmp`);
  try {
    const file = await open(temporary, "wx");
    try {
      for (const part of parts) await file.writeFile(part);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Makes names in a folder last. Not every file system can do that for a folder. */
export async function syncFolder(folder: string): Promise<void> {
  const opened = await open(folder, "r").catch(() => undefined);
  await opened?.sync().catch(() => {});
  await opened?.close();
}

/** What the id of a run is made of; it names a file. */
export const RUN_ID: RegExp = /^[a-z0-9][a-z0-9._-]{0,79}$/;
/** The end of the name of a run's file. */
export const ENDING = ".jsonl";

/** The ids of runs whose files are among these names, in alphabetical order. */
export function idsOf(names: readonly string[]): string[] {
  const ids = names.filter((name) => name.endsWith(ENDING)).map((name) => name.slice(0, -ENDING.length));
  return ids.filter((id) => RUN_ID.test(id)).sort();
}
