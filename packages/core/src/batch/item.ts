import { PendingCall, type CallOwner } from "../time/pending-call.ts";

/** One item and its caller. */
export class BatchItem<Item, Result> extends PendingCall<Result> {
  readonly item: Item;
  readonly size: number;
  readonly key: unknown;
  /** True while it waits for a run. */
  queued = false;
  /** Called when it is given up while its run works on. */
  onGivenUp: (() => void) | undefined = undefined;
  /** @internal Neighbours in the queue. */
  ahead: BatchItem<Item, Result> | undefined = undefined;
  /** @internal */
  behind: BatchItem<Item, Result> | undefined = undefined;

  constructor(
    of: Pick<BatchItem<Item, Result>, "item" | "size" | "key" | "since">,
    owner: CallOwner<BatchItem<Item, Result>>,
    resolve: (result: Result) => void,
    reject: (error: unknown) => void,
  ) {
    super(of.since, owner, resolve, reject);
    this.item = of.item;
    this.size = of.size;
    this.key = of.key;
  }

  protected override end(error: unknown): void {
    super.end(error);
    this.onGivenUp?.();
  }
}
