import "reflect-metadata";
import { container } from "tsyringe";
import type { Life, LifeContender, Recorder, Thing } from "../recorder.ts";

/** tsyringe has no start either: a hand-written loop, and its dispose, which stops everything at once. */
function tsyringe(recorder: Recorder): Life {
  const root = container.createChildContainer();
  for (const node of recorder.graph) {
    class Resource {
      init(): Promise<Thing> {
        return recorder.start(node);
      }
      dispose(): Promise<void> {
        return recorder.stop(node);
      }
    }
    root.registerSingleton(node.name, Resource);
  }
  const start = async (): Promise<void> => {
    for (const { name } of recorder.graph) await root.resolve<{ init(): Promise<Thing> }>(name).init();
  };
  return { start, stop: async () => root.dispose() };
}

export const contenders: readonly LifeContender[] = [{ name: "tsyringe (serial start by hand)", make: tsyringe }];
