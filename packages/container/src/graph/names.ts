import { containerError } from "../errors.ts";
import type { AnyDefinition } from "@steward/core/container";
import type { Overrides } from "./node.ts";

/** Names of nodes, with their indices. */
type Names = Map<string, number>;

/**
 * Gives a node the name of its definition.
 *
 * @param replaces Whether the node that has the name already stands in the place of this one, or this one in the place of that.
 * @throws {GRAPH_DUPLICATE_NAME} when another resource has the name.
 */
export function uniqueName(names: Names, name: string, index: number, replaces: (taken: number) => boolean): string {
  const taken = names.get(name);
  if (taken === undefined) {
    names.set(name, index);
    return name;
  }
  if (replaces(taken)) return numberedName(names, name, index);
  throw containerError(
    "GRAPH_DUPLICATE_NAME",
    `two resources are named "${name}": names are for errors, health and byName, so each needs its own`,
    { resource: name },
  );
}

/** The name with a number behind it where it is taken: of an instance for one edge, or an original that its wrapper replaces. */
export function numberedName(names: Names, name: string, index: number): string {
  let unique = name;
  for (let number = 2; names.has(unique); number++) unique = `${name}#${number}`;
  names.set(unique, index);
  return unique;
}

/** Whether one of two definitions is overridden by the other. */
export function areInPlace(overrides: Overrides, a: AnyDefinition, b: AnyDefinition | undefined): boolean {
  return (
    b !== undefined &&
    [[a, b] as const, [b, a] as const].some(([original, by]) => {
      const override = overrides.get(original);
      return override?.kind === "definition" && override.definition === by;
    })
  );
}
