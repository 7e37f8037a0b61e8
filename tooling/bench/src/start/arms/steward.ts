import { container, type Container, type ContainerOptions, type RunningContainer } from "@steward/container";
import { resource, type Definition } from "@steward/core";
import type { Life, LifeContender, Recorder, Thing } from "../recorder.ts";

/** A container that holds the recorder's graph. */
export function containerOf(recorder: Recorder, options: ContainerOptions = {}): Container {
  const definitions: Definition<Thing>[] = [];
  for (const node of recorder.graph) {
    const needs = Object.fromEntries(node.needs.flatMap((need) => keyed(definitions[need])));
    definitions.push(
      resource(node.name, {
        needs,
        start: (_, { signal }) => recorder.start(node, signal),
        stop: (thing) => recorder.stop(thing.node),
      }),
    );
  }
  return container(definitions, options);
}

function keyed(definition: Definition<Thing> | undefined): [string, Definition<Thing>][] {
  return definition === undefined ? [] : [[definition.name, definition]];
}

function steward(recorder: Recorder): Life {
  const definition = containerOf(recorder);
  let running: RunningContainer | undefined;
  return {
    start: async () => (running = await definition.start()),
    stop: async () => running?.stop(),
  };
}

export const contenders: readonly LifeContender[] = [{ name: "Steward", make: steward }];
