import "reflect-metadata";
import { Container } from "inversify";
import type { Life, LifeContender, Recorder, Thing } from "../recorder.ts";

/** Asynchronous factories, which inversify awaits; deactivation stops. */
function inversify(recorder: Recorder): Life {
  const root = new Container();
  const { graph } = recorder;
  for (const node of graph) {
    root
      .bind<Thing>(node.name)
      .toResolvedValue(
        (..._needs: Thing[]) => recorder.start(node),
        node.needs.map((need) => graph[need]?.name ?? ""),
      )
      .inSingletonScope()
      .onDeactivation(() => recorder.stop(node));
  }
  return {
    start: () => Promise.all(graph.map(({ name }) => root.getAsync<Thing>(name))),
    stop: () => root.unbindAllAsync(),
  };
}

export const contenders: readonly LifeContender[] = [{ name: "inversify, async factories", make: inversify }];
