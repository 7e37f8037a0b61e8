import type { Clock } from "@steward/core";
import type { AuditDraft } from "./chain/entry.ts";

const BATCH = 100;
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5_000;

/** What an {@link AuditBuffer} needs. */
export interface BufferParts {
  readonly clock: Clock;
  readonly maxPending: number;
  /** Stores events, all or none. */
  readonly store: (drafts: readonly AuditDraft[]) => Promise<void>;
}

/** Events that wait to be stored: a bounded number of them, written in order, tried again until they are. */
export class AuditBuffer {
  readonly #parts: BufferParts;
  readonly #pending: AuditDraft[] = [];
  #working: Promise<void> | undefined;
  #wake = new AbortController();
  #lost = 0;
  #isLosing = false;
  #failure: unknown;

  constructor(parts: BufferParts) {
    this.#parts = parts;
  }

  get counts(): { readonly pending: number; readonly lost: number } {
    return { pending: this.#pending.length, lost: this.#lost };
  }

  /** Why the last try failed. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Whether events were lost since it was empty last. */
  get isLosing(): boolean {
    return this.#isLosing;
  }

  /** Takes an event, or counts it as lost where there is no room. */
  add(draft: AuditDraft): void {
    if (this.#pending.length >= this.#parts.maxPending) {
      this.#lost += 1;
      this.#isLosing = true;
      return;
    }
    this.#pending.push(draft);
    this.#working ??= this.#work().finally(() => (this.#working = undefined));
  }

  /** Resolves when all is stored, or `signal` aborts. It waits for no long pause between tries. */
  async flush(signal: AbortSignal): Promise<void> {
    while (this.#pending.length > 0 && !signal.aborted) {
      this.#wake.abort();
      const soon = this.#parts.clock.sleep(FIRST_WAIT_MS, signal).catch(() => {});
      await Promise.race([this.#working, soon]);
    }
  }

  /** Counts what is still there as lost. */
  giveUp(): void {
    this.#lost += this.#pending.length;
    this.#pending.length = 0;
    this.#wake.abort();
  }

  async #work(): Promise<void> {
    let waitMs = FIRST_WAIT_MS;
    await Promise.resolve(); // what is added in the same turn is one batch
    while (this.#pending.length > 0) {
      const batch = this.#pending.slice(0, BATCH);
      try {
        await this.#parts.store(batch);
        this.#pending.splice(0, batch.length);
        this.#failure = undefined;
        waitMs = FIRST_WAIT_MS;
      } catch (error) {
        this.#failure = error;
        await this.#pause(waitMs);
        waitMs = Math.min(LONGEST_WAIT_MS, waitMs * 2);
      }
    }
    this.#isLosing = false;
  }

  async #pause(waitMs: number): Promise<void> {
    this.#wake = new AbortController();
    await this.#parts.clock.sleep(waitMs, this.#wake.signal).catch(() => {});
  }
}
