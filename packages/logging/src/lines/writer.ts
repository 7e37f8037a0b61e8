import { destination } from "pino";
import type { LogDestination } from "../options.ts";

/** Hands lines to a destination, and counts those that it refuses: a log that fails never fails what it tells of. */
export class Writer implements LogDestination {
  readonly #destination: LogDestination;
  #lines = 0;
  #lost = 0;
  #failure: { readonly cause: unknown } | undefined;

  constructor(given: LogDestination | undefined) {
    this.#destination = given ?? this.#stdout();
  }

  get counts(): { readonly lines: number; readonly lost: number } {
    return { lines: this.#lines, lost: this.#lost };
  }

  /** Why the last line was refused. */
  get failure(): { readonly cause: unknown } | undefined {
    return this.#failure;
  }

  write(line: string): void {
    const before = this.#lost;
    this.#attempt(() => this.#destination.write(line));
    if (this.#lost > before) return;
    this.#lines += 1;
    this.#failure = undefined;
  }

  flushSync(): void {
    this.#attempt(() => this.#destination.flushSync?.());
  }

  #attempt(work: () => void): void {
    try {
      work();
    } catch (cause) {
      this.#fail(cause);
    }
  }

  #fail(cause: unknown): void {
    this.#lost += 1;
    this.#failure = { cause };
  }

  /** Each line is written before the call returns, so that no kind of end can lose it. */
  #stdout(): LogDestination {
    const stdout = destination({ fd: 1, sync: true });
    stdout.on("error", (error: unknown) => this.#fail(error)); // such as EPIPE: the reader has gone
    return stdout;
  }
}
