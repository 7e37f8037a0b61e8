import { isDefinition, type AnyDefinition } from "@steward/core/container";

/** The name under which a route needs what keeps its answers. */
export const STORE = "store of answers";

/** The definition of a store, where it is one. */
export function storeDefinition(store: unknown): AnyDefinition | undefined {
  return isDefinition(store) ? store : undefined;
}

/** The store itself, from the values of a route's needs where it is a definition. */
export function storeIn<S extends object>(store: unknown, values: unknown): S {
  return (isDefinition(store) ? (values as Readonly<Record<string, unknown>>)[STORE] : store) as S; // the route needs it under that name; the shape of its options has checked it
}
