import type { Clock } from "@steward/core";
import { isThenable } from "@steward/core/container";
import { describeError, OptionsError, TimeoutReached, withTimeout } from "@steward/core/driver";
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
  readonly #complain: (message: string) => void;

  /** @param complain Called with what has failed after the change. */
  constructor(resource: string, clock: Clock, timeoutMs: number, complain: (message: string) => void) {
    this.#resource = resource;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#complain = complain;
  }

  /**
   * Takes one up; gives what ends it.
   * @throws {OPTIONS_INVALID} for what is none.
   */
  add(subscriber: Subscriber<T>): () => void {
    const wrong = problemOf(subscriber);
    if (wrong !== undefined) throw new OptionsError([{ resource: this.#resource, path: "subscriber", message: wrong }]);
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

  commit(next: T): void {
    this.#each((one) => one.commit?.(next));
  }

  discard(next: T): void {
    this.#each((one) => one.discard?.(next));
  }

  /** Nothing waits for what they do, but where it fails later that is said too, instead of ending the process. */
  #each(call: (one: Subscriber<T>) => unknown): void {
    const failed = (error: unknown): void =>
      this.#complain(`a subscriber failed after the change: ${describeError(error)}`);
    for (const one of this.#all)
      try {
        const result = call(one);
        if (isThenable(result)) result.then(undefined, failed);
      } catch (error) {
        failed(error);
      }
  }
}

const METHODS = ["prepare", "commit", "discard"] as const;

function problemOf(subscriber: unknown): string | undefined {
  if (typeof subscriber !== "object" || subscriber === null || !METHODS.some((name) => name in subscriber))
    return "must be an object with prepare, commit or discard";
  const wrong = METHODS.find((name) => {
    const given: unknown = Reflect.get(subscriber, name);
    return given !== undefined && typeof given !== "function";
  });
  return wrong === undefined ? undefined : `its ${wrong} must be a function`;
}
