import type { Graph } from "./graph.ts";

/** What is up before anything else of a container starts: where the start would reach it anyway. */
export function firstOfAll(graph: Graph): number[] {
  const reached = new Set(graph.roots);
  for (const index of reached)
    for (const edge of graph.nodes[index]?.edges ?? [])
      if (edge.kind !== "lazy") reached.add(edge.kind === "when" ? edge.condition : edge.to); // a loop over a set reaches what is added meanwhile
  return [...reached].filter((index) => graph.nodes[index]?.spec.managed?.first === true);
}
