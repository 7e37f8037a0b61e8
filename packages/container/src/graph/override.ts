import type { Definition } from "@steward/core";
import { specOf, type Bare, type HeldLifetime, type Need, type Reachable } from "@steward/core/container";
import { nearest } from "@steward/core/driver";
import { containerError } from "../errors.ts";
import { targetsOfNeed, type AnyDefinition, type Overrides } from "./graph.ts";

/** How long a replacement of what has the reach `R` may live. */
export type ReplacementReach<R extends string> = Reachable[Bare<R> & HeldLifetime] | R;

/** `unknown` for what may replace a definition; what it has to be, or a sentence, for what may not. */
export type ReplacementFor<V, R extends string, X> =
  X extends Need<infer W, infer S, string>
    ? Bare<S> extends Reachable[Bare<R> & HeldLifetime]
      ? S extends ReplacementReach<R>
        ? [W] extends [V]
          ? unknown
          : Definition<V, R, string>
        : "the replacement may be absent (optional or disabled), and what it replaces may not"
      : `a ${Bare<S>} resource cannot replace ${Bare<R> extends "application" ? "an" : "a"} ${Bare<R>} resource: it lives shorter`
    : never;

/** Refuses an override of what the container does not need: most often a mistyped or a second definition. */
export function refuseUnusedOverrides(roots: readonly AnyDefinition[], overrides: Overrides): void {
  if (overrides.size === 0) return;
  const known = reachableFrom(roots, overrides);
  const names = new Map([...known].map((definition) => [definition.name, definition]));
  for (const definition of overrides.keys()) {
    if (known.has(definition) || !isHeld(definition)) continue;
    const near = nearest(definition.name, names.keys());
    const hint = names.has(definition.name)
      ? "it needs another definition of that name: override that one"
      : near === undefined
        ? "nothing in this container needs it"
        : `nothing in this container needs it; did you mean "${near}"?`;
    throw containerError("NOT_IN_GRAPH", `the override of "${definition.name}" replaces nothing: ${hint}`, {
      resource: definition.name,
    });
  }
}

/** What scopes alone may use comes with what asks for it, so it cannot be known to be unused. */
function isHeld({ lifetime }: AnyDefinition): boolean {
  return lifetime === "application" || lifetime === "process";
}

/** Everything that the roots may lead to, with overrides and without: an override may make another one needless. */
function reachableFrom(roots: readonly AnyDefinition[], overrides: Overrides): Set<AnyDefinition> {
  const known = new Set<AnyDefinition>();
  const visit = (definition: AnyDefinition): void => {
    if (known.has(definition)) return;
    known.add(definition);
    const override = overrides.get(definition);
    if (override?.kind === "definition") visit(override.definition);
    for (const need of Object.values(specOf(definition).needs)) for (const target of targetsOfNeed(need)) visit(target);
  };
  for (const root of roots) visit(root);
  return known;
}
