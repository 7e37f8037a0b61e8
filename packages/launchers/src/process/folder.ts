import { lstat, mkdir, mkdtemp, readdir, realpath, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { ownerOf } from "./ownership.ts";
import { processesIn, sendSignal } from "./process-table.ts";

/** Where one server keeps its files. */
export interface ServerFolder {
  /** Absolute, without symbolic links. */
  readonly path: string;
  /** True when it is removed at stop. */
  readonly temporary: boolean;
}

const PROGRAMS = ["postgres", "initdb", "pgbouncer", "redis-server", "valkey-server"];

/** A temporary folder without an owner for as long will get none: who has made it was killed before it was theirs. */
const UNOWNED_MS = 60_000;

/** A given folder (made if missing, mode 0700), or a temporary one. */
export async function openFolder(kind: string, given?: string): Promise<ServerFolder> {
  if (given !== undefined) {
    await mkdir(resolve(given), { recursive: true, mode: 0o700 });
    return { path: await realpath(given), temporary: false };
  }
  await removeAbandoned(kind);
  const path = await realpath(await mkdtemp(join(tmpdir(), `steward-${kind}-`)));
  return { path, temporary: true };
}

/** Removes a folder; a dying server may still be writing into it, hence the retries. */
export async function removeFolder(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
}

/** Removes the temporary folders of processes that were killed, with whatever server still runs in them. */
async function removeAbandoned(kind: string): Promise<void> {
  const names = await readdir(tmpdir()).catch(() => []);
  const ours = names.filter((name) => name.startsWith(`steward-${kind}-`));
  await Promise.all(ours.map((name) => removeIfAbandoned(join(tmpdir(), name)).catch(() => undefined)));
}

async function removeIfAbandoned(path: string): Promise<void> {
  const entry = await lstat(path);
  if (!entry.isDirectory() || entry.uid !== process.getuid?.()) return;
  const owner = await ownerOf(path);
  const isOrphaned = owner === "dead" || (owner === "free" && Date.now() - entry.mtimeMs > UNOWNED_MS);
  if (!isOrphaned) return;
  for (const pid of await processesIn(path, PROGRAMS)) sendSignal(pid, "SIGKILL");
  await removeFolder(path);
}

/** Whether a path exists. */
export async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
