import { publishProbe } from "../channels.ts";
import type { Clock } from "../time/clock.ts";
import { StewardError } from "../errors.ts";
import { TimeoutReached, withTimeout } from "../time/with-timeout.ts";

/** The last probe of a resource. */
export interface LastProbe {
  /** When it ended, in ms of the clock. */
  readonly at: number;
  readonly durationMs: number;
  /** Why it failed; `undefined` when the resource answered. */
  readonly error: unknown;
}

/** How a single probe is made. */
export interface ProbeCall {
  /** Calls the probe off; then it says nothing about the resource. */
  readonly signal?: AbortSignal | undefined;
  /** Longest wait for the answer, in ms. Default: the manager's `probeTimeoutMs`. */
  readonly timeoutMs?: number | undefined;
}

/** Probes one resource, and keeps how the last one went. */
export class Probing {
  readonly #resource: string;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  #last: LastProbe | undefined;

  constructor(resource: string, clock: Clock, timeoutMs: number) {
    this.#resource = resource;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /** How the last one went. */
  get last(): LastProbe | undefined {
    return this.#last;
  }

  /** Asks by `ping`, and rejects with what it rejects with. @throws {PROBE_TIMEOUT} when there is no answer in time. */
  async probe(ping: (signal: AbortSignal) => Promise<void> | void, call: ProbeCall): Promise<void> {
    const timeoutMs = call.timeoutMs ?? this.#timeoutMs;
    const since = this.#clock.now();
    const abort = new AbortController();
    let failure: unknown;
    try {
      await withTimeout(this.#clock, timeoutMs, async () => ping(abort.signal), { abort, outer: call.signal });
    } catch (error) {
      failure =
        error instanceof TimeoutReached ? this.#timeout(timeoutMs) : (error ?? new Error("rejected with nothing"));
    }
    if (call.signal?.aborted === true) throw failure ?? call.signal.reason;
    const at = this.#clock.now();
    this.#last = { at, durationMs: at - since, error: failure };
    publishProbe({ resource: this.#resource, durationMs: at - since, error: failure });
    if (failure !== undefined) throw failure;
  }

  #timeout(timeoutMs: number): StewardError {
    const message = `${this.#resource}: no answer to a probe within ${timeoutMs} ms`;
    return new StewardError("PROBE_TIMEOUT", message, { resource: this.#resource, retryable: true });
  }
}
