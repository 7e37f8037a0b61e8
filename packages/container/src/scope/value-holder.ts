import { isThenable, type Needs } from "@steward/core/container";
import type { Cleanup, LifecycleGenerator } from "./cleanups.ts";
import { containerError, didNotYield } from "../errors.ts";
import type { AnyDefinition } from "../graph/graph.ts";
import type { CachedDemand, Plan, PlanKind, Step } from "./plan.ts";
import type { Generation } from "../lifecycle/state.ts";

/** A scope or a session: it makes values from a generation, and undoes what it made. */
export interface ValueHolder {
  readonly generation: Generation;
  willCleanUp(cleanup: Cleanup): void;
}

/** What scopes and sessions ask of the container they belong to. */
export interface ValueHost {
  /** The plan of a set of needs, in a generation. */
  planFor(generation: Generation, needs: Needs, kind: PlanKind): Plan;
  /** Starts an instance for this holder alone. */
  instantiate(definition: AnyDefinition, holder: ValueHolder): Promise<unknown>;
  /** An instance of a cached need; the holder gives it back when it ends. */
  useCached(demand: CachedDemand, holder: ValueHolder): unknown;
  /** Starts what the container holds lazily, and gives its value. */
  lazily(index: number): Promise<unknown>;
}

/** The session that a scope belongs to. */
export interface SessionSource {
  get(definition: AnyDefinition, generation: Generation): Promise<unknown>;
}

/** Enters a lifecycle generator and gives its value, or a promise of it. */
export function enterGenerator(
  holder: ValueHolder,
  definition: AnyDefinition,
  generator: unknown,
  handler: boolean,
): unknown {
  const lifecycle = generator as LifecycleGenerator; // the definition's start is a generator function
  const entered = (first: IteratorResult<unknown>): unknown => {
    if (first.done === true) throw didNotYield(definition.name);
    holder.willCleanUp({ definition, handler, generator: lifecycle, stop: undefined, value: undefined });
    return first.value;
  };
  const first = lifecycle.next();
  return isThenable(first)
    ? first.then((result) => entered(result as IteratorResult<unknown>))
    : entered(first as IteratorResult<unknown>); // a generator answers with one
}

/** Whether it is noted already that a step's value has to be stopped. */
export function isNoted(cleanups: readonly Cleanup[] | undefined, step: Step, value: unknown): boolean {
  return cleanups?.some((cleanup) => cleanup.value === value && cleanup.stop === step.stop) === true;
}

/** The error of an input that has no value. */
export function inputMissing(definition: AnyDefinition): Error {
  return containerError(
    "INPUT_MISSING",
    `the input "${definition.name}" has no value: give ${definition.name}.is(...) where the ${definition.lifetime === "session" ? "session" : "scope"} opens`,
    { resource: definition.name },
  );
}
