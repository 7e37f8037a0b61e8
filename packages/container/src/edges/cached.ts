import type { Binding } from "@steward/core";
import { assertShape, type EdgeSpec, recognised } from "@steward/core/container";
import { containerError } from "../errors.ts";
import type { AnyDefinition } from "../graph/graph.ts";
import type { StepHost } from "../scope/plan.ts";

type CachedEdge = Extract<EdgeSpec, { kind: "cached" }>;

/** What a cached need hands over: an instance, or with a key the function that gives one for each key. */
export function cachedValue(definition: AnyDefinition, { ttlMs, keyed }: CachedEdge, host: StepHost): unknown {
  if (keyed === undefined) return host.cached({ definition, ttlMs, keyed });
  const { input, max } = keyed;
  const known = new Map<unknown, Promise<unknown>>(); // what the asker was given stays the same for as long as it lives
  return async (value: unknown): Promise<unknown> => {
    assertShape(`the key of cached(${definition.name})`, keyRule(), value);
    if (!host.isOpen) throw ended(definition);
    let instance = known.get(value);
    if (instance === undefined) {
      const binding: Binding = { input, value };
      instance = Promise.resolve(host.cached({ definition, ttlMs, keyed: { binding, max } }));
      known.set(value, instance);
      instance.catch(() => known.delete(value)); // it is tried anew
    }
    return instance;
  };
}

const keyRule = () => recognised(isKey, "a string, a number, a bigint or a boolean");

function isKey(value: unknown): boolean {
  return ["string", "number", "bigint", "boolean"].includes(typeof value) && !Number.isNaN(value);
}

function ended({ name }: AnyDefinition): Error {
  const message = `"${name}" was asked for when its scope had ended; take what you need before the work of the scope settles`;
  return containerError("SCOPE_CLOSED", message, { resource: name });
}
