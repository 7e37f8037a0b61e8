import { AsyncResource } from "node:async_hooks";
import { currentContext, isStewardError, runWithContext, type Clock } from "@steward/core";
import { TimeoutReached, withTimeout } from "@steward/core/driver";
import { cacheError } from "../errors.ts";
import { ABSENT, type Known } from "../local/entry.ts";
import type { Counts } from "./counts.ts";
import type { Flight } from "./flight.ts";
import type { Load } from "./types.ts";

/** Runs loads: each within its time, and outside of the request that happened to come first. */
export class Loads {
  readonly #resource: string;
  readonly #clock: Clock;
  readonly #counts: Counts;
  /** Made with the cache, so what runs in it has no context of any request. */
  readonly #outside = new AsyncResource("steward.cache");

  constructor(resource: string, clock: Clock, counts: Counts) {
    this.#resource = resource;
    this.#clock = clock;
    this.#counts = counts;
  }

  /** Runs something without the context of the caller: its deadline, signal, or what other libraries keep there. */
  outside<T>(work: () => T): T {
    return this.#outside.runInAsyncScope(work);
  }

  /**
   * Loads a value, at most once for a flight. `requestId` and trace are those of the caller, unless it is a refresh.
   * @throws {CACHE_LOAD_TIMEOUT} when it takes too long.
   */
  async run<V>(flight: Flight, load: Load<V | undefined>, timeoutMs: number, isRefresh: boolean): Promise<Known> {
    const { requestId, traceContext } = (isRefresh ? undefined : currentContext()) ?? {};
    const { abort } = flight;
    const context = { requestId, traceContext, signal: abort.signal, deadline: this.#clock.now() + timeoutMs };
    const work = async (): Promise<V | undefined> => load(abort.signal);
    const began = this.#clock.now();
    this.#counts.loads++;
    const took = (): number => this.#clock.now() - began;
    try {
      const value = await this.outside(() =>
        runWithContext(context, () => withTimeout(this.#clock, timeoutMs, work, { abort })),
      );
      this.#counts.loaded(value === undefined ? "absent" : "value", took());
      return value === undefined ? ABSENT : { kind: "value", value };
    } catch (error) {
      if (error instanceof TimeoutReached) {
        this.#counts.loaded("timeout", took());
        throw this.#tooLong(timeoutMs);
      }
      this.#counts.loaded(isStewardError(error) && error === abort.signal.reason ? "aborted" : "error", took());
      throw error;
    }
  }

  #tooLong(timeoutMs: number): Error {
    const resource = this.#resource;
    const message = `${resource}: a load did not end within ${timeoutMs} ms (loadTimeoutMs)`;
    return cacheError("CACHE_LOAD_TIMEOUT", message, { resource, retryable: true });
  }
}
