const SLOTS = 10;

/** Outcomes of the last while, in ten slots that rotate: O(1) a record, no allocation, whatever the rate. */
export class RollingWindow {
  readonly #slotMs: number;
  /** Of each slot: outcomes, failures and slow ones. */
  readonly #counts = new Uint32Array(SLOTS * 3);
  #slot = -1;
  #total = 0;
  #failed = 0;
  #slow = 0;

  /** @param durationMs How far it looks back, in ms. */
  constructor(durationMs: number) {
    this.#slotMs = durationMs / SLOTS;
  }

  /** Counts an outcome at `now`, in ms. */
  record(now: number, failed: boolean, slow: boolean): void {
    this.#advance(now);
    const at = (this.#slot % SLOTS) * 3;
    this.#total++;
    this.#add(at);
    if (failed) {
      this.#failed++;
      this.#add(at + 1);
    }
    if (slow) {
      this.#slow++;
      this.#add(at + 2);
    }
  }

  #add(at: number): void {
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
  }

  /** Outcomes in the window, as of the last `record`. */
  get total(): number {
    return this.#total;
  }

  /** Failures in the window, as of the last `record`. */
  get failed(): number {
    return this.#failed;
  }

  /** Slow ones in the window, as of the last `record`. */
  get slow(): number {
    return this.#slow;
  }

  /** Forgets everything. */
  clear(): void {
    this.#counts.fill(0);
    this.#total = this.#failed = this.#slow = 0;
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
    this.#total -= this.#counts[at] ?? 0;
    this.#failed -= this.#counts[at + 1] ?? 0;
    this.#slow -= this.#counts[at + 2] ?? 0;
    this.#counts.fill(0, at, at + 3);
  }
}
