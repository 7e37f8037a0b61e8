/** One way to guard a call: of a library, at certain settings. */
export interface GuardVariant {
  /** Distinguishes the ways of one library. */
  readonly name: string;
  /** What it is compared with: variants of one kind do the same. */
  readonly kind: GuardKind;
  /** Sets it up and gives what makes one call. A call that fails has to reject. */
  open(): Call | Promise<Call>;
}

/** What of a guard a variant shows. */
export type GuardKind = "closed" | "breaker" | "open" | "failing, 100 samples" | "failing, 100,000 samples";

/** Makes one guarded call. */
export type Call = () => PromiseLike<unknown>;

/** What one process measured of a variant, beside bare awaits in turn with it. */
export interface CallCost {
  /** CPU of the median batch, in ns a call. */
  readonly cpuNs: number;
  /** CPU over a bare await, pair by pair, in ns a call. */
  readonly overNs: number;
  /** The same of the best pair. */
  readonly bestOverNs: number;
}

/** What is guarded: the cheapest asynchronous work there is. */
export const work = async (): Promise<number> => 1;

/** The same that fails. The error is made once, so that its stack is not what is measured. */
export const failingWork = async (): Promise<number> => {
  throw failure;
};

const failure = new Error("down");

/** Calls one after the other; whether they fail does not matter. */
export async function repeat(call: Call, times: number): Promise<void> {
  for (let i = 0; i < times; i++)
    try {
      await call();
    } catch {
      // What fails is meant to.
    }
}
