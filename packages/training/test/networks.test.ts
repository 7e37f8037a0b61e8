import * as tf from "@tensorflow/tfjs-core";
import t from "tap";
import {
  assertEngine,
  denseOutputs,
  GradientAccumulator,
  type Batch,
  type DenseShape,
  type Parameters,
} from "../src/index.ts";
import { denseOnnx } from "../src/networks/onnx.ts";
import { applyGradients, denseNetwork, tfjsNetwork } from "../src/networks/tfjs.ts";
import { apart, numbers, rowsOf } from "./line.ts";

const layers = [{ units: 4, activation: "tanh" }, { units: 3, activation: "relu" }, { units: 2 }] as const;
const dense = { inputs: 3, layers } satisfies DenseShape;

function weights(shape: DenseShape): Parameters {
  const { parameters } = denseNetwork({ ...shape, loss: "meanSquaredError" });
  const sizes = parameters.map(
    ({ name, shape }, i) =>
      [
        name,
        numbers(
          shape.reduce((a, b) => a * b),
          i + 2,
        ),
      ] as const,
  );
  return Object.fromEntries(sizes);
}

function batchOf(width: number, targets: Float32Array): Batch {
  return { rows: 5, inputs: numbers(5 * width, 3), targets, seed: 0 };
}

/** What the loss of a network of dense layers is, worked out from its outputs. */
const LOSSES = {
  meanSquaredError: (out: number, target: number) => (out - target) ** 2,
  binaryCrossEntropy: (out: number, target: number) => -(target * Math.log(out) + (1 - target) * Math.log(1 - out)),
  crossEntropy: (out: number, target: number) => -2 * target * Math.log(out), // a mean over rows, and there are 2 outputs
};

t.test("the engine is there, as it can be asked without loading it", (t) => {
  t.doesNotThrow(() => assertEngine());
  t.end();
});

t.test("losses and gradients of dense networks are those of their outputs", (t) => {
  for (const [loss, of] of Object.entries(LOSSES) as [keyof typeof LOSSES, (out: number, target: number) => number][]) {
    const activation = { meanSquaredError: "linear", binaryCrossEntropy: "sigmoid", crossEntropy: "softmax" } as const;
    const shape: DenseShape = {
      inputs: 3,
      layers: [...layers.slice(0, 2), { units: 2, activation: activation[loss] }],
    };
    const network = denseNetwork({ ...shape, loss });
    const values = weights(shape);
    const targets = Float32Array.from({ length: 10 }, (_, i) => (i % 2 === Math.floor(i / 4) % 2 ? 1 : 0));
    const batch = batchOf(3, targets);
    const lossOf = (values: Parameters): number =>
      denseOutputs(shape, values, batch.inputs).reduce((sum, out, i) => sum + of(out, targets[i] ?? 0) / 10, 0);
    const before = tf.memory().numTensors;
    const found = network.gradients(values, batch);
    t.equal(tf.memory().numTensors, before, "no tensor is left behind");
    t.ok(Math.abs(found.loss - lossOf(values)) < 1e-5, `${loss}: ${found.loss} and ${lossOf(values)}`);
    for (const [name, all] of Object.entries(values)) {
      const moved = (by: number): number =>
        lossOf({ ...values, [name]: all.map((value, i) => (i === 0 ? value + by : value)) });
      const slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
      t.ok(Math.abs(slope - (found.gradients[name]?.[0] ?? Number.NaN)) < 2e-3, `${loss} ${name}: ${slope}`);
    }
  }
  t.end();
});

t.test("rows that are not as wide as the network are refused, and not made so", (t) => {
  const network = denseNetwork({ inputs: 3, layers: [{ units: 4, activation: "softmax" }], loss: "crossEntropy" });
  const values = weights({ inputs: 3, layers: [{ units: 4 }] });
  const refused = (batch: Batch, message: RegExp): unknown =>
    t.throws(() => network.gradients(values, batch), { code: "TRAINING_DATA_INVALID", message });
  refused(batchOf(3, numbers(5)), /a row has 3 inputs and 1 targets, the network 3 and 4/);
  refused(batchOf(2, numbers(20)), /a row has 2 inputs/);
  network.gradients(values, batchOf(3, numbers(20)));
  t.end();
});

