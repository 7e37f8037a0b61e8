import type { Clock, Timer } from "./clock.ts";

/** A look that comes this many looks late shows that the process stood still. */
const STALL_LOOKS = 3;

/** How often silence is looked for, in ms, where `silenceMs` of it is suspicious. */
export function lookEveryMs(silenceMs: number): number {
  return Math.min(1_000, Math.max(5, silenceMs / 5));
}

/** Looks again and again, each time after what has come meanwhile was read. */
export class Lookout {
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #look: (stoodStill: boolean) => void;
  #timer: Timer | undefined;
  #dueAt = 0;

  /** `stoodStill`: this process has not run for a while, so what it waited for may not have had its time. */
  constructor(clock: Clock, everyMs: number, look: (stoodStill: boolean) => void) {
    this.#clock = clock;
    this.#everyMs = everyMs;
    this.#look = look;
  }

  get isLooking(): boolean {
    return this.#timer !== undefined;
  }

  /** Looks from now on. */
  start(): void {
    this.#timer?.cancel();
    this.#dueAt = this.#clock.now() + this.#everyMs;
    this.#timer = this.#clock.setTimeout(() => this.#due(), this.#everyMs, { unref: true });
  }

  /** Looks no more. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #due(): void {
    const stoodStill = this.#clock.now() - this.#dueAt > STALL_LOOKS * this.#everyMs;
    this.start();
    // What has come while the process was busy lies in its sockets: it is read first.
    setImmediate(() => {
      if (this.isLooking) this.#look(stoodStill);
    });
  }
}
