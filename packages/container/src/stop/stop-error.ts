import { describeError } from "@steward/core/container";
import { StopError, type NodeFailure } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import type { LiveNode } from "../lifecycle/live-node.ts";
import { neededBy } from "../lifecycle/state.ts";

/** The one error of a failed stop: what failed, after how long, and what it held up. */
export function stopError(graph: Graph, failures: readonly NodeFailure[], stopped: readonly LiveNode[]): StopError {
  const isOfResource = ({ resource }: NodeFailure): boolean => graph.byName.has(resource);
  const ofResources = failures.filter(isOfResource);
  const failed = new Set(ofResources.map((failure) => failure.resource)).size;
  const all = new Set(stopped.map((node) => node.name)).size;
  const head =
    failed === 0 ? "the container did not stop cleanly" : `${failed} of ${all} resources did not stop cleanly`;
  const lines = [
    ...ofResources.map((failure) => `"${failure.resource}" ${whatFailed(failure)}${heldUp(graph, failure.resource)}`),
    ...failures
      .filter((failure) => !isOfResource(failure))
      .map((failure) => `${failure.resource} ${whatFailed(failure)}`),
  ];
  return new StopError(`${head}:\n  ${lines.join("\n  ")}`, failures);
}

function whatFailed({ phase, durationMs, cause }: NodeFailure): string {
  return `in ${phase} after ${Math.round(durationMs)} ms: ${describeError(cause)}`;
}

/** What had to wait for a resource to stop: everything it needs. */
function heldUp(graph: Graph, name: string): string {
  const node = graph.nodes[graph.byName.get(name) ?? -1];
  const waiting = node === undefined ? [] : [...neededBy(graph, node)].map((needed) => needed.name);
  return waiting.length === 0 ? "" : `; held up: ${waiting.join(", ")}`;
}
