import { open, readdir, stat, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { describeError } from "@steward/core/driver";
import { trainingError } from "../../errors.ts";
import { ENDING, idsOf } from "../files.ts";
import { lineOf } from "../lines.ts";
import { SketchMaker, type RunSketch } from "./sketch.ts";

/** The runs of a log, as a page shows them. */
export interface RunsSeen {
  /** The 50 that were written to last, newest first. */
  readonly runs: readonly RunSketch[];
  /** Those of them that cannot be read, and why. */
  readonly unreadable: readonly { readonly run: string; readonly reason: string }[];
  /** How many there are in all. */
  readonly total: number;
  /** Whether more of them is still to be read, by the next look. */
  readonly isBehind: boolean;
}

/** Where a run is read on. */
interface Followed {
  readonly id: string;
  maker: SketchMaker;
  /** Bytes that were taken. */
  offset: number;
  lines: number;
  /** The first of these bytes, which say when it began: another file may come under its name, and have its number. */
  head: Buffer;
  /** How its file was when all of it had been taken. */
  seen: string;
  reason: string | undefined;
}

/** How a file is now. */
interface Found {
  readonly id: string;
  readonly file: number;
  readonly size: number;
  readonly changedAt: number;
}

const MOST_RUNS = 50;
/** Files that are looked at in a folder. */
const MOST_FILES = 1_000;
/** What one look reads. */
const MOST_BYTES = 4 * 1024 * 1024;
/** As many as the time in a first line needs. */
const HEAD_BYTES = 256;
const CHUNK_BYTES = 64 * 1024;
const MOST_LINE_BYTES = 1024 * 1024;

/** Follows the runs of a folder: each look reads what was written since the one before, and no more than 4 MiB. */
export class RunFollower {
  readonly #folder: string;
  readonly #isOpen: (id: string) => boolean;
  #followed = new Map<string, Followed>();

  constructor(folder: string, isOpen: (id: string) => boolean) {
    this.#folder = folder;
    this.#isOpen = isOpen;
  }

  /** How the runs are now. Call it again only once it has resolved. */
  async look(): Promise<RunsSeen> {
    const { newest, total } = await this.#newest();
    this.#followed = new Map(newest.map(({ id }) => [id, this.#followed.get(id) ?? begun(id)]));
    let left = MOST_BYTES;
    let isBehind = false;
    for (const found of newest) {
      const run = this.#followed.get(found.id);
      if (run === undefined || run.seen === markOf(found)) continue;
      if (left > 0) left -= await this.#readOn(run, found, left);
      isBehind ||= run.seen !== markOf(found);
    }
    const all = [...this.#followed.values()];
    const runs = all.flatMap(({ id, maker, reason }) =>
      reason === undefined ? (maker.sketch(this.#isOpen(id)) ?? []) : [],
    );
    const unreadable = all.flatMap(({ id, reason }) => (reason === undefined ? [] : { run: id, reason }));
    return { runs: runs.sort(byStart), unreadable, total, isBehind };
  }

  async #newest(): Promise<{ readonly newest: readonly Found[]; readonly total: number }> {
    const ids = idsOf(await readdir(this.#folder));
    const found = await Promise.all(ids.slice(-MOST_FILES).map((id) => this.#find(id)));
    const newest = found.filter((each) => each !== undefined).sort((a, b) => b.changedAt - a.changedAt);
    return { newest: newest.slice(0, MOST_RUNS), total: ids.length };
  }

  async #find(id: string): Promise<Found | undefined> {
    const file = await stat(join(this.#folder, id + ENDING)).catch(() => undefined); // it has just been removed
    if (file?.isFile() !== true) return undefined; // to open a pipe would wait for who writes into it
    return { id, file: file.ino, size: file.size, changedAt: file.mtimeMs };
  }

  /** @returns how many bytes it has taken. */
  async #readOn(run: Followed, found: Found, most: number): Promise<number> {
    let from = 0;
    try {
      const file = await open(join(this.#folder, run.id + ENDING), "r");
      try {
        // A file that is another one, was cut, or could not be read is read from its beginning.
        const head = await headOf(file);
        const isSame = run.head.equals(head.subarray(0, run.head.length));
        if (!isSame || found.size < run.offset || run.reason !== undefined) Object.assign(run, begun(run.id));
        from = run.offset;
        if (await takeFrom(file, run, most)) run.seen = markOf(found);
        run.head = head.subarray(0, run.offset);
      } finally {
        await file.close();
      }
      return run.offset - from;
    } catch (error) {
      // It stays so until it is written to.
      Object.assign(run, begun(run.id), { seen: markOf(found), reason: describeError(error) });
      return CHUNK_BYTES;
    }
  }
}

async function headOf(file: FileHandle): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
  return buffer.subarray(0, bytesRead);
}

/** @returns whether it is at the end. A torn last line is not taken. */
async function takeFrom(file: FileHandle, run: Followed, most: number): Promise<boolean> {
  let buffer = Buffer.alloc(CHUNK_BYTES);
  const end = run.offset + most;
  while (run.offset < end) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, run.offset);
    const whole = buffer.subarray(0, bytesRead).lastIndexOf(0x0a) + 1;
    take(run, buffer.toString("utf8", 0, whole));
    run.offset += whole;
    if (bytesRead < buffer.length) return true;
    if (whole > 0) continue;
    if (buffer.length >= MOST_LINE_BYTES)
      throw trainingError("RUN_LOG_INVALID", `run ${run.id}: line ${run.lines + 1} is longer than 1 MiB`);
    buffer = Buffer.alloc(buffer.length * 2);
  }
  return false;
}

/** Differs where a file does. */
function markOf({ file, size, changedAt }: Found): string {
  return `${file} ${size} ${changedAt}`;
}

function begun(id: string): Followed {
  return { id, maker: new SketchMaker(id), offset: 0, lines: 0, head: Buffer.alloc(0), seen: "", reason: undefined };
}

function take(run: Followed, text: string): void {
  for (const line of text.split("\n").slice(0, -1)) {
    run.lines += 1;
    if (!run.maker.take(lineOf(run.id, line, run.lines)))
      throw trainingError("RUN_LOG_INVALID", `run ${run.id}: line ${run.lines} is out of place`);
  }
}

function byStart(a: RunSketch, b: RunSketch): number {
  return b.startedAt > a.startedAt ? 1 : b.startedAt < a.startedAt ? -1 : 0;
}
