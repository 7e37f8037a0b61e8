import type { Clock } from "@steward/core";
import { describeError, TimeoutReached, withTimeout } from "@steward/core/driver";
import { configError } from "../errors.ts";

/** Takes part in reloads: it prepares for new settings, and changes over when all others have prepared too. */
export interface Subscriber<T> {
  /** Makes ready for the next settings, or refuses them by an error: then the old ones stay, everywhere. */
  readonly prepare?:
    | ((next: T, changes: readonly string[], context: { readonly signal: AbortSignal }) => unknown)
    | undefined;
  /** The next settings are in use. It must not fail, and waits for nothing. */
  readonly commit?: ((next: T) => void) | undefined;
  /** The next settings did not come in use although it had prepared for them. */
  readonly discard?: ((next: T) => void) | undefined;
}

/** All who take part in the reloads of one configuration. */
export class Subscribers<T> {
  readonly #all = new Set<Subscriber<T>>();
  readonly #resource: string;
  readonly #clock: Clock;
  readonly #timeoutMs: number;

  constructor(resource: string, clock: Clock, timeoutMs: number) {
    this.#resource = resource;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /** Takes one up; gives what ends it. */
  add(subscriber: Subscriber<T>): () => void {
    this.#all.add(subscriber);
    return () => void this.#all.delete(subscriber);
  }

  /**
   * Asks all to prepare, at once.
   * @throws {CONFIG_RELOAD_TIMEOUT} when one does not answer in time; else what the first one refused with.
   */
  async prepare(next: T, changes: readonly string[], outer: AbortSignal): Promise<void> {
    const abort = new AbortController();
    const prepared = async (): Promise<void> => {
      const all = await Promise.allSettled(
        [...this.#all].map(async (one) => one.prepare?.(next, changes, { signal: abort.signal })),
      );
      for (const one of all) if (one.status === "rejected") throw one.reason;
    };
    try {
      await withTimeout(this.#clock, this.#timeoutMs, prepared, { abort, outer });
    } catch (error) {
      if (!(error instanceof TimeoutReached)) throw error;
      const message = `${this.#resource}: a subscriber has not prepared for new settings within ${this.#timeoutMs} ms; the old ones stay`;
      throw configError("CONFIG_RELOAD_TIMEOUT", message, { resource: this.#resource, retryable: true });
    }
  }

  /** Gives what failed, in words. */
  commit(next: T): string[] {
    return this.#each((one) => one.commit?.(next));
  }

  discard(next: T): string[] {
    return this.#each((one) => one.discard?.(next));
  }

  #each(call: (one: Subscriber<T>) => void): string[] {
    const failed: string[] = [];
    for (const one of this.#all)
      try {
        call(one);
      } catch (error) {
        failed.push(`a subscriber failed after the change: ${describeError(error)}`);
      }
    return failed;
  }
}
