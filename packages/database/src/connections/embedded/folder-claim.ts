import { randomUUID } from "node:crypto";
import { link, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { StewardError } from "@steward/core";

const TRIES = 3;

/**
 * Claims the folder of an embedded Postgres for this process, by a file beside it: of two processes each would overwrite
 * the rows of the other. What a dead process has claimed is free. Where no such file can be made, nothing is claimed.
 *
 * @returns what gives it back.
 * @throws {DATABASE_CONNECT_FAILED} when another process has it.
 */
export async function claimFolder(name: string, dataDir: string): Promise<() => Promise<void>> {
  const file = `${resolve(dataDir)}.pid`;
  const draft = `${file}.${randomUUID()}`;
  const own = `${process.pid} ${await beginOf(process.pid)}`;
  let holder: string | undefined;
  try {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(draft, own, { mode: 0o644 });
    holder = await placed(draft, file, own);
  } catch {
    return async () => {}; // of the file system
  } finally {
    await rm(draft, { force: true }).catch(() => {});
  }
  if (holder === undefined) return () => rm(file, { force: true });
  const message = `${name}: the files in ${dataDir} are in use by process ${holder}, and of two each would overwrite the rows of the other; end it, or give a url or another dataDir (it is none of yours: remove ${file})`;
  throw new StewardError("DATABASE_CONNECT_FAILED", message, { resource: name });
}

/** Puts the file into its place, whole. @returns the process that was there before, if it is another that lives. */
async function placed(draft: string, file: string, own: string): Promise<string | undefined> {
  let text = "";
  for (let i = 0; i < TRIES; i++) {
    try {
      await link(draft, file);
      return undefined;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error; // of the file system
    }
    text = await readFile(file, "utf8").catch(() => "");
    if (text === own) return undefined;
    if (await isAlive(text)) break;
    await takeAway(file, text);
  }
  return text.split(" ")[0];
}

/** Takes the claim of a dead process away. Where another process was quicker and has made its own, that is put back. */
async function takeAway(file: string, text: string): Promise<void> {
  const aside = `${file}.${randomUUID()}`;
  try {
    await rename(file, aside);
    if ((await readFile(aside, "utf8")) === text) await rm(aside);
    else await rename(aside, file);
  } catch {
    // it has gone meanwhile
  }
}

/** When a process began, where the system says so: its number is given to others after its end. */
async function beginOf(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}

async function isAlive(text: string): Promise<boolean> {
  const [pid = "", begin = ""] = text.split(" ");
  if (!isRunning(Number(pid))) return false;
  const now = begin === "" ? "" : await beginOf(Number(pid));
  return now === "" || now === begin;
}

function isRunning(pid: number): boolean {
  try {
    return pid > 0 && process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // it belongs to somebody else
  }
}
