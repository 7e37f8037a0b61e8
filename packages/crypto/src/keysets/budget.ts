import { ALGORITHMS } from "../suites/catalog.ts";
import type { KeysetRecord } from "./record/record.ts";
import { withReserved } from "./record/transitions.ts";

/**
 * How many messages this process may still write under keys whose algorithm has a limit.
 *
 * Messages are set aside in the store, a block at a time, before they are written. So the limit holds for all
 * instances together and across restarts; a crash wastes a block and breaks nothing.
 */
export class Budget {
  readonly #block: number;
  readonly #left = new Map<number, number>();

  constructor(block: number) {
    this.#block = block;
  }

  /** Takes one message; `false` when none is left. */
  take(id: number): boolean {
    const left = this.#left.get(id) ?? 0;
    if (left <= 0) return false;
    this.#left.set(id, left - 1);
    return true;
  }

  /** Messages left under a key. */
  left(id: number): number {
    return this.#left.get(id) ?? 0;
  }

  /** True when a block more should be set aside for the key. */
  isLow(id: number): boolean {
    return this.left(id) < this.#block / 2;
  }

  /** The record with a block set aside for each key that this process may write with and runs low on. */
  reserve(record: KeysetRecord): { readonly record: KeysetRecord; readonly granted: ReadonlyMap<number, number> } {
    const granted = new Map<number, number>();
    let next = record;
    for (const key of record.keys) {
      const { messageLimit } = ALGORITHMS[key.algorithm];
      const writes = key.state === "pending" || key.id === record.primary;
      if (messageLimit === undefined || !writes || !this.isLow(key.id)) continue;
      const count = Math.min(this.#block, messageLimit - (key.reserved ?? 0));
      if (count <= 0) continue;
      next = withReserved(next, key.id, count);
      granted.set(key.id, count);
    }
    return { record: next, granted };
  }

  /** The store has it: the blocks may be used. */
  grant(granted: ReadonlyMap<number, number>): void {
    for (const [id, count] of granted) this.#left.set(id, this.left(id) + count);
  }
}
