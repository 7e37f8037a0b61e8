import { isStewardError, type Clock } from "@steward/core";
import { isGivenUp, withTimeout } from "@steward/core/driver";
import { AUTH_CODES, storeUnavailable } from "../errors.ts";

/** Calls of a store: within a time, and a failure is no answer. */
export class StoreCalls {
  readonly #resource: string;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  /** Calls that failed or took too long, since the start. */
  failures = 0;

  constructor(resource: string, clock: Clock, timeoutMs: number) {
    this.#resource = resource;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /** @throws {AUTH_STORE_UNAVAILABLE} when it fails or takes too long; what a request that is given up throws says nothing of the store. */
  async run<T>(of: string, work: () => Promise<T>): Promise<T> {
    const endsAt = this.#clock.now() + this.#timeoutMs;
    try {
      return await withTimeout(this.#clock, this.#timeoutMs, work, { abort: new AbortController() });
    } catch (error) {
      if (isStewardError(error) && Object.hasOwn(AUTH_CODES, error.code)) throw error;
      if (isGivenUp(error, endsAt)) throw error;
      this.failures++;
      throw storeUnavailable(this.#resource, of, error);
    }
  }
}
