import type { Clock, Timer } from "@steward/core";

/** A look that comes so late shows that this process stood still, in ms. */
const LATE_MS = 100;

/** Looks again and again. After a standstill of the process, what has come meanwhile is read before the look. */
export class Lookout {
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #look: () => void;
  #timer: Timer | undefined;
  #dueAt = 0;

  constructor(clock: Clock, everyMs: number, look: () => void) {
    this.#clock = clock;
    this.#everyMs = everyMs;
    this.#look = look;
  }

  start(inMs: number = this.#everyMs): void {
    this.#dueAt = this.#clock.now() + inMs;
    this.#timer = this.#clock.setTimeout(() => this.#due(), inMs, { unref: true });
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #due(): void {
    if (this.#clock.now() - this.#dueAt > LATE_MS) return this.start(1);
    this.start();
    this.#look();
  }
}
