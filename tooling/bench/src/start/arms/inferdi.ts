import { Container } from "@inferdi/inferdi";
import type { Life, LifeContender, Recorder, Thing } from "../recorder.ts";

/** What a graph made in a loop uses of it: its own types want every key to be written out. */
interface Untyped {
  registerFactory(key: string, factory: (c: Untyped) => unknown): Untyped;
  get(key: string): Promise<Thing>;
  dispose(): Promise<void>;
}

/** Factories that await what they need, as its documents show; dispose goes backward, one at a time. */
function inferdi(recorder: Recorder): Life {
  const { graph } = recorder;
  const root = new Container() as Untyped; // see above
  for (const node of graph) {
    root.registerFactory(node.name, async (c) => {
      await Promise.all(node.needs.map((need) => c.get(graph[need]?.name ?? "")));
      const thing = await recorder.start(node);
      return { ...thing, [Symbol.asyncDispose]: () => recorder.stop(node) };
    });
  }
  return { start: () => Promise.all(graph.map(({ name }) => root.get(name))), stop: () => root.dispose() };
}

export const contenders: readonly LifeContender[] = [{ name: "InferDI, async factories", make: inferdi }];
