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

/** Fields of a message of protocol buffers, in their order: numbers, and bytes of what has a length. */
function fields(bytes: Uint8Array): readonly (readonly [field: number, value: number | Uint8Array])[] {
  const found: (readonly [number, number | Uint8Array])[] = [];
  let at = 0;
  const varint = (): number => {
    for (let value = 0, factor = 1; ; factor *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) throw new RangeError("a number is cut off");
      value += (byte % 128) * factor;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = varint();
    const value = varint();
    if (key % 8 === 0) found.push([Math.floor(key / 8), value]);
    else if (key % 8 === 2 && at + value <= bytes.length)
      found.push([Math.floor(key / 8), bytes.subarray(at, (at += value))]);
    else throw new RangeError(`field ${Math.floor(key / 8)} has an unknown type or is cut off`);
  }
  return found;
}

function all(bytes: Uint8Array, field: number): Uint8Array[] {
  return fields(bytes).flatMap(([number, value]) => (number === field && typeof value !== "number" ? [value] : []));
}

function texts(bytes: Uint8Array, field: number): string[] {
  return all(bytes, field).map((value) => Buffer.from(value).toString());
}

/** Runs a graph of Gemm and activations, for one row: only what the file says is used. */
function runOnnx(file: Uint8Array, row: Float32Array): Float32Array {
  const [graph = new Uint8Array()] = all(file, 7);
  const tensors = new Map<string, { dims: number[]; data: Float32Array }>();
  for (const tensor of all(graph, 5)) {
    const dims = fields(tensor).flatMap(([field, value]) => (field === 1 && typeof value === "number" ? [value] : []));
    const data = new Float32Array(Uint8Array.from(all(tensor, 9)[0] ?? []).buffer);
    tensors.set(texts(tensor, 8)[0] ?? "", { dims, data });
  }
  const [input = ""] = texts(all(graph, 11)[0] ?? new Uint8Array(), 1);
  const values = new Map([[input, row]]);
  const EACH: Readonly<Record<string, (x: number) => number>> = {
    Relu: (x) => Math.max(0, x),
    Tanh: Math.tanh,
    Sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  };
  for (const node of all(graph, 1)) {
    const [from = "", kernel = "", bias = ""] = texts(node, 1);
    const [to = ""] = texts(node, 2);
    const [operator = ""] = texts(node, 4);
    const given = values.get(from);
    if (given === undefined) throw new RangeError(`${from} is used before it is made`);
    if (operator !== "Gemm") {
      const exp = given.map(Math.exp);
      const sum = exp.reduce((a, b) => a + b, 0);
      values.set(
        to,
        operator === "Softmax" ? exp.map((x) => x / sum) : given.map(EACH[operator] ?? (() => Number.NaN)),
      );
      continue;
    }
    const { dims: [ins = 0, outs = 0] = [], data } = tensors.get(kernel) ?? { data: new Float32Array() };
    if (ins !== given.length || data.length !== ins * outs) throw new RangeError(`${kernel} does not fit`);
    values.set(
      to,
      Float32Array.from(tensors.get(bias)?.data ?? [], (b, o) =>
        given.reduce((sum, x, i) => sum + x * (data[i * outs + o] ?? 0), b),
      ),
    );
  }
  return values.get(texts(all(graph, 12)[0] ?? new Uint8Array(), 1)[0] ?? "") ?? new Float32Array();
}

t.test("an exported network says in its own file what it makes of a row", (t) => {
  for (const activation of ["linear", "sigmoid", "softmax"] as const) {
    const shape: DenseShape = { inputs: 3, layers: [...layers.slice(0, 2), { units: 200, activation }] };
    const values = weights(shape);
    const file = denseOnnx(shape, values, { input: "features", output: "score", name: "scorer" });
    const row = numbers(3, 5);
    t.ok(apart(runOnnx(file, row), denseOutputs(shape, values, row)) < 1e-5, activation);
    t.same(
      fields(file).map(([field]) => field),
      [1, 2, 7, 8],
    );
    t.same(fields(all(file, 8)[0] ?? new Uint8Array()), [[2, 13]], "opset");
    const [graph = new Uint8Array()] = all(file, 7);
    t.same(
      [texts(graph, 2), texts(all(graph, 11)[0] ?? graph, 1), texts(all(graph, 12)[0] ?? graph, 1)],
      [["scorer"], ["features"], ["score"]],
    );
  }
  t.end();
});
