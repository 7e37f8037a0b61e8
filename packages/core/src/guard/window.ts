const SLOTS = 10;

/** What a {@link RollingWindow} counted. */
export interface WindowCounts {
  readonly succeeded: number;
  readonly failed: number;
  readonly slow: number;
}

/** Outcomes of the last while, in ten slots that rotate: O(1) a record, no allocation, whatever the rate. */
export class RollingWindow {
  readonly #slotMs: number;
  readonly #counts = new Uint32Array(SLOTS * 3);
  #slot = -1;
  #succeeded = 0;
  #failed = 0;
  #slow = 0;

  /** @param durationMs How far it looks back, in ms. */
  constructor(durationMs: number) {
    this.#slotMs = durationMs / SLOTS;
  }

  /** Counts an outcome at `now`, in ms. */
  record(now: number, failed: boolean, slow: boolean): void {
    this.#advance(now);
    const at = (this.#slot % SLOTS) * 3 + (failed ? 1 : 0);
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    if (failed) this.#failed++;
    else this.#succeeded++;
    if (!slow) return;
    const slowAt = (this.#slot % SLOTS) * 3 + 2;
    this.#counts[slowAt] = (this.#counts[slowAt] ?? 0) + 1;
    this.#slow++;
  }

  /** What the window holds at `now`, in ms. */
  counts(now: number): WindowCounts {
    this.#advance(now);
    return { succeeded: this.#succeeded, failed: this.#failed, slow: this.#slow };
  }

  /** Outcomes in the window, after the last `record` or `counts`. */
  get total(): number {
    return this.#succeeded + this.#failed;
  }

  /** Failures in the window, after the last `record` or `counts`. */
  get failed(): number {
    return this.#failed;
  }

  /** Slow ones in the window, after the last `record` or `counts`. */
  get slow(): number {
    return this.#slow;
  }

  /** Forgets everything. */
  clear(): void {
    this.#counts.fill(0);
    this.#succeeded = this.#failed = this.#slow = 0;
  }

  #advance(now: number): void {
    const slot = Math.floor(now / this.#slotMs);
    if (slot === this.#slot) return;
    if (slot - this.#slot >= SLOTS || this.#slot < 0) this.clear();
    else for (let i = this.#slot + 1; i <= slot; i++) this.#drop(i % SLOTS);
    this.#slot = slot;
  }

  #drop(slot: number): void {
    const at = slot * 3;
    this.#succeeded -= this.#counts[at] ?? 0;
    this.#failed -= this.#counts[at + 1] ?? 0;
    this.#slow -= this.#counts[at + 2] ?? 0;
    this.#counts.fill(0, at, at + 3);
  }
}
