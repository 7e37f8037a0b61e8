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
export function inOrder(
  nodes: readonly LiveNode[],
  before: Before,
  act: (node: LiveNode) => Promise<void> | undefined,
): Promise<void> {
  const turns = turnsOf(nodes, before);
  return new Promise((resolve, reject) => {
    let left = turns.length;
    const take = (turn: Turn): void => {
      const acting = act(turn.node);
      if (acting === undefined) end(turn);
      else acting.then(() => end(turn), reject);
    };
    const end = ({ next }: Turn): void => {
      for (const turn of next) if (--turn.waitsFor === 0) take(turn);
      if (--left === 0) resolve();
    };
    if (left === 0) return resolve();
    for (const turn of turns.filter(({ waitsFor }) => waitsFor === 0)) take(turn);
  });
}

/** One node, for how many it has to wait, and which ones wait for it. */
interface Turn {
  readonly node: LiveNode;
  waitsFor: number;
  readonly next: Turn[];
}

function turnsOf(nodes: readonly LiveNode[], before: Before): Turn[] {
  const turns: Turn[] = [];
  const byIndex = new Map<number, Turn[]>();
  for (const node of new Set(nodes)) {
    const turn: Turn = { node, waitsFor: 0, next: [] };
    turns.push(turn);
    const { index } = node.graph;
    const generations = byIndex.get(index);
    if (generations === undefined) byIndex.set(index, [turn]);
    else generations.push(turn);
  }
  for (const turn of turns)
    for (const index of before(turn.node.graph.index))
      for (const earlier of byIndex.get(index) ?? []) {
        earlier.next.push(turn);
        turn.waitsFor++;
      }
  return turns;
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
    for (const giveUp of waiting) giveUp();
  };
  time.over.addEventListener("abort", onOver, { once: true });
  await inOrder(nodes, before, ({ name, manager }) => {
    if (manager === undefined) return undefined;
    const since = clock.now();
    return unlessOver(name, manager.stop({ signal: time.force }), time.over, waiting).then(
      () => void order.push(name),
      (cause: unknown) => {
        failures.push({ resource: name, phase: "stop", durationMs: clock.now() - since, cause });
        order.push(name);
      },
    );
  });
  time.over.removeEventListener("abort", onOver);
  return { order, failures };
}

/** Waits for a stop until time is over; one that takes no time at all has its turn even then. */
function unlessOver(name: string, stopping: Promise<void>, over: AbortSignal, waiting: Set<() => void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const giveUp = (): void => void atOnce().then(() => reject(leftBehind(name)));
    if (over.aborted) giveUp();
    else waiting.add(giveUp);
    stopping.then(
      () => {
        waiting.delete(giveUp);
        resolve();
      },
      (cause: unknown) => {
        waiting.delete(giveUp);
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
