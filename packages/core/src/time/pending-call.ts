import { StewardError } from "../errors.ts";
import { TimerEntry } from "./timing-wheel.ts";

/** What a pending call asks of what works on it. */
export interface CallOwner<Call> {
  /** It is over: answered, failed or given up. */
  settled(call: Call, error: unknown): void;
  /** The error of its deadline. */
  timeout(call: Call): StewardError;
}

/** Work that somebody waits for: it is over by its answer, by its deadline, or when its caller gives it up. */
export abstract class PendingCall<Result> extends TimerEntry {
  /** Instant at which it was made, in ms of the clock. */
  readonly since: number;
  /** True from its answer, or from being given up. */
  settled = false;
  readonly #owner: CallOwner<this>;
  readonly #resolve: (result: Result) => void;
  readonly #reject: (error: unknown) => void;
  #unfollow: (() => void) | undefined = undefined;

  constructor(
    since: number,
    owner: CallOwner<never>,
    resolve: (result: Result) => void,
    reject: (error: unknown) => void,
  ) {
    super();
    this.since = since;
    this.#owner = owner as CallOwner<this>;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Its caller gives it up when `signal` aborts. */
  follow(signal: AbortSignal, resource: string): void {
    const abort = (): void =>
      this.fail(
        new StewardError("CALL_ABORTED", `${resource}: the caller gave up`, { resource, cause: signal.reason }),
      );
    if (signal.aborted) return abort();
    this.listen(signal, abort);
  }

  /** Calls `abort` when `signal` aborts, until the call is over. */
  protected listen(signal: AbortSignal, abort: () => void): void {
    signal.addEventListener("abort", abort, { once: true });
    const unfollow = (): void => signal.removeEventListener("abort", abort);
    this.#unfollow = unfollow; // V8 puts a function that is assigned as it is written among the old objects
  }

  override expire(): void {
    if (!this.settled) this.fail(this.#owner.timeout(this));
  }

  succeed(result: Result): void {
    if (this.settled) return;
    this.#resolve(result);
    this.end(undefined);
  }

  fail(error: unknown): void {
    if (this.settled) return;
    this.#reject(error);
    this.end(error ?? new Error("rejected with nothing"));
  }

  protected end(error: unknown): void {
    this.settled = true;
    this.#unfollow?.();
    this.#owner.settled(this, error);
  }
}
