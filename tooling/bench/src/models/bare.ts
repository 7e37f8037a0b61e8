import { InferenceSession, Tensor } from "@steward/onnx";
import { serveWorker } from "@steward/core/worker";

/** What is left without us: a session in a worker, and one message for each run. */
export interface BareMethods {
  readonly [name: string]: (x: Float32Array) => Promise<Float32Array>;
  readonly run: (x: Float32Array) => Promise<Float32Array>;
}

serveWorker(async (model: Uint8Array): Promise<BareMethods> => {
  const session = await InferenceSession.create(model, { intraOpNumThreads: 1 });
  return {
    async run(x) {
      const { y } = await session.run({ x: new Tensor("float32", x, [1, x.length]) });
      return y?.data instanceof Float32Array ? y.data : x;
    },
  };
});
