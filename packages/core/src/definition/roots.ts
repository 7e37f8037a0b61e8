import type { AnyDefinition } from "./types.ts";

const ROOTS = Symbol.for("steward.roots");

interface Holder {
  [ROOTS]?: readonly AnyDefinition[];
}

/**
 * Notes on a definition what a container has to hold beside it, without being needed by it: what the requests of a
 * server need, which listens before that is up.
 */
export function withRoots<D extends AnyDefinition>(definition: D, roots: readonly AnyDefinition[]): D {
  return Object.assign(definition, { [ROOTS]: roots });
}

/** What a container has to hold beside a definition. */
export function rootsOf(definition: AnyDefinition): readonly AnyDefinition[] {
  return (definition as Holder)[ROOTS] ?? []; // set by `withRoots` alone
}
