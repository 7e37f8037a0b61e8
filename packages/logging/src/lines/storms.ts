import type { Clock, Timer } from "@steward/core";
import type { StormOptions } from "../options.ts";

/** Most kinds of lines that are counted at a time; further ones are written. */
const MAX_KINDS = 1_000;

interface Interval {
  written: number;
  hidden: number;
  timer: Timer;
  /** Writes the line once more, with how often it came. */
  readonly say: (hidden: number) => void;
}

/** Lets the first equal lines of an interval through, and writes one with a count for all others. */
export class Storms {
  readonly #clock: Clock;
  readonly #above: number;
  readonly #withinMs: number;
  readonly #intervals = new Map<string, Interval>();
  #collapsed = 0;

  constructor(clock: Clock, { above = 10, withinMs = 10_000 }: StormOptions) {
    this.#clock = clock;
    this.#above = above;
    this.#withinMs = withinMs;
  }

  /** Lines that were counted instead of written. */
  get collapsed(): number {
    return this.#collapsed;
  }

  /** Whether a line is to be written; `say` writes it with a count where it is not. */
  takes(key: string, say: (hidden: number) => void): boolean {
    const interval = this.#intervals.get(key);
    if (interval === undefined) {
      if (this.#intervals.size < MAX_KINDS)
        this.#intervals.set(key, { written: 1, hidden: 0, say, timer: this.#timer(key) });
      return true;
    }
    if (interval.written < this.#above) {
      interval.written += 1;
      return true;
    }
    interval.hidden += 1;
    this.#collapsed += 1;
    return false;
  }

  /** Writes the counts of all that is hidden. */
  flush(): void {
    for (const [key, { timer, say, hidden }] of this.#intervals) {
      timer.cancel();
      this.#intervals.delete(key);
      if (hidden > 0) say(hidden);
    }
  }

  #timer(key: string): Timer {
    return this.#clock.setTimeout(() => this.#end(key), this.#withinMs, { unref: true });
  }

  /** A storm that goes on has one line for each interval; it is over after one without any. */
  #end(key: string): void {
    const interval = this.#intervals.get(key);
    if (interval === undefined) return;
    const { hidden } = interval;
    if (hidden === 0) return void this.#intervals.delete(key);
    interval.hidden = 0;
    interval.timer = this.#timer(key);
    interval.say(hidden);
  }
}
