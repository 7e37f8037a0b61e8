import { StewardError, type Clock } from "@steward/core";
import type { NodeFailure } from "../errors.ts";
import type { LiveNode } from "../lifecycle/live-node.ts";

/** What came of stopping nodes. */
export interface StoppedNodes {
  /** Names in the order in which they stopped. */
  readonly order: readonly string[];
  readonly failures: readonly NodeFailure[];
}

/** Which nodes have to be done before a node, by index. */
export type Before = (index: number) => Iterable<number>;

/** The two ends of the time for a stop. */
export interface StopTime {
  /** Aborts when what is left has to stop by force. */
  readonly force: AbortSignal;
  /** Aborts when nothing is waited for any more. */
  readonly over: AbortSignal;
}

/**
 * Does `act` for every node once it is done for all that come before it; a failure holds up none. Instances of two
 * generations may be among them: all of a node come after all of those that come before it.
 */
export async function inOrder(
  nodes: readonly LiveNode[],
  before: Before,
  act: (node: LiveNode) => Promise<void> | void,
): Promise<void> {
  const byIndex = new Map<number, LiveNode[]>();
  for (const node of nodes) byIndex.set(node.graph.index, [...(byIndex.get(node.graph.index) ?? []), node]);
  const begun = new Map<LiveNode, Promise<void>>();
  const begin = (node: LiveNode): Promise<void> => {
    let done = begun.get(node);
    if (done === undefined) begun.set(node, (done = run(node)));
    return done;
  };
  const run = async (node: LiveNode): Promise<void> => {
    const earlier = [...before(node.graph.index)].flatMap((index) => byIndex.get(index) ?? []);
    if (earlier.length > 0) await Promise.all(earlier.map(begin));
    await act(node);
  };
  await Promise.all(nodes.map(begin));
}

/**
 * Stops nodes in reverse, in parallel where the graph allows; collects every failure. When time is over, what is left
 * is still asked to stop, in order, and not waited for.
 */
export async function stopNodes(
  clock: Clock,
  nodes: readonly LiveNode[],
  before: Before,
  time: StopTime,
): Promise<StoppedNodes> {
  const order: string[] = [];
  const failures: NodeFailure[] = [];
  const waiting = new Set<() => void>();
  const onOver = (): void => {
    for (const leave of waiting) leave();
  };
  time.over.addEventListener("abort", onOver, { once: true });
  await inOrder(nodes, before, async (node) => {
    if (node.manager === undefined) return;
    const since = clock.now();
    try {
      await unlessOver(node.name, node.manager.stop({ signal: time.force }), time.over, waiting);
    } catch (cause) {
      failures.push({ resource: node.name, phase: "stop", durationMs: clock.now() - since, cause });
    }
    order.push(node.name);
  });
  time.over.removeEventListener("abort", onOver);
  return { order, failures };
}

/** Waits for a stop until time is over; one that takes no time at all has its turn even then. */
function unlessOver(name: string, stopping: Promise<void>, over: AbortSignal, waiting: Set<() => void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = (): void => void atOnce().then(() => reject(leftBehind(name)));
    if (over.aborted) leave();
    else waiting.add(leave);
    stopping.then(
      () => {
        waiting.delete(leave);
        resolve();
      },
      (cause: unknown) => {
        waiting.delete(leave);
        reject(cause);
      },
    );
  });
}

/** Promise callbacks that work which waits for nothing may take to settle. */
const MOST_CALLBACKS = 50;

/** Resolves once all work that waits for nothing has settled; no time passes. */
export async function atOnce(): Promise<void> {
  for (let i = 0; i < MOST_CALLBACKS; i++) await undefined;
}

function leftBehind(name: string): Error {
  return new StewardError("STOP_TIMEOUT", `${name}: the time for the stop is over; it is left behind`, {
    resource: name,
  });
}
