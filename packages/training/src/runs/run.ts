import type { FileHandle } from "node:fs/promises";
import { isStewardError, type Clock, type StewardError } from "@steward/core";
import { describeError } from "@steward/core/driver";
import { runWriteFailed, trainingError } from "../errors.ts";
import { textOf, type Metrics, type RunLine } from "./lines.ts";

/** What a run needs of its log. */
export interface RunParts {
  readonly resource: string;
  readonly id: string;
  readonly file: FileHandle;
  readonly clock: Clock;
  readonly onLine: (bytes: number) => void;
  readonly onEnd: () => void;
}

/** One training run, being written. Each method may be handed on by itself, as `onStep: run.step`. */
export class Run implements AsyncDisposable {
  /** Names its file. */
  readonly id: string;
  readonly #parts: RunParts;
  #writing: Promise<unknown> = Promise.resolve();
  #isEnded = false;
  /** Bytes of whole lines; `undefined` before the first write. */
  #size: number | undefined;
  #isTorn = false;

  constructor(parts: RunParts) {
    this.id = parts.id;
    this.#parts = parts;
  }

  /**
   * Notes a step. It resolves when the line is with the system, where the kill of this process does not reach it.
   *
   * @throws {RUN_ENDED} after the end.
   * @throws {RUN_LOG_WRITE_FAILED} when the disk is full or gone.
   */
  readonly step = async (step: number, metrics: Metrics): Promise<void> =>
    this.#write({ type: "step", at: this.#now(), step, metrics });

  /** Notes that a checkpoint was saved after a step. @throws as {@link step}. */
  readonly checkpoint = (step: number): Promise<void> => this.#write({ type: "checkpoint", at: this.#now(), step });

  /** Notes that it goes on after `step`: what was noted of later steps no longer counts. */
  resumed(step: number): Promise<void> {
    return this.#write({ type: "resume", at: this.#now(), step });
  }

  /**
   * Ends it. When this resolves, all of it is on the disk.
   *
   * @throws {RUN_ENDED} after the end.
   * @throws {RUN_LOG_WRITE_FAILED} when it could not be written.
   */
  readonly finish = (result?: Readonly<Record<string, unknown>>): Promise<void> =>
    this.#end({ type: "end", at: this.#now(), status: "finished", result });

  /** Ends it with an error. @throws as {@link finish}. */
  readonly fail = (error: unknown): Promise<void> => {
    const code = isStewardError(error) ? error.code : undefined;
    return this.#end({
      type: "end",
      at: this.#now(),
      status: "failed",
      error: { code, message: describeError(error) },
    });
  };

  /** Closes the file without an end, as a stop of the log does: the run can be resumed. */
  async leave(): Promise<void> {
    if (this.#isEnded) return;
    this.#isEnded = true;
    await this.#close();
  }

  /** A run that is left without an end has failed. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isEnded) await this.fail("left without an end");
  }

  #now(): string {
    return new Date(this.#parts.clock.wallNow()).toISOString();
  }

  async #end(line: RunLine): Promise<void> {
    if (this.#isEnded) throw this.#ended();
    const written = this.#write(line);
    this.#isEnded = true;
    try {
      await written;
    } finally {
      await this.#close();
    }
  }

  /** Lines are written in their order, each by one write. */
  #write(line: RunLine): Promise<void> {
    if (this.#isEnded) return Promise.reject(this.#ended());
    const text = textOf(line);
    const written = this.#writing.then(() => this.#append(text));
    this.#writing = written.catch(() => {});
    return written;
  }

  /** What a write that failed has left of its line is cut off by the next: in the middle of the file it could not be read. */
  async #append(text: string): Promise<void> {
    const { id, resource, file, onLine } = this.#parts;
    const bytes = Buffer.byteLength(text);
    try {
      this.#size ??= (await file.stat()).size;
      if (this.#isTorn) await file.truncate(this.#size);
      this.#isTorn = true;
      await file.appendFile(text);
      this.#isTorn = false;
      this.#size += bytes;
    } catch (cause) {
      throw runWriteFailed(resource, id, cause);
    }
    onLine(bytes);
  }

  #ended(): StewardError {
    const { id, resource } = this.#parts;
    return trainingError("RUN_ENDED", `${resource}: the run ${id} has ended`, { resource });
  }

  async #close(): Promise<void> {
    const { id, resource, file, onEnd } = this.#parts;
    await this.#writing;
    try {
      await file.sync();
    } catch (cause) {
      throw runWriteFailed(resource, id, cause);
    } finally {
      onEnd();
      await file.close();
    }
  }
}
