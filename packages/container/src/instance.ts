import { edgeOf, specOf } from "@steward/core";
import { valueOfEdge, type Assembly } from "./assembly.ts";
import type { AnyDefinition } from "./graph.ts";
import { isEnabled, makeManager } from "./node.ts";

/** An instance outside the graph, and how to stop it. */
export interface Instance {
  readonly value: unknown;
  readonly stop: () => Promise<void>;
}

/** Starts an instance of its own from the application resources of now; what it alone needs is made with it. */
export async function makeInstance(
  assembly: Assembly,
  definition: AnyDefinition,
  signal: AbortSignal,
): Promise<Instance> {
  const spec = specOf(definition);
  const needs: Record<string, unknown> = {};
  const own: Instance[] = [];
  const stop = async (): Promise<void> => {
    for (const inner of own.reverse()) await inner.stop();
  };
  try {
    for (const [key, need] of Object.entries(spec.needs)) {
      const edge = assembly.graph.edgeOfDetached(definition, key, edgeOf(need));
      if ("own" in edge) own.push(await makeInstance(assembly, edge.own, signal));
      needs[key] = "own" in edge ? own.at(-1)?.value : valueOfEdge(assembly, assembly.current, definition.name, edge);
    }
    if (!isEnabled(spec, needs)) return { value: undefined, stop };
    const { clock, onBackgroundEnd } = assembly;
    const context = { clock, name: definition.name, onBackgroundEnd };
    const manager = makeManager(spec, needs, spec.managed?.prepare(needs), context);
    await manager.start({ signal });
    own.push({ value: manager.client, stop: () => manager.stop() });
    return { value: manager.client, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
