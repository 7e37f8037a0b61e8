import type { Network } from "../gradients/network.ts";
import type { Parameter } from "../gradients/parameters.ts";
import { fitMethods } from "./methods.ts";
import type { ApplyStep, ShardGradients, ShardPlan } from "./shard.ts";

/** One worker of a fit, wherever it runs. */
export interface Lane {
  /** The parameters of its network. */
  describe(): Promise<readonly Parameter[]>;
  /** Gets ready for a fit. */
  begin(plan: ShardPlan): Promise<void>;
  gradients(step: number): Promise<ShardGradients>;
  reduce(rows: readonly number[]): Promise<number>;
  apply(step: ApplyStep): Promise<void>;
  close(): Promise<void>;
}

/** A worker in this thread, for tests: each call lets the event loop have a turn. */
export function localLane(network: Network): Lane {
  const methods = fitMethods(network);
  const soon = async <T>(work: () => T): Promise<T> => {
    await new Promise((resolve) => setImmediate(resolve));
    return work();
  };
  return {
    describe: () => soon(() => methods.describe()),
    begin: (plan) => soon(() => methods.begin(plan)),
    gradients: (step) => soon(() => methods.gradients(step)),
    reduce: (rows) => soon(() => methods.reduce(rows)),
    apply: (step) => soon(() => methods.apply(step)),
    close: () => Promise.resolve(),
  };
}
