import type { Outcome } from "../policy/decision.ts";

/** A refusal of Redis that still holds. */
interface Refusal {
  readonly since: number;
  readonly until: number;
  readonly cost: number;
  readonly outcome: Outcome;
}

/** Keys that are remembered per policy. One more pushes out the oldest, which costs a call to Redis and nothing else. */
const MAX_KEYS = 10_000;
/** Another instance may have made room by a reset or a refund: it is noticed after so long, in ms. */
const MAX_MS = 1_000;

/** Remembers refusals for a moment, or until there is room again, so that who tries without end costs Redis a call a second. */
export class BlockedKeys {
  readonly #refusals = new Map<string, Refusal>();

  get size(): number {
    return this.#refusals.size;
  }

  /** The refusal that still holds for such a call. */
  find(key: string, cost: number, now: number): Outcome | undefined {
    const refusal = this.#refusals.get(key);
    if (refusal === undefined) return undefined;
    if (refusal.until <= now) {
      this.#refusals.delete(key);
      return undefined;
    }
    if (cost < refusal.cost) return undefined;
    const { reading } = refusal.outcome;
    const passedMs = now - refusal.since;
    const [waitMs, resetMs] = [reading.waitMs - passedMs, Math.max(0, reading.resetMs - passedMs)];
    return { ...refusal.outcome, source: "blocked", reading: { ...reading, waitMs, resetMs } };
  }

  add(key: string, cost: number, outcome: Outcome, now: number): void {
    const known = this.#refusals.get(key);
    if (known !== undefined && known.cost <= cost && known.until > now) return;
    this.#refusals.delete(key);
    if (this.#refusals.size >= MAX_KEYS) {
      const oldest = this.#refusals.keys().next();
      if (oldest.done !== true) this.#refusals.delete(oldest.value);
    }
    const until = now + Math.min(outcome.reading.waitMs, MAX_MS);
    this.#refusals.set(key, { since: now, until, cost, outcome });
  }

  delete(key: string): void {
    this.#refusals.delete(key);
  }

  clear(): void {
    this.#refusals.clear();
  }
}
