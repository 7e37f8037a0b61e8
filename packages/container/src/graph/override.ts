import type { Definition } from "@steward/core";
import {
  type Bare,
  type HeldLifetime,
  nearest,
  type Need,
  type Reachable,
  rootsOf,
  specOf,
} from "@steward/core/container";
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

/** Refuses what an override, or a strict container, names although nothing needs it: most often a mistyped or a second definition. */
export function refuseUnused(
  by: "override" | "strict",
  named: Iterable<AnyDefinition>,
  roots: readonly AnyDefinition[],
  overrides: Overrides,
): void {
  const held = [...named].filter(isHeld);
  if (held.length === 0) return;
  const known = reachableFrom(roots, overrides);
  const names = new Map([...known].map((definition) => [definition.name, definition]));
  for (const definition of held) {
    if (known.has(definition)) continue;
    const near = nearest(definition.name, names.keys());
    const hint = names.has(definition.name)
      ? "it needs another definition of that name: give that one"
      : near === undefined
        ? "nothing in this container needs it"
        : `nothing in this container needs it; did you mean "${near}"?`;
    const what =
      by === "override" ? `the override of "${definition.name}" replaces` : `strict(["${definition.name}"]) allows`;
    throw containerError("NOT_IN_GRAPH", `${what} nothing: ${hint}`, { resource: definition.name });
  }
}

/** What scopes alone may use comes with what asks for it, so it cannot be known to be unused. */
function isHeld({ lifetime }: AnyDefinition): boolean {
  return lifetime === "application" || lifetime === "process";
}

/** Everything that the roots may lead to, with overrides and without: an override may make another one needless. */
function reachableFrom(roots: readonly AnyDefinition[], overrides: Overrides): Set<AnyDefinition> {
  const known = new Set<AnyDefinition>();
  const add = (definition: AnyDefinition): void => {
    if (known.has(definition)) return;
    known.add(definition);
    const override = overrides.get(definition);
    if (override?.kind === "definition") add(override.definition);
    for (const need of Object.values(specOf(definition).needs)) for (const target of targetsOfNeed(need)) add(target);
    for (const root of rootsOf(definition)) add(root);
  };
  for (const root of roots) add(root);
  return known;
}
