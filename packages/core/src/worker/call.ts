import { StewardError } from "../errors.ts";
import { TimerEntry } from "../time/timing-wheel.ts";

/** What a call asks of its worker. */
export interface CallOwner {
  /** It is over: answered, failed or given up. */
  settled(call: WorkerCall, error: unknown): void;
  /** The error of its deadline. */
  timeout(call: WorkerCall): StewardError;
}

/** One call, and its caller. */
export class WorkerCall extends TimerEntry {
  readonly id: number;
  /** Instant at which it was made, in ms of the clock. */
  readonly since: number;
  /** True from its answer, or from being given up. */
  settled = false;
  readonly #owner: CallOwner;
  readonly #resolve: (value: unknown) => void;
  readonly #reject: (error: unknown) => void;
  #unfollow: (() => void) | undefined = undefined;

  constructor(
    id: number,
    since: number,
    owner: CallOwner,
    resolve: (value: unknown) => void,
    reject: (error: unknown) => void,
  ) {
    super();
    this.id = id;
    this.since = since;
    this.#owner = owner;
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
    signal.addEventListener("abort", abort, { once: true });
    this.#unfollow = () => signal.removeEventListener("abort", abort);
  }

  /** Its method learns that `signal` aborts, by `cancel`; it goes on until it is answered. */
  pass(signal: AbortSignal, cancel: () => void): void {
    if (signal.aborted) return queueMicrotask(cancel); // once it is sent
    signal.addEventListener("abort", cancel, { once: true });
    this.#unfollow = () => signal.removeEventListener("abort", cancel);
  }

  override expire(): void {
    if (!this.settled) this.fail(this.#owner.timeout(this));
  }

  succeed(value: unknown): void {
    if (this.settled) return;
    this.#resolve(value);
    this.#end(undefined);
  }

  fail(error: unknown): void {
    if (this.settled) return;
    this.#reject(error);
    this.#end(error);
  }

  #end(error: unknown): void {
    this.settled = true;
    this.#unfollow?.();
    this.#owner.settled(this, error);
  }
}
