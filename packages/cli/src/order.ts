import type { Container, GraphView } from "@steward/container";
import { definitionsHeld } from "@steward/container/framework";
import { specOf, type AnyDefinition } from "@steward/core/container";

/** What a start does, in order. */
export interface StartOrder {
  /** What starts at the same time, in the order of the levels: a level begins with what it needs. */
  readonly levels: readonly (readonly string[])[];
  /** Inputs, whose values come with the start. */
  readonly given: readonly string[];
  /** What starts only when it is used, or not at all. */
  readonly later: readonly string[];
}

/** The order in which a container would start. A resource starts as soon as all it needs is up, so levels are its latest. */
export function startOrder(app: Container<never>, { nodes }: GraphView): StartOrder {
  const held = new Map(definitionsHeld(app).map((definition) => [definition.name, definition]));
  const given = [...held.values()].filter(isInput).map(({ name }) => name);
  const off = nodes.filter(({ state }) => state === "disabled").map(({ name }) => name);
  const starts = nodes.filter(({ name }) => held.has(name) && !given.includes(name) && !off.includes(name));
  const needs = new Map(starts.map((node) => [node.name, waitedFor(node.needs)]));
  const first = new Set<string>();
  const include = (name: string): void => {
    if (!needs.has(name) || first.has(name)) return;
    first.add(name);
    for (const need of needs.get(name) ?? []) include(need);
  };
  for (const { name } of starts) if (isFirst(held.get(name))) include(name);
  const ranks = new Map<string, number>();
  const rankOf = (name: string, least: number): number => {
    const known = ranks.get(name);
    if (known !== undefined) return known;
    const below = (needs.get(name) ?? []).flatMap((need) => (needs.has(need) ? rankOf(need, least) + 1 : []));
    const rank = Math.max(least, ...below);
    ranks.set(name, rank);
    return rank;
  };
  for (const name of first) rankOf(name, 0);
  const rest = Math.max(-1, ...ranks.values()) + 1; // nothing else begins before these are up
  for (const name of needs.keys()) rankOf(name, rest);
  const levels = Array.from({ length: Math.max(-1, ...ranks.values()) + 1 }, (_, level) =>
    [...ranks].filter(([, rank]) => rank === level).map(([name]) => name),
  );
  const later = nodes.filter(({ name }) => !held.has(name)).map(({ name }) => name);
  return { levels, given, later: [...later, ...off.map((name) => `${name} (disabled)`)] };
}

function waitedFor(needs: GraphView["nodes"][number]["needs"]): string[] {
  return needs.filter(({ kind }) => !kind.endsWith("lazy")).map(({ name }) => name);
}

function isInput(definition: AnyDefinition): boolean {
  return "is" in definition;
}

/** Settings are up before the rest begins. */
function isFirst(definition: AnyDefinition | undefined): boolean {
  return definition !== undefined && specOf(definition).managed?.first === true;
}

/** The order in lines. */
export function orderText({ levels, given, later }: StartOrder): string {
  const lines = levels.map((names, i) => `  ${i + 1}. ${names.join(", ")}`);
  return [
    "starts in this order, what stands in one line in parallel:",
    ...(lines.length === 0 ? ["  nothing"] : lines),
    ...(given.length === 0 ? [] : [`given at the start: ${given.join(", ")}`]),
    ...(later.length === 0 ? [] : [`not started with it: ${later.join(", ")}`]),
  ].join("\n");
}
