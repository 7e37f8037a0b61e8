import type { Binding, Clock } from "@steward/core";
import { edgeOf, specOf, type CallDefaults } from "@steward/core/container";
import type { BackgroundEnd } from "./background.ts";
import type { AnyDefinition, Graph } from "../graph/graph.ts";
import { setNeed } from "../graph/set-need.ts";
import { isEnabled, makeManager } from "./live-node.ts";
import { OUTSIDE, valueOfEdge, type NodeSource } from "./state.ts";

/** An instance outside the graph, and how to stop it. */
export interface Instance {
  readonly value: unknown;
  readonly stop: () => Promise<void>;
}

/** What an instance outside the graph is made with. */
export interface InstanceContext {
  readonly graph: Graph;
  readonly clock: Clock;
  readonly from: NodeSource;
  readonly signal: AbortSignal;
  readonly defaults: CallDefaults;
  readonly onBackgroundEnd: (end: BackgroundEnd) => void;
}

/** Starts an instance of its own from application resources, and from an input that is given to it alone; what it alone needs is made with it. */
export async function makeInstance(
  context: InstanceContext,
  definition: AnyDefinition,
  given?: Binding,
): Promise<Instance> {
  const { graph, clock, from, signal, defaults, onBackgroundEnd } = context;
  const { name } = definition;
  const spec = specOf(definition);
  const needs: Record<string, unknown> = {};
  const own: Instance[] = [];
  const stop = (): Promise<void> => stopAll(own);
  try {
    const edges = Object.entries(spec.needs).map(
      ([key, need]) => [key, graph.edgeOfDetached(definition, key, edgeOf(need), given)] as const, // at once: overrides may change meanwhile
    );
    for (const [key, edge] of edges) {
      if ("value" in edge) {
        setNeed(needs, key, edge.value);
        continue;
      }
      if ("own" in edge) own.push(await makeInstance(context, edge.own));
      setNeed(needs, key, "own" in edge ? own.at(-1)?.value : valueOfEdge(graph, from, { name, index: OUTSIDE }, edge));
    }
    if (!isEnabled(spec, needs)) return { value: undefined, stop };
    const prepared = spec.managed?.prepare(needs, defaults);
    const manager = makeManager(spec, needs, prepared, { clock, name, defaults, onBackgroundEnd });
    await manager.start({ signal });
    own.push({ value: manager.client, stop: () => manager.stop() });
    return { value: manager.client, stop };
  } catch (error) {
    await stop().catch(() => {}); // the failed start is what the caller has to know
    throw error;
  }
}

/** Stops all, last made first, also when one fails. */
async function stopAll(instances: Instance[]): Promise<void> {
  const failures: unknown[] = [];
  for (let one = instances.pop(); one !== undefined; one = instances.pop())
    await one.stop().catch((error: unknown) => failures.push(error));
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) throw new AggregateError(failures, `${failures.length} instances did not stop`);
}
