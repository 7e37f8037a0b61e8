import type { Clock, Timer } from "@steward/core";
import type { BufferedOptions, LogDestination } from "../options.ts";

/**
 * Holds lines back for a moment, and writes many of them at once. It writes synchronously, so that nothing is under way
 * when the process ends; what it holds then is written by {@link flushSync}.
 */
export class Buffered implements LogDestination {
  readonly #to: LogDestination;
  readonly #clock: Clock;
  readonly #flushMs: number;
  readonly #maxBytes: number;
  #held = "";
  #timer: Timer | undefined;
  #isOpen = false;

  constructor(to: LogDestination, clock: Clock, { flushMs = 100, maxBytes = 16_384 }: BufferedOptions) {
    this.#to = to;
    this.#clock = clock;
    this.#flushMs = flushMs;
    this.#maxBytes = maxBytes;
  }

  /** From here on lines are held back; before, and after {@link close}, each is written at once. */
  open(): void {
    this.#isOpen = true;
  }

  close(): void {
    this.#isOpen = false;
    this.flushSync();
  }

  write(line: string): void {
    if (!this.#isOpen) return this.#to.write(line);
    this.#held += line;
    if (this.#held.length >= this.#maxBytes) return this.#flush();
    this.#timer ??= this.#clock.setTimeout(() => this.#flush(), this.#flushMs, { unref: true });
  }

  flushSync(): void {
    this.#flush();
    this.#to.flushSync?.();
  }

  #flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const held = this.#held;
    this.#held = "";
    if (held !== "") this.#to.write(held);
  }
}
