import type { Clock } from "@steward/core";
import type { BackgroundEnd } from "./background.ts";
import { containerError } from "./errors.ts";
import type { Edge, Graph, GraphNode } from "./graph.ts";
import type { LiveNode } from "./node.ts";

/** One generation of instances: what askers hold together. A restart makes the next one. */
export interface Generation {
  /** Values by node index, for the plans of scopes. `undefined` where a node is disabled or has not started. */
  readonly values: unknown[];
  /** Instances by node index. */
  readonly live: (LiveNode | undefined)[];
  /** Starts in flight, by node index, so that nothing is started twice. */
  readonly begun: Map<number, Promise<void>>;
  /** Open scopes and uses that hold values of it. */
  borrowers: number;
  /** Called when the last borrower has gone. */
  onIdle: (() => void) | undefined;
}

/** An empty generation, or one that begins with what another holds. */
export function nextGeneration(size: number, before?: Generation): Generation {
  const values = before === undefined ? new Array<unknown>(size).fill(undefined) : before.values.slice();
  const live = before === undefined ? new Array<LiveNode | undefined>(size).fill(undefined) : before.live.slice();
  return { values, live, begun: new Map(), borrowers: 0, onIdle: undefined };
}

/** What a container is made of once it runs: the graph, the clock, and the generation of now. */
export interface Assembly {
  readonly graph: Graph;
  readonly clock: Clock;
  current: Generation;
  /** Announces that the background work of a resource ended although nothing had asked it to. */
  readonly onBackgroundEnd: (end: BackgroundEnd) => void;
  /** Starts what a lazy edge points to, once, and gives its value. */
  startLazily(index: number): Promise<unknown>;
}

/** The holder that a `current(...)` edge hands over. */
export function holderOf(assembly: Assembly, index: number): { readonly current: unknown } {
  return {
    get current() {
      const node = assembly.current.live[index];
      if (node === undefined)
        throw containerError("NOT_IN_GRAPH", `"${assembly.graph.nodes[index]?.name}" has not been started`);
      return node.value;
    },
  };
}

/** What an edge hands to its asker, from the instances of a generation. */
export function valueOfEdge(assembly: Assembly, from: Generation, asker: string, edge: Edge): unknown {
  if (edge.kind === "when")
    return valueOfEdge(assembly, from, asker, edge.test(from.values[edge.condition]) ? edge.whenTrue : edge.whenFalse);
  const disabled = from.live[edge.to]?.disabled === true || assembly.graph.nodes[edge.to]?.spec.enabled === false;
  if (disabled && !edge.optional) throw disabledError(asker, assembly.graph.nodes[edge.to]);
  if (disabled) return undefined;
  if (edge.kind === "lazy") return () => assembly.startLazily(edge.to);
  return edge.kind === "current" ? holderOf(assembly, edge.to) : from.values[edge.to];
}

function disabledError(asker: string, node: GraphNode | undefined): Error {
  const name = node?.name ?? "";
  return containerError(
    "GRAPH_DISABLED",
    `"${asker}" needs "${name}", which configuration disabled: need it as optional(${name})`,
    { resource: asker },
  );
}

/** What a node is handed as its needs. */
export function needsOf(assembly: Assembly, from: Generation, node: GraphNode): Record<string, unknown> {
  const needs: Record<string, unknown> = {};
  for (const edge of node.edges) needs[edge.key] = valueOfEdge(assembly, from, node.name, edge);
  return needs;
}

/** For every node, the nodes that have an edge to it. */
export function dependantsOf(graph: Graph): number[][] {
  const dependants = graph.nodes.map((): number[] => []);
  for (const node of graph.nodes)
    for (const edge of node.edges) for (const to of indicesOf(edge)) dependants[to]?.push(node.index);
  return dependants;
}

/** Every index that an edge may lead to. */
export function indicesOf(edge: Edge): number[] {
  return edge.kind === "when" ? [edge.condition, ...indicesOf(edge.whenTrue), ...indicesOf(edge.whenFalse)] : [edge.to];
}

/** Everything that a node needs, directly or through others. */
export function neededBy(graph: Graph, node: GraphNode, found: Set<GraphNode> = new Set<GraphNode>()): Set<GraphNode> {
  for (const edge of node.edges)
    for (const index of indicesOf(edge)) {
      const needed = graph.nodes[index];
      if (needed === undefined || found.has(needed)) continue;
      found.add(needed);
      neededBy(graph, needed, found);
    }
  return found;
}
