import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { freemem, tmpdir } from "node:os";
import { join } from "node:path";

/** Memory that Linux shows as a folder: a copy of a Postgres cluster, a thousand files, took 0.7 CPU s on a disk, 0.05 here. */
const MEMORY = "/dev/shm";
/** What must be free there, in bytes: eight processes at once took less than one. */
const ENOUGH = 4 * 2 ** 30;

/** Makes the folder for the temporary files of a run, which goes with all that is in it. */
export function makeTemporary() {
  const inMemory = hasMemory() ? make(MEMORY) : undefined;
  const folder = inMemory !== undefined && runs(inMemory) ? inMemory : make(tmpdir());
  if (inMemory !== undefined && inMemory !== folder) removed(inMemory);
  return { folder, remove: () => removed(folder) };
}

function hasMemory() {
  if (!existsSync(MEMORY)) return false;
  const { bavail, bsize } = statfsSync(MEMORY);
  return Math.min(bavail * bsize, freemem()) > ENOUGH;
}

/** As open as the machine's own, and named by its process: what a killed run has left goes with the next one. */
function make(parent) {
  for (const name of readdirSync(parent)) {
    const [, pid] = /^steward-(\d+)-/.exec(name) ?? [];
    if (pid !== undefined && !isAlive(Number(pid))) removed(join(parent, name));
  }
  const folder = mkdtempSync(join(parent, `steward-${process.pid}-`));
  chmodSync(folder, 0o1777);
  return folder;
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

/** Whether programs may lie there, which tests write too. */
function runs(folder) {
  const program = join(folder, "program");
  writeFileSync(program, "#!/bin/sh\n", { mode: 0o755 });
  const { status } = spawnSync(program);
  rmSync(program);
  return status === 0;
}

/** A dying server may still write into it. */
function removed(folder) {
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
}
