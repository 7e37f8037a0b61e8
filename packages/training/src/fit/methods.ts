import { isStewardError } from "@steward/core";
import { describeError } from "@steward/core/driver";
import { engineMissing, trainingError } from "../errors.ts";
import { isNetwork, type Network } from "../gradients/network.ts";
import type { Parameter } from "../gradients/parameters.ts";
import { Shard, type ApplyStep, type ShardGradients, type ShardPlan } from "./shard.ts";

/** What a worker of a fit can be asked. */
export type FitMethods = {
  describe(): readonly Parameter[];
  begin(plan: ShardPlan): void;
  gradients(step: number): ShardGradients;
  reduce(rows: readonly number[]): number;
  apply(step: ApplyStep): void;
};

/** The methods of a worker with a network. */
export function fitMethods(network: Network): FitMethods {
  let shard: Shard | undefined;
  const begun = (): Shard => {
    if (shard === undefined) throw new TypeError("a fit has to begin first");
    return shard;
  };
  return {
    describe: () => network.parameters.map(({ name, shape, initial }) => ({ name, shape: [...shape], initial })),
    begin: (plan) => void (shard = new Shard(network, plan)),
    gradients: (step) => begun().gradients(step),
    reduce: (rows) => begun().reduce(rows),
    apply: (step) => begun().apply(step),
  };
}

/**
 * The network that a module exports.
 * @throws {TRAINING_ENGINE_MISSING} when it imports an engine that is not installed.
 * @throws {TRAINING_NETWORK_INVALID} when it cannot be loaded, or exports none.
 */
export async function loadNetwork(module: string, resource: string): Promise<Network> {
  const loaded = await imported(module, resource);
  if (isNetwork(loaded["network"])) return loaded["network"];
  const names = Object.keys(loaded).join(", ");
  const message = `${resource}: ${module} exports no \`network\` with parameters and gradients(): ${names || "nothing"}`;
  throw trainingError("TRAINING_NETWORK_INVALID", message, { resource });
}

async function imported(module: string, resource: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return (await import(module)) as Readonly<Record<string, unknown>>; // a module is an object of its exports
  } catch (cause) {
    if (isStewardError(cause)) throw cause;
    const why = describeError(cause);
    if (/Cannot find (package|module) '@tensorflow\//.test(why)) throw engineMissing(resource, cause);
    const message = `${resource}: ${module} cannot be loaded: ${why}`;
    throw trainingError("TRAINING_NETWORK_INVALID", message, { resource, cause });
  }
}
