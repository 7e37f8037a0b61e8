import type { Edge, Graph, GraphNode } from "./graph.ts";
import type { LiveNode } from "../lifecycle/live-node.ts";

/** A need of a resource, as it is shown. */
export interface EdgeView {
  /** The name under which it is handed over. */
  readonly key: string;
  /** The name of the resource that it leads to. */
  readonly name: string;
  /** `plain`, `lazy`, `fresh`, `transient` or `current`; `condition` and `when` for a choice and its branches. */
  readonly kind: string;
  readonly optional: boolean;
}

/** A resource, as it is shown. */
export interface NodeView {
  readonly name: string;
  readonly lifetime: string;
  /** The kind of driver; `undefined` for a plain resource. */
  readonly driver: string | undefined;
  readonly needs: readonly EdgeView[];
  /** Its phase, or `given`, `disabled` or `not started`. */
  readonly state: string;
  /** When its start began, in ms from the first start of all; `undefined` where it has not started. */
  readonly startedAtMs: number | undefined;
  /** How long its start took, in ms; `undefined` where it is not up. */
  readonly startedInMs: number | undefined;
}

/** The resources of a container and what each needs, in the order of the graph: what is needed stands first. */
export interface GraphView {
  readonly nodes: readonly NodeView[];
}

type Live = readonly (LiveNode | undefined)[];

/** The graph as data. */
export function viewOf(graph: Graph, live: Live): GraphView {
  const starts = live.flatMap((node) => node?.since ?? []);
  const first = Math.min(...starts);
  return { nodes: graph.nodes.map((node) => nodeView(graph, node, live[node.index], first)) };
}

function nodeView(graph: Graph, node: GraphNode, live: LiveNode | undefined, first: number): NodeView {
  return {
    name: node.name,
    lifetime: node.definition.lifetime,
    driver: node.spec.managed?.driver,
    needs: node.edges.flatMap((edge) => edgeViews(graph, edge)),
    state: stateOf(node, live),
    startedAtMs: live === undefined ? undefined : live.since - first,
    startedInMs: live?.startedInMs,
  };
}

function edgeViews(graph: Graph, edge: Edge): EdgeView[] {
  const name = (index: number): string => graph.nodes[index]?.name ?? "";
  const { key, optional } = edge;
  if (edge.kind !== "when") return [{ key, name: name(edge.to), kind: edge.instance ?? edge.kind, optional }];
  const branches = [edge.whenTrue, edge.whenFalse].flatMap((branch) => edgeViews(graph, branch));
  return [
    { key, name: name(edge.condition), kind: "condition", optional },
    ...branches.map((need) => ({ ...need, kind: need.kind === "plain" ? "when" : `when ${need.kind}` })),
  ];
}

function stateOf(node: GraphNode, live: LiveNode | undefined): string {
  if (node.constant !== undefined) return "given";
  if (live === undefined) return node.spec.enabled === false ? "disabled" : "not started";
  return live.disabled ? "disabled" : (live.manager?.phase ?? "ready");
}
