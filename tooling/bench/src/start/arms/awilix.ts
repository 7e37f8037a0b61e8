import { asClass, createContainer, InjectionMode, type InjectionModeType } from "awilix";
import { AwilixManager } from "awilix-manager";
import type { LifeNode } from "../graph.ts";
import type { Life, LifeContender, Recorder } from "../recorder.ts";

/** awilix-manager starts in the order of priorities, which its user writes: here the levels, the best there is. */
function managed(recorder: Recorder, injectionMode: InjectionModeType): Life {
  const diContainer = createContainer({ injectionMode });
  for (const node of recorder.graph) {
    const resolver = asClass(classOf(recorder, node), {
      lifetime: "SINGLETON",
      asyncInit: "init",
      asyncInitPriority: node.level + 1,
      asyncDispose: "dispose",
      asyncDisposePriority: 100 - node.level,
    });
    diContainer.register(node.name, resolver);
  }
  const manager = new AwilixManager({ diContainer, asyncInit: true, asyncDispose: true, strictBooleanEnforced: true });
  return { start: () => manager.executeInit(), stop: () => manager.executeDispose() };
}

function classOf(recorder: Recorder, node: LifeNode) {
  return class {
    init(): Promise<unknown> {
      return recorder.start(node);
    }
    dispose(): Promise<void> {
      return recorder.stop(node);
    }
  };
}

export const contenders: readonly LifeContender[] = [
  { name: "awilix + awilix-manager, PROXY", make: (recorder) => managed(recorder, InjectionMode.PROXY) },
  { name: "awilix + awilix-manager, CLASSIC", make: (recorder) => managed(recorder, InjectionMode.CLASSIC) },
];
