import { isStewardError } from "@steward/core";
import { untilAborted } from "../lifecycle/caller.ts";
import { containerError } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import type { Restarts } from "./restarts.ts";
import type { ChangeOrder } from "../start/node-starts.ts";
import { indicesOf, type ContainerState } from "../lifecycle/state.ts";

/** What a change of a value needs of the container. */
export interface ChangeHost {
  readonly graph: Graph;
  readonly state: ContainerState;
  readonly dependants: readonly (readonly number[])[];
  readonly restarts: Restarts;
}

/**
 * Puts a new value in the place of a node's, as a whole: what it concerns starts anew with the new value, and both come
 * in use in one tick. When one of these does not start, nothing has changed. A change during the start waits for its end.
 *
 * @throws {RESTART_FAILED} when something that it concerns does not start with it.
 */
export async function changeValue(
  { graph, state, dependants, restarts }: ChangeHost,
  started: Promise<void> | undefined,
  { index, manager, change: { next, concerns, commit }, signal }: ChangeOrder,
): Promise<void> {
  if (started !== undefined) await untilAborted(started, signal);
  const name = graph.nodes[index]?.name ?? "";
  if (state.live(index)?.manager !== manager)
    throw containerError("RESTART_FAILED", `"${name}" is not in use any more`, { resource: name });
  const roots = (dependants[index] ?? []).filter((dependant) => {
    const node = graph.nodes[dependant];
    return node !== undefined && needsAlways(node.edges, index) && concerns(node.definition);
  });
  try {
    await restarts.restart(index, signal, { roots, next: { index, value: next }, commit });
  } catch (error) {
    if (restarts.isOpen || !isStewardError(error, "RESTART_FAILED")) throw error;
    await restarts.restart(index, undefined, { roots: [], commit: () => {} }); // what had to stop first starts with the old value
    throw error;
  }
}

function needsAlways(edges: Graph["nodes"][number]["edges"], index: number): boolean {
  return edges.some((edge) => edge.kind === "plain" && indicesOf(edge).includes(index));
}
