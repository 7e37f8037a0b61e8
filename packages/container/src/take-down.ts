import { describeError, type Clock } from "@steward/core";
import type { NodeFailure } from "./errors.ts";
import type { LiveNode } from "./node.ts";

/** What came of stopping nodes. */
export interface TakenDown {
  /** Names in the order in which they stopped. */
  readonly order: readonly string[];
  readonly failures: readonly NodeFailure[];
}

/** Which nodes have to be done before a node, by index. */
export type Before = (index: number) => Iterable<number>;

/** Does `act` for every node once it is done for all that come before it; a failure holds up nobody. */
export async function inOrder(
  nodes: readonly LiveNode[],
  before: Before,
  act: (node: LiveNode) => Promise<void> | void,
): Promise<void> {
  const byIndex = new Map(nodes.map((node) => [node.graph.index, node]));
  const begun = new Map<number, Promise<void>>();
  const begin = (node: LiveNode): Promise<void> => {
    const index = node.graph.index;
    let done = begun.get(index);
    if (done === undefined) begun.set(index, (done = run(node)));
    return done;
  };
  const run = async (node: LiveNode): Promise<void> => {
    const earlier = [...before(node.graph.index)].flatMap((index) => byIndex.get(index) ?? []);
    if (earlier.length > 0) await Promise.all(earlier.map(begin));
    await act(node);
  };
  await Promise.all(nodes.map(begin));
}

/** Stops nodes in reverse, in parallel where the graph allows; collects every failure. */
export async function takeDown(
  clock: Clock,
  nodes: readonly LiveNode[],
  before: Before,
  signal: AbortSignal | undefined,
): Promise<TakenDown> {
  const order: string[] = [];
  const failures: NodeFailure[] = [];
  await inOrder(nodes, before, async (node) => {
    if (node.manager === undefined) return;
    const since = clock.now();
    try {
      await node.manager.stop({ signal });
    } catch (cause) {
      failures.push({ resource: node.name, phase: "stop", durationMs: clock.now() - since, cause });
    }
    order.push(node.name);
  });
  return { order, failures };
}

/** What a failed stop says: who failed, after how long, and whom it held up. */
export function stopMessage(
  failures: readonly NodeFailure[],
  of: number,
  heldUp: (resource: string) => readonly string[],
): string {
  const lines = failures.map((f) => {
    const waiting = heldUp(f.resource);
    const held = waiting.length === 0 ? "" : `; held up: ${waiting.join(", ")}`;
    return `"${f.resource}" in ${f.phase} after ${Math.round(f.durationMs)} ms: ${describeError(f.cause)}${held}`;
  });
  return `${failures.length} of ${of} resources did not stop cleanly:\n  ${lines.join("\n  ")}`;
}
