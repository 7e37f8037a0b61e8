import { originOf, specOf, type AnyDefinition } from "@steward/core/container";
import { containerError } from "../errors.ts";
import type { Override } from "./node.ts";

/** What a strict container may start although it reaches the outside; `undefined` for a container that is not strict. */
export type Allowed = ReadonlySet<AnyDefinition> | undefined;

/**
 * Refuses, all at once, what reaches the outside and was neither overridden nor allowed. A replacement may start: the
 * test chose it. What a replacement needs is judged like anything else.
 *
 * @throws {NOT_OVERRIDDEN} naming each with the reason.
 */
export function refuseOutside(
  asker: "container" | "scope",
  definitions: Iterable<AnyDefinition>,
  overrides: Iterable<readonly [AnyDefinition, Override]>,
  allowed: Allowed,
): void {
  if (allowed === undefined) return;
  const chosen = new Set([
    ...allowed,
    ...[...overrides].map(([key, by]) => (by.kind === "value" ? key : by.definition)),
  ]);
  const refused = new Map<string, string>();
  for (const definition of definitions) {
    const reason = chosen.has(originOf(definition)) ? undefined : reachOf(definition);
    if (reason !== undefined) refused.set(definition.name, `"${definition.name}" (${reason})`);
  }
  const [first, ...others] = refused.keys();
  if (first === undefined) return;
  const message =
    `the ${asker} is strict, and ${others.length === 0 ? "this reaches" : `these ${refused.size} reach`} the outside without an override: ` +
    `${[...refused.values()].join(", ")}; override each, as with .override(${first}, fake), or let it start, as with .strict([${first}])`;
  throw containerError("NOT_OVERRIDDEN", message, { resource: first });
}

/** Why a definition is taken to reach the outside; `undefined` for what only combines others. */
function reachOf(definition: AnyDefinition): string | undefined {
  const { kind, needs, managed, probe, guard, enabled } = specOf(definition);
  if (kind === "input" || enabled === false) return undefined;
  if (managed !== undefined) return `driver ${managed.driver}`;
  if (guard !== undefined) return "has a guard";
  if (probe !== undefined) return "has a probe";
  return Object.keys(needs).length === 0 ? "needs nothing, so its start has all by itself" : undefined;
}
