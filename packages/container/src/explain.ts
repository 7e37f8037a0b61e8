import { indicesOf } from "./assembly.ts";
import type { Edge, Graph, GraphNode } from "./graph.ts";
import type { LiveNode } from "./node.ts";

/** How a graph can be shown. */
export type ExplainFormat = "text" | "mermaid" | "json";

type Live = readonly (LiveNode | undefined)[];

/** One resource as `explain("json")` shows it. */
interface ExplainedNode {
  readonly name: string;
  readonly lifetime: string;
  readonly driver: string | undefined;
  readonly needs: readonly {
    readonly key: string;
    readonly name: string;
    readonly kind: string;
    readonly optional: boolean;
  }[];
  readonly state: string;
  readonly startedInMs: number | undefined;
  readonly critical: boolean;
}

/** The graph for people and programs, with start times and the critical path where it has been started. */
export function explain(graph: Graph, format: ExplainFormat, live: Live): string {
  const path = criticalPath(graph, live);
  const nodes = graph.nodes.map((node) => describe(graph, node, live[node.index], path));
  if (format === "json")
    return JSON.stringify(
      {
        nodes,
        criticalPath: path.map((i) => graph.nodes[i]?.name),
        criticalPathMs: endOf(live, path.at(-1)) - startOf(live),
      },
      undefined,
      2,
    );
  return format === "mermaid"
    ? mermaid(nodes)
    : text(
        nodes,
        path.map((i) => graph.nodes[i]?.name ?? ""),
      );
}

function describe(graph: Graph, node: GraphNode, live: LiveNode | undefined, path: readonly number[]): ExplainedNode {
  const startedInMs = live?.startedInMs === undefined ? undefined : Math.round(live.startedInMs * 10) / 10;
  return {
    name: node.name,
    lifetime: node.definition.lifetime,
    driver: node.spec.managed?.driver,
    needs: node.edges.flatMap((edge) => needsOf(graph, edge)),
    state: stateOf(node, live),
    startedInMs,
    critical: path.includes(node.index),
  };
}

function needsOf(graph: Graph, edge: Edge): ExplainedNode["needs"][number][] {
  if (edge.kind !== "when")
    return [{ key: edge.key, name: graph.nodes[edge.to]?.name ?? "", kind: edge.kind, optional: edge.optional }];
  const condition = {
    key: edge.key,
    name: graph.nodes[edge.condition]?.name ?? "",
    kind: "condition",
    optional: edge.optional,
  };
  return [
    condition,
    ...[edge.whenTrue, edge.whenFalse].flatMap((branch) =>
      needsOf(graph, branch).map((need) => ({ ...need, kind: "when" })),
    ),
  ];
}

function stateOf(node: GraphNode, live: LiveNode | undefined): string {
  if (node.constant !== undefined) return "given";
  if (live === undefined) return node.spec.enabled === false ? "disabled" : "not started";
  return live.disabled ? "disabled" : (live.manager?.phase ?? "ready");
}

/** The chain of nodes that the start had to wait for: from the one that was up last, always to its latest need. */
function criticalPath(graph: Graph, live: Live): number[] {
  const path: number[] = [];
  let at = latest(
    live,
    graph.nodes.map((node) => node.index),
  );
  while (at !== undefined) {
    path.unshift(at);
    at = latest(live, graph.nodes[at]?.edges.flatMap(indicesOf) ?? []);
  }
  return path;
}

function latest(live: Live, indices: readonly number[]): number | undefined {
  let best: number | undefined;
  for (const index of indices)
    if (live[index]?.startedInMs !== undefined && (best === undefined || endOf(live, index) >= endOf(live, best)))
      best = index;
  return best;
}

function endOf(live: Live, index: number | undefined): number {
  const node = index === undefined ? undefined : live[index];
  return node === undefined ? 0 : node.since + (node.startedInMs ?? 0);
}

function startOf(live: Live): number {
  const starts = live.flatMap((node) => node?.since ?? []);
  return starts.length === 0 ? 0 : Math.min(...starts);
}

function text(nodes: readonly ExplainedNode[], path: readonly string[]): string {
  const lines = nodes.map((node) => {
    const needs = node.needs
      .map((need) => `${need.name}${need.kind === "plain" ? "" : ` (${need.kind})`}${need.optional ? "?" : ""}`)
      .join(", ");
    const time = node.startedInMs === undefined ? "" : ` in ${node.startedInMs} ms`;
    return `${node.critical ? "*" : " "} ${node.name}${node.driver === undefined ? "" : ` [${node.driver}]`}: ${node.state}${time}${needs === "" ? "" : `; needs ${needs}`}`;
  });
  return [...lines, ...(path.length === 0 ? [] : [`* critical path: ${path.join(" -> ")}`])].join("\n");
}

function mermaid(nodes: readonly ExplainedNode[]): string {
  const id = new Map(nodes.map((node, i) => [node.name, `n${i}`]));
  const boxes = nodes.map(
    (node) =>
      `  ${id.get(node.name)}["${node.name.replaceAll('"', "&quot;")}${node.startedInMs === undefined ? "" : `<br/>${node.startedInMs} ms`}"]${node.critical ? ":::critical" : ""}`,
  );
  const arrows = nodes.flatMap((node) =>
    node.needs.map(
      (need) => `  ${id.get(node.name)} ${need.kind === "plain" ? "-->" : `-. ${need.kind} .->`} ${id.get(need.name)}`,
    ),
  );
  return ["flowchart LR", ...boxes, ...arrows, "  classDef critical stroke-width:3px"].join("\n");
}
