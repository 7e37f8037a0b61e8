import { Context, Effect, Layer, ManagedRuntime } from "effect";
import type { Life, LifeContender, Recorder, Thing } from "../recorder.ts";

type Key = Context.Service<Thing, Thing>;

function effect(recorder: Recorder): Life {
  const layers: Layer.Layer<Thing, unknown>[] = [];
  for (const node of recorder.graph) {
    const key: Key = Context.Service<Thing, Thing>(node.name);
    const acquire = Effect.acquireRelease(
      Effect.tryPromise((signal) => recorder.start(node, signal)),
      () => Effect.promise(() => recorder.stop(node)),
    );
    const own = Layer.effect(key, acquire);
    const below = node.needs.flatMap((need) => layers[need] ?? []);
    const [first, ...others] = below;
    layers.push(first === undefined ? own : Layer.provide(own, Layer.mergeAll(first, ...others)));
  }
  const [first, ...others] = layers;
  if (first === undefined) throw new Error("an empty graph");
  const runtime = ManagedRuntime.make(Layer.mergeAll(first, ...others));
  return { start: () => runtime.context(), stop: () => runtime.dispose() };
}

export const contenders: readonly LifeContender[] = [{ name: "Effect, layers", make: effect }];
