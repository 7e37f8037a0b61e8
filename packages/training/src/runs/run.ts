import type { FileHandle } from "node:fs/promises";
import { isStewardError, type Clock } from "@steward/core";
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
  readonly step = (step: number, metrics: Metrics): Promise<void> =>
    this.#write({ type: "step", at: this.#now(), step, metrics });

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
    const { id, resource, file, onLine } = this.#parts;
    if (this.#isEnded) {
      const message = `${resource}: the run ${id} has ended`;
      return Promise.reject(trainingError("RUN_ENDED", message, { resource }));
    }
    const text = textOf(line);
    const written = this.#writing.then(async () => {
      try {
        await file.appendFile(text);
      } catch (cause) {
        throw runWriteFailed(resource, id, cause);
      }
      onLine(Buffer.byteLength(text));
    });
    this.#writing = written.catch(() => {});
    return written;
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
