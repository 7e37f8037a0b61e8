import { StewardError, type Clock } from "@steward/core";
import type { Known } from "../local/entry.ts";
import type { Marks } from "../local/marks.ts";

/** How long one waits for a flight. */
export interface Patience {
  readonly signal?: AbortSignal | undefined;
  /** Instant of the clock, in ms. */
  readonly deadline?: number | undefined;
}

/** What a flight is made with. */
export interface FlightParts {
  readonly key: string;
  readonly marks: Marks;
  /** Tags that are known before the load; `undefined` where its value has to say them. */
  readonly tags: readonly string[] | undefined;
}

/** One look-up or load that all who miss a key at the same time wait for. */
export class Flight {
  readonly key: string;
  readonly marks: Marks;
  readonly #tags: readonly string[] | undefined;
  /** Clock of the invalidations, as this process knew it when it began. */
  readonly #since: number;
  readonly #promise: Promise<Known>;
  #settle: ((known: Known) => void) | undefined;
  #reject: ((error: unknown) => void) | undefined;
  #abort: AbortController | undefined;
  #waiting = 0;
  /** True when it goes on although no one waits. */
  #isHeld = false;
  #voidedAt = 0;
  #isClosed = false;

  constructor({ key, marks, tags }: FlightParts) {
    this.key = key;
    this.marks = marks;
    this.#tags = tags;
    this.#since = marks.clock;
    this.#promise = new Promise<Known>((resolve, reject) => {
      this.#settle = resolve;
      this.#reject = reject;
    });
    this.#promise.catch(() => {}); // those who wait get it; there may be none any more
  }

  /** Aborts when its time is over or when no one waits any more. Made when first asked for: a hit needs none. */
  get abort(): AbortController {
    return (this.#abort ??= new AbortController());
  }

  /** Whether one who asks now may have its result: nothing that concerns it was made void since it began. */
  get isCurrent(): boolean {
    return !this.#isClosed && this.#holds;
  }

  get #holds(): boolean {
    return this.#tags === undefined ? this.marks.holdsAll(this.#since) : this.marks.holds(this.#since, this.#tags);
  }

  /** Whether it is known that one who asks now may not have its result, or that it brings none. */
  get isVoid(): boolean {
    if (this.#abort?.signal.aborted === true) return true;
    return this.#tags !== undefined && !this.#holds;
  }

  /** Its key was made void at `clock`. */
  voided(clock: number): void {
    if (clock > this.#voidedAt) this.#voidedAt = clock;
  }

  /** Whether what was looked up at `clock`, with these tags, may be kept. */
  mayKeep(clock: number, tags: readonly string[]): boolean {
    return clock >= this.#voidedAt && this.marks.holds(clock, tags);
  }

  /** It has asked what others share: one who comes from here on has to ask anew. */
  close(): void {
    this.#isClosed = true;
  }

  /** It goes on when no one waits. */
  hold(): void {
    this.#isHeld = true;
  }

  succeed(known: Known): void {
    this.#settle?.(known);
  }

  fail(error: unknown): void {
    this.#reject?.(error);
  }

  /** Resolves once it is over, however. */
  over(patience: Patience, clock: Clock, resource: string): Promise<unknown> {
    return this.wait(patience, clock, resource).catch((error: unknown) => {
      if (patience.signal?.aborted === true || clock.now() >= (patience.deadline ?? Number.POSITIVE_INFINITY))
        throw error;
    });
  }

  /**
   * Its result.
   * @throws {CALL_ABORTED} when the one who waits gives up, {DEADLINE_EXCEEDED} when its time is over.
   */
  wait({ signal, deadline }: Patience, clock: Clock, resource: string): Promise<Known> {
    if (signal === undefined && deadline === undefined) {
      this.hold();
      return this.#promise;
    }
    if (signal?.aborted === true) return Promise.reject(aborted(resource, signal));
    this.#waiting++;
    return new Promise<Known>((resolve, reject) => {
      const end = (): void => {
        timer?.cancel();
        signal?.removeEventListener("abort", onAbort);
      };
      const leave = (error: StewardError): void => {
        end();
        this.#leave(error);
        reject(error);
      };
      const onAbort = (): void => leave(aborted(resource, signal));
      const late = (): void => leave(tooLate(resource));
      const timer = deadline === undefined ? undefined : clock.setTimeout(late, Math.max(0, deadline - clock.now()));
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#promise.finally(end).then(resolve, reject);
    });
  }

  #leave(reason: StewardError): void {
    if (--this.#waiting === 0 && !this.#isHeld) this.abort.abort(reason);
  }
}

/** The error of one who gave up. */
export function aborted(resource: string, signal: AbortSignal | undefined): StewardError {
  const message = `${resource}: the caller gave up while a value was looked up or loaded`;
  return new StewardError("CALL_ABORTED", message, { resource, cause: signal?.reason });
}

function tooLate(resource: string): StewardError {
  const message = `${resource}: no value by the deadline of the caller; the load goes on while others wait for it`;
  return new StewardError("DEADLINE_EXCEEDED", message, { resource, retryable: true });
}
