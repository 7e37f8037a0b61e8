/** Longest work between two turns of the event loop, in ms. */
const SLICE_MS = 2;
/** Looking at the clock costs as much as a series, so it is done now and then. */
const LOOK_EVERY = 8;

/** A slice of long work: says when the event loop has to turn. */
export class TimeSlice {
  #until = performance.now() + SLICE_MS;
  #left = LOOK_EVERY;

  /** True when the slice is over; then {@link rest}. */
  get isOver(): boolean {
    if (--this.#left > 0) return false;
    this.#left = LOOK_EVERY;
    return performance.now() >= this.#until;
  }

  /** Lets the event loop turn once: timers, sockets and other callbacks have their go. */
  async rest(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#until = performance.now() + SLICE_MS;
  }
}
