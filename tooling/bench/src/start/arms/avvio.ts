import avvio from "avvio";
import type { Life, LifeContender, Recorder } from "../recorder.ts";

/** A plugin for each node, in an order in which they can start: avvio starts one after the other. */
function withAvvio(recorder: Recorder): Life {
  const app = avvio({});
  for (const node of recorder.graph) {
    app.use(async (instance) => {
      await recorder.start(node);
      instance.onClose(() => recorder.stop(node));
    });
  }
  return { start: () => app.ready(), stop: () => new Promise((resolve) => app.close(() => resolve(undefined))) };
}

export const contenders: readonly LifeContender[] = [{ name: "avvio", make: withAvvio }];