t.test("gradients of tfjs accumulate to those of the whole batch, and an optimizer of tfjs takes them", (t) => {
  const { rows, inputs, targets } = rowsOf(40);
  const w = tf.variable(tf.zeros([3, 1]), true, "w");
  const loss = (from: number, to: number) => () =>
    tf.mean<tf.Scalar>(
      tf.square(
        tf.sub(
          tf.matMul(tf.tensor2d(inputs.slice(from * 3, to * 3), [to - from, 3]), w as tf.Variable<tf.Rank.R2>),
          tf.tensor2d(targets.slice(from, to), [to - from, 1]),
        ),
      ),
    );
  const accumulator = new GradientAccumulator({ steps: 3 });
  for (const [from, to] of [
    [0, 16],
    [16, 32],
    [32, rows],
  ] as const)
    accumulator.add(tf.variableGrads(loss(from, to)).grads, to - from);
  const { gradients } = accumulator.take();
  const whole = tf.variableGrads(loss(0, rows)).grads["w"]?.dataSync();
  t.ok(apart(gradients["w"], whole) <= 1e-6, `${apart(gradients["w"], whole)}`);
  applyGradients(tf.train.sgd(0.5), gradients);
  t.ok(
    apart(
      w.dataSync(),
      Array.from(whole ?? [], (value) => -0.5 * value),
    ) <= 1e-6,
  );
  t.throws(() => applyGradients(tf.train.sgd(1), { v: Float32Array.of(1) }), { code: "TRAINING_GRADIENTS_INVALID" });
  w.dispose();
  t.end();
});

t.test("layers, losses and parameters that do not fit are refused", (t) => {
  t.throws(() => denseNetwork({ ...dense, loss: "crossEntropy" }), {
    code: "TRAINING_NETWORK_INVALID",
    message: /softmax/,
  });
  t.throws(() => denseNetwork({ ...dense, loss: "mse" } as never), { code: "OPTIONS_INVALID" });
  t.throws(() => denseNetwork({ inputs: 3, layers: [], loss: "meanSquaredError" }), { code: "OPTIONS_INVALID" });
  const early = { inputs: 3, layers: [{ units: 2, activation: "softmax" }, { units: 1 }] } as const;
  t.throws(() => denseOutputs(early, {}, new Float32Array(3)), { code: "OPTIONS_INVALID", message: /last one alone/ });
  t.throws(() => denseOutputs(dense, {}, new Float32Array(3)), { code: "TRAINING_NETWORK_INVALID" });
  t.throws(() => denseOutputs(dense, weights(dense), new Float32Array(4)), { code: "TRAINING_DATA_INVALID" });
  t.throws(() => denseOnnx(dense, weights(dense), { input: "x", output: "x" }), { code: "OPTIONS_INVALID" });
  t.throws(() => tfjsNetwork({ parameters: [{ name: "a", shape: [0] }], loss: () => tf.scalar(0) }), {
    code: "TRAINING_NETWORK_INVALID",
  });
  t.end();
});

// The engine reports its use to its makers, and keeps files open for that.
process.env["ORT_DISABLE_TELEMETRY"] = "1";

t.test(
  "a runtime of ONNX makes of an exported network what the network makes itself, for any number of rows",
  async (t) => {
    const { InferenceSession, Tensor } = await import("@steward/onnx");
    for (const activation of ["linear", "sigmoid", "softmax"] as const) {
      const shape: DenseShape = { inputs: 3, layers: [...layers.slice(0, 2), { units: 200, activation }] };
      const values = weights(shape);
      const file = denseOnnx(shape, values, { input: "features", output: "score", name: "scorer" });
      const session = await InferenceSession.create(file, { intraOpNumThreads: 1 });
      t.same([session.inputNames, session.outputNames], [["features"], ["score"]]);
      for (const rows of [1, 7]) {
        const inputs = numbers(rows * 3, 5);
        const { score } = await session.run({ features: new Tensor("float32", inputs, [rows, 3]) });
        t.same(score?.dims, [rows, 200]);
        t.ok(score?.data instanceof Float32Array);
        if (score?.data instanceof Float32Array)
          t.ok(apart(score.data, denseOutputs(shape, values, inputs)) < 1e-5, activation);
      }
      await session.release();
    }
  },
);
