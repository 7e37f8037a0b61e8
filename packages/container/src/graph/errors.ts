import type { AnyDefinition, Spec } from "@steward/core/container";
import { containerError } from "../errors.ts";

/** The error of a scope that asks for what the container does not hold. */
export function notHeld(absent: readonly { readonly name: string }[]): Error {
  const names = [...new Set(absent.map((node) => `"${node.name}"`))].join(", ");
  const message = `this container does not hold ${names}: add it to the roots of container([...])`;
  return containerError("NOT_IN_GRAPH", message, { resource: absent[0]?.name });
}

export function replacesNothing({ name }: AnyDefinition): Error {
  const message = `the override of "${name}" replaces nothing this container holds`;
  return containerError("NOT_IN_GRAPH", message, { resource: name });
}

/** The error of an input without a value. `path` leads to it from a root. */
export function inputMissing(name: string, path: readonly AnyDefinition[]): Error {
  const needed = path.length < 2 ? "" : ` (needed by ${namesOf(path.slice(0, -1))})`;
  const message = `the input "${name}" has no value: give ${name}.is(...) when the container starts${needed}`;
  return containerError("INPUT_MISSING", message, { resource: name });
}

/** The error where `asker` would hold an object that there may not be. */
export function absent(asker: string, name: string): Error {
  const message = `${asker} needs "${name}", which is optional and has no object while it is down: need it as current(${name})`;
  return containerError("GRAPH_OPTIONAL", message, { resource: name });
}

/** The error of definitions that need one another: the first of `path` is the last, too. */
export function cycle(path: readonly AnyDefinition[]): Error {
  const message = `these need one another: ${namesOf(path)}; take one edge out, or let one of them take what it needs as an argument`;
  return containerError("GRAPH_CYCLE", message, { resource: path.at(-1)?.name });
}

/** The error where what lives longer would hold what lives shorter. */
export function captive(spec: Spec, key: string): Error {
  const article = spec.lifetime === "application" ? "an" : "a";
  const message = `"${spec.name}": ${article} ${spec.lifetime} resource cannot need '${key}': it lives shorter`;
  return containerError("GRAPH_CAPTIVE", message, { resource: spec.name });
}

function namesOf(path: readonly AnyDefinition[]): string {
  return path.map((definition) => definition.name).join(" -> ");
}
