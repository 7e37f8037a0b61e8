import { StewardError } from "../errors.ts";
import { TimerEntry } from "../time/timing-wheel.ts";

/** What an item asks of the queue it is in. */
export interface ItemOwner<Item, Result> {
  /** It is over: answered, failed or given up. */
  settled(item: BatchItem<Item, Result>, error: unknown): void;
  /** The error of its deadline. */
  timeout(item: BatchItem<Item, Result>): StewardError;
}

/** One item and its caller. */
export class BatchItem<Item, Result> extends TimerEntry {
  readonly item: Item;
  readonly size: number;
  readonly key: unknown;
  /** Instant at which it came, in ms of the clock. */
  readonly since: number;
  /** True from its answer, or from being given up. */
  settled = false;
  /** True while it waits for a run. */
  queued = false;
  /** Called when it is given up while its run works on. */
  onGivenUp: (() => void) | undefined = undefined;
  /** @internal Neighbours in the queue. */
  ahead: BatchItem<Item, Result> | undefined = undefined;
  /** @internal */
  behind: BatchItem<Item, Result> | undefined = undefined;
  readonly #owner: ItemOwner<Item, Result>;
  readonly #resolve: (result: Result) => void;
  readonly #reject: (error: unknown) => void;
  #unfollow: (() => void) | undefined = undefined;

  constructor(
    of: Pick<BatchItem<Item, Result>, "item" | "size" | "key" | "since">,
    owner: ItemOwner<Item, Result>,
    resolve: (result: Result) => void,
    reject: (error: unknown) => void,
  ) {
    super();
    this.item = of.item;
    this.size = of.size;
    this.key = of.key;
    this.since = of.since;
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

  override expire(): void {
    if (!this.settled) this.fail(this.#owner.timeout(this));
  }

  succeed(result: Result): void {
    if (this.settled) return;
    this.#resolve(result);
    this.#end(undefined);
  }

  fail(error: unknown): void {
    if (this.settled) return;
    this.#reject(error);
    this.#end(error ?? new Error("rejected with nothing"));
  }

  #end(error: unknown): void {
    this.settled = true;
    this.#unfollow?.();
    this.#owner.settled(this, error);
    this.onGivenUp?.();
  }
}
