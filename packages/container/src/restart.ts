import { describeError, TimeoutReached, within } from "@steward/core";
import { nextGeneration, type Generation } from "./assembly.ts";
import { BringUp } from "./bring-up.ts";
import type { Engine } from "./engine.ts";
import { containerError } from "./errors.ts";
import type { Edge } from "./graph.ts";
import type { LiveNode } from "./node.ts";
import { inOrder, takeDown } from "./take-down.ts";

/**
 * Replaces the instance of a node and of all that hold it. The new ones start before the old ones stop; if one
 * fails, nothing has changed. What can exist only once (`restart: "stop-first"`) is the other way around: new
 * scopes wait meanwhile.
 */
export async function restart(engine: Engine, index: number): Promise<void> {
  const affected = [...new Set([...affectedBy(engine, index), ...(engine.broken?.affected ?? [])])];
  const replaced = affected.flatMap((i) => engine.current.live[i] ?? []);
  const shared = replaced.find((node) => node.graph.spec.lifetime === "process");
  if (shared !== undefined)
    throw failed(engine, index, new Error(`"${shared.name}" is shared in this process: other containers hold it too`));
  const stopFirst =
    engine.broken !== undefined || replaced.some((node) => node.graph.spec.settings.restart === "stop-first");
  await (stopFirst
    ? stopThenStart(engine, index, affected, replaced)
    : startThenStop(engine, index, affected, replaced));
}

/** A node and every running one that holds its value; `current` and `lazy` edges hold none. */
function affectedBy(engine: Engine, index: number): number[] {
  const affected = new Set([index]);
  const visit = (i: number): void => {
    for (const dependant of engine.dependants[i] ?? []) {
      const holds = engine.graph.nodes[dependant]?.edges.some((edge) => holdsValue(engine, edge, i)) === true;
      if (!holds || affected.has(dependant) || engine.current.live[dependant] === undefined) continue;
      affected.add(dependant);
      visit(dependant);
    }
  };
  visit(index);
  return [...affected];
}

function holdsValue(engine: Engine, edge: Edge, index: number): boolean {
  if (edge.kind !== "when") return edge.kind === "plain" && edge.to === index;
  const chosen = edge.test(engine.current.values[edge.condition]) ? edge.whenTrue : edge.whenFalse;
  return edge.condition === index || holdsValue(engine, chosen, index);
}

async function startThenStop(
  engine: Engine,
  index: number,
  affected: readonly number[],
  replaced: readonly LiveNode[],
): Promise<void> {
  const next = without(engine.current, affected);
  await bringUp(engine, index, affected, next);
  const old = engine.current;
  engine.current = next;
  await borrowersGone(engine, old);
  await retire(engine, replaced);
}

async function stopThenStart(
  engine: Engine,
  index: number,
  affected: readonly number[],
  replaced: readonly LiveNode[],
): Promise<void> {
  let open: () => void = () => {};
  engine.gate = new Promise((resolve) => (open = resolve));
  try {
    const old = engine.current;
    await borrowersGone(engine, old);
    await retire(engine, replaced);
    engine.current = without(old, affected);
    await bringUp(engine, index, affected, engine.current);
    engine.broken = undefined;
  } catch (error) {
    engine.broken = { error, affected };
    throw error;
  } finally {
    engine.gate = undefined;
    open();
  }
}

function without(before: Generation, affected: readonly number[]): Generation {
  const next = nextGeneration(before.live.length, before);
  for (const i of affected) next.live[i] = next.values[i] = undefined;
  return next;
}

async function bringUp(engine: Engine, index: number, affected: readonly number[], into: Generation): Promise<void> {
  const up = new BringUp(engine, into, (node) => engine.retry(node));
  await up.run(affected, [], engine.limits.startTimeoutMs);
  const [first] = up.failures;
  if (first === undefined) return;
  await takeDown(engine.clock, up.started, (i) => engine.dependants[i] ?? [], undefined);
  throw failed(engine, index, first.cause);
}

/** Waits until nobody holds the old generation any more, for at most the drain timeout. */
async function borrowersGone(engine: Engine, old: Generation): Promise<void> {
  if (old.borrowers === 0) return;
  const gone = (): Promise<void> => new Promise((resolve) => (old.onIdle = resolve));
  await within(engine.clock, engine.limits.drainTimeoutMs, gone, { abort: new AbortController() }).catch(
    (error: unknown) => {
      if (!(error instanceof TimeoutReached)) throw error; // borrowers had their time; the old instance stops now
    },
  );
}

async function retire(engine: Engine, nodes: readonly LiveNode[]): Promise<void> {
  const before = (i: number): readonly number[] => engine.dependants[i] ?? [];
  await inOrder(nodes, before, async (node) => node.manager?.drain().catch(() => {})); // what does not drain is stopped all the same
  const { failures } = await takeDown(engine.clock, nodes, before, undefined);
  engine.noteRetired(failures);
}

function failed(engine: Engine, index: number, cause: unknown): Error {
  const name = engine.graph.nodes[index]?.name ?? "";
  return containerError("RESTART_FAILED", `"${name}" was not restarted: ${describeError(cause)}`, {
    resource: name,
    cause,
    retryable: true,
  });
}
