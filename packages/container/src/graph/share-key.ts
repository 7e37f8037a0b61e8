import type { Edge, GraphNode } from "./graph.ts";
import { ProcessShare } from "../lifecycle/process-share.ts";
import { chosen, type NodeSource } from "../lifecycle/state.ts";

/**
 * What the needs of a `process` resource resolve to. Containers share an instance where this is the same, so that an
 * override or an input of one never reaches another. What only this container has (a lazy or current edge, an
 * instance of its own) makes the instance its own too.
 */
export function shareKey(from: NodeSource, node: GraphNode, container: object): readonly unknown[] {
  return node.edges.flatMap((edge) => partsOf(from, edge, container));
}

function partsOf(from: NodeSource, edge: Edge, container: object): unknown[] {
  if (edge.kind === "when")
    return [from.live(edge.condition)?.valueIfUp, ...partsOf(from, chosen(from, edge), container)];
  if (edge.kind !== "plain") return [container];
  const live = from.live(edge.to);
  if (live === undefined || live.disabled) return [undefined];
  if (live.graph.constant !== undefined) return [live.graph.constant.value];
  return [live.manager instanceof ProcessShare ? live.manager.inner : live];
}
