import { randomBytes } from "node:crypto";
import { open, readdir, readFile, rm, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import type { Clock, StewardError } from "@steward/core";
import { anything, assertShape, shape, text, wholeNumber, type Shape } from "@steward/core/driver";
import { runWriteFailed, trainingError } from "../errors.ts";
import { ENDING, idsOf, RUN_ID, syncFolder } from "./files.ts";
import { RunFollower } from "./follow/follower.ts";
import { recordOf, textOf, wholeLines, type RunFacts, type RunRecord } from "./lines.ts";
import { Run } from "./run.ts";

/** What a run begins with. */
export interface RunOptions extends RunFacts {
  /** Names the file: a-z, 0-9, `-`, `_` and `.`, up to 80. Default: the time, and a part by chance. */
  readonly id?: string | undefined;
}

const runShape: Shape<RunOptions> = /* @__PURE__ */ shape<RunOptions>(() => ({
  id: text(),
  model: text(),
  seed: wholeNumber(0),
  config: anything(),
}));

/** What a log needs of its manager. */
export interface RunLogParts {
  readonly resource: string;
  readonly folder: string;
  readonly clock: Clock;
  readonly refusal: () => StewardError | undefined;
}

/** Runs of trainings in a folder: one file of JSON lines each, only ever appended to. */
export class RunLog {
  readonly #parts: RunLogParts;
  readonly #open = new Map<string, Run | undefined>();
  #lines = 0;
  #bytes = 0;

  constructor(parts: RunLogParts) {
    this.#parts = parts;
  }

  /** Numbers since the process began. */
  get counts(): { readonly open: number; readonly lines: number; readonly bytes: number } {
    return { open: this.#open.size, lines: this.#lines, bytes: this.#bytes };
  }

  /**
   * Begins a run.
   *
   * @throws {RUN_ID_INVALID} when the id is no name of a file, or in use.
   * @throws {RUN_LOG_WRITE_FAILED} when the file cannot be written.
   */
  async start(options: RunOptions = {}): Promise<Run> {
    this.#refuse();
    assertShape(this.#parts.resource, runShape, options);
    const { id = this.#newId(), ...facts } = options;
    const at = new Date(this.#parts.clock.wallNow()).toISOString();
    const line = textOf({ type: "start", run: id, at, ...facts });
    const begin = async (file: FileHandle): Promise<void> => {
      await file.appendFile(line);
      await file.sync();
      await syncFolder(this.#parts.folder);
      this.#count(Buffer.byteLength(line));
    };
    return this.#opened(id, () => this.#prepared(id, "ax", begin));
  }

  /**
   * Goes on with a run that was killed, stopped or failed, after `step`. A torn last line is cut off.
   *
   * @throws {RUN_UNKNOWN} when there is none with this id.
   * @throws {RUN_ENDED} when it is open, or has finished.
   * @throws {RUN_LOG_INVALID} when its file cannot be read.
   * @throws {RUN_LOG_WRITE_FAILED} when it cannot be written.
   */
  async resume(id: string, step: number): Promise<Run> {
    this.#refuse();
    const run = await this.#opened(id, async () => {
      const bytes = await this.#bytesOf(id);
      if (recordOf(id, bytes).status === "finished") throw this.#ended(id, "has finished");
      return this.#prepared(id, "a", (file) => file.truncate(wholeLines(bytes)));
    });
    try {
      await run.resumed(step);
      return run;
    } catch (error) {
      await run.leave().catch(() => {}); // the first error says why
      throw error;
    }
  }

  /**
   * Reads a run, also one that is being written, or was killed.
   *
   * @throws {RUN_UNKNOWN} when there is none with this id.
   * @throws {RUN_LOG_INVALID} when a line before the last one cannot be read.
   */
  async read(id: string): Promise<RunRecord> {
    return recordOf(id, await this.#bytesOf(id));
  }

  /** The ids of all runs, in alphabetical order, which is that of time for ids made here. */
  async list(): Promise<readonly string[]> {
    return idsOf(await readdir(this.#parts.folder));
  }

  /**
   * Follows all runs, those that other processes write too: each `look` says how they are, and reads no more than what is
   * new. A dashboard draws them: `dashboard({ runs: () => running.get(runs) })`. What it knows goes with it; there is
   * nothing to close.
   */
  follow(): RunFollower {
    return new RunFollower(this.#parts.folder, (id) => this.#open.has(id));
  }

  /**
   * Deletes what is known of a run that no one writes.
   *
   * @throws {RUN_UNKNOWN} when there is none with this id.
   * @throws {RUN_ENDED} when it is being written here.
   * @throws {RUN_LOG_WRITE_FAILED} when its file cannot be deleted.
   */
  async remove(id: string): Promise<void> {
    this.#refuse();
    if (this.#open.has(id)) throw this.#ended(id, "is being written");
    const { resource, folder } = this.#parts;
    if (!RUN_ID.test(id)) throw this.#unknown(id);
    await rm(join(folder, id + ENDING)).catch((cause: unknown) => {
      throw isCode(cause, "ENOENT") ? this.#unknown(id) : runWriteFailed(resource, id, cause);
    });
  }

  /** Closes what is open without an end, on the disk. */
  async leaveAll(): Promise<void> {
    await Promise.all([...this.#open.values()].map((run) => run?.leave()));
  }

  async #opened(id: string, make: () => Promise<FileHandle>): Promise<Run> {
    if (!RUN_ID.test(id)) throw this.#invalid(id, "has other characters than a-z, 0-9, -, _ and ., or is too long");
    if (this.#open.has(id)) throw this.#ended(id, "is being written");
    this.#open.set(id, undefined);
    const onEnd = (): void => void this.#open.delete(id);
    try {
      const { resource, clock } = this.#parts;
      const run = new Run({ resource, clock, id, file: await make(), onLine: (bytes) => this.#count(bytes), onEnd });
      this.#open.set(id, run);
      return run;
    } catch (error) {
      onEnd();
      throw error;
    }
  }

  /** A file that cannot be made ready stays neither open nor, where it is new, in the folder. */
  async #prepared(id: string, flags: "a" | "ax", prepare: (file: FileHandle) => Promise<void>): Promise<FileHandle> {
    const { resource, folder } = this.#parts;
    const file = await this.#openFile(id, flags);
    try {
      await prepare(file);
      return file;
    } catch (cause) {
      await file.close().catch(() => {});
      if (flags === "ax") await rm(join(folder, id + ENDING), { force: true }).catch(() => {});
      throw runWriteFailed(resource, id, cause);
    }
  }

  async #openFile(id: string, flags: string): Promise<FileHandle> {
    try {
      return await open(join(this.#parts.folder, id + ENDING), flags, 0o644);
    } catch (cause) {
      if (isCode(cause, "EEXIST")) throw this.#invalid(id, "exists already");
      throw runWriteFailed(this.#parts.resource, id, cause);
    }
  }

  async #bytesOf(id: string): Promise<Buffer> {
    if (!RUN_ID.test(id)) throw this.#unknown(id);
    return readFile(join(this.#parts.folder, id + ENDING)).catch((error: unknown) => {
      throw isCode(error, "ENOENT") ? this.#unknown(id) : error;
    });
  }

  #unknown(id: string): StewardError {
    const { resource } = this.#parts;
    return trainingError("RUN_UNKNOWN", `${resource}: there is no run "${id}"`, { resource });
  }

  #newId(): string {
    const time = new Date(this.#parts.clock.wallNow())
      .toISOString()
      .toLowerCase()
      .replace(/[-:]|\.\d+/g, "");
    return `${time}-${randomBytes(4).toString("hex")}`;
  }

  #count(bytes: number): void {
    this.#lines += 1;
    this.#bytes += bytes;
  }

  #refuse(): void {
    const refusal = this.#parts.refusal();
    if (refusal !== undefined) throw refusal;
  }

  #ended(id: string, why: string): StewardError {
    const { resource } = this.#parts;
    return trainingError("RUN_ENDED", `${resource}: the run ${id} ${why}`, { resource });
  }

  #invalid(id: string, why: string): StewardError {
    const { resource } = this.#parts;
    return trainingError("RUN_ID_INVALID", `${resource}: the id ${JSON.stringify(id)} ${why}`, { resource });
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
