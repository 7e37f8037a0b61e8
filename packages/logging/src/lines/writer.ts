import { destination } from "pino";
import type { Clock } from "@steward/core";
import type { BufferedOptions, LogDestination } from "../options.ts";
import { Buffered } from "./buffered.ts";

/** Hands lines to a destination, and counts those that it refuses: a log that fails never fails what it reports. */
export class Writer implements LogDestination {
  readonly #destination: LogDestination;
  readonly #buffered: Buffered | undefined;
  #lines = 0;
  #lost = 0;
  #failure: { readonly cause: unknown } | undefined;

  constructor(given: LogDestination | undefined, clock: Clock, buffered: BufferedOptions | undefined) {
    const to = given ?? this.#stdout();
    this.#buffered = buffered === undefined ? undefined : new Buffered(to, clock, buffered);
    this.#destination = this.#buffered ?? to;
  }

  /** Whether lines are held back while it is open. */
  get isBuffered(): boolean {
    return this.#buffered !== undefined;
  }

  open(): void {
    this.#buffered?.open();
  }

  close(): void {
    this.flushSync();
    this.#buffered?.close();
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
    try {
      this.#destination.write(line);
    } catch (cause) {
      return this.#fail(cause);
    }
    if (this.#lost > before) return; // it said so by an event
    this.#lines += 1;
    this.#failure = undefined;
  }

  flushSync(): void {
    try {
      this.#destination.flushSync?.();
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
