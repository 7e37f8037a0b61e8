import type { Clock, Timer } from "@steward/core";

/** Does something again and again, a while after it has ended the last time. Failures are counted. */
export class Every {
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #work: () => Promise<unknown>;
  #timer: Timer | undefined;
  #isOpen = false;
  #failures = 0;

  constructor(clock: Clock, everyMs: number, work: () => Promise<unknown>) {
    this.#clock = clock;
    this.#everyMs = everyMs;
    this.#work = work;
  }

  /** How often it failed. */
  get failures(): number {
    return this.#failures;
  }

  open(): void {
    this.#isOpen = true;
    this.#set();
  }

  close(): void {
    this.#isOpen = false;
    this.#timer?.cancel();
  }

  #set(): void {
    if (this.#isOpen) this.#timer = this.#clock.setTimeout(() => void this.#run(), this.#everyMs, { unref: true });
  }

  async #run(): Promise<void> {
    await this.#work().catch(() => (this.#failures += 1));
    this.#set();
  }
}
