import { assertShape, oneOf, type Rule } from "@steward/core/container";
import type { GraphView, NodeView } from "./view.ts";

/** How a graph can be shown. */
export type ExplainFormat = "text" | "mermaid" | "json";

/** What can be explained: a container, running or not. */
export interface GraphSource {
  graph(): GraphView;
}

/** One resource as `explain(app, "json")` shows it. */
interface ExplainedNode extends NodeView {
  /** Whether the start had to wait for it. */
  readonly critical: boolean;
}

const formatRule = (): Rule => oneOf("text", "mermaid", "json");

/**
 * The graph of a container for people and programs, as text, Mermaid or JSON, with start times and the critical path
 * where it runs. Before the start, inputs of the application show without a value.
 *
 * @throws {OPTIONS_INVALID} for another format.
 *
 * @example
 * ```ts
 * import { resource } from "@steward/core";
 * import { container, explain } from "@steward/container";
 * const config = resource("config", { start: () => ({ url: "x" }) });
 * const db = resource("db", { needs: { config }, start: ({ config }) => config.url });
 * console.log(explain(container([db])).split("\n")[1]); // =>   db: not started; needs config
 * ```
 */
export function explain(source: GraphSource, format: ExplainFormat = "text"): string {
  assertShape("explain", formatRule(), format);
  const { nodes } = source.graph();
  const path = criticalPath(nodes);
  const explained = nodes.map((node) => ({ ...node, startedInMs: tenths(node), critical: path.includes(node) }));
  const names = path.map((node) => node.name);
  if (format === "json") {
    const criticalPathMs = endOf(path.at(-1)) - (path.length === 0 ? 0 : startOf(nodes));
    return JSON.stringify({ nodes: explained, criticalPath: names, criticalPathMs }, undefined, 2);
  }
  return format === "mermaid" ? mermaid(explained) : text(explained, names);
}

function tenths({ startedInMs }: NodeView): number | undefined {
  return startedInMs === undefined ? undefined : Math.round(startedInMs * 10) / 10;
}

/** The chain of nodes that the start had to wait for: from the one that was up last, always to its latest need. */
function criticalPath(nodes: readonly NodeView[]): NodeView[] {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const path: NodeView[] = [];
  let at = latest(nodes);
  while (at !== undefined) {
    path.unshift(at);
    at = latest(at.needs.flatMap((need) => byName.get(need.name) ?? []));
  }
  return path;
}

function latest(nodes: readonly NodeView[]): NodeView | undefined {
  let best: NodeView | undefined;
  for (const node of nodes)
    if (node.startedInMs !== undefined && (best === undefined || endOf(node) >= endOf(best))) best = node;
  return best;
}

function endOf(node: NodeView | undefined): number {
  return (node?.startedAtMs ?? 0) + (node?.startedInMs ?? 0);
}

function startOf(nodes: readonly NodeView[]): number {
  return Math.min(...nodes.flatMap((node) => node.startedAtMs ?? []));
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
