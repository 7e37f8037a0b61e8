import { assertShape, func, listOf, oneOf, recognised, required, shape, type Shape } from "@steward/core/driver";
import "@tensorflow/tfjs-backend-cpu";
import * as tf from "@tensorflow/tfjs-core";
// Under Node it alone knows the gradients of all operations.
import "@tensorflow/tfjs-layers";
import { trainingError } from "../errors.ts";
import type { Batch, Network } from "../gradients/network.ts";
import { layoutOf, type Parameter, type Parameters } from "../gradients/parameters.ts";
import { denseParameters, denseShape, layersOf, type Activation, type DenseShape } from "./dense.ts";

// It would recommend another package on stderr, which does not install here.
tf.enableProdMode();

/** A batch as tensors, which live as long as the call. */
export interface TensorBatch {
  /** A row for each row of the batch. */
  readonly inputs: tf.Tensor2D;
  /** A row for each row of the batch. */
  readonly targets: tf.Tensor2D;
  /** As {@link Batch.seed}. */
  readonly seed: number;
}

/** A network whose loss is written with tensors of tfjs. */
export interface TfjsNetworkOptions {
  /** Its parameters, in a fixed order. The loss has to depend on each. */
  readonly parameters: readonly Parameter[];
  /** Works out the mean loss of the rows of a batch. */
  readonly loss: (values: Readonly<Record<string, tf.Tensor>>, batch: TensorBatch) => tf.Tensor;
}

const networkShape: Shape<TfjsNetworkOptions> = /* @__PURE__ */ shape<TfjsNetworkOptions>(() => ({
  parameters: required(listOf(recognised((value) => typeof value === "object" && value !== null, "a parameter"))),
  loss: required(func()),
}));

/**
 * A network whose gradients tfjs works out. For a module that a trainer's workers load, as its export `network`.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 * @throws {TRAINING_NETWORK_INVALID} when two parameters have one name, or a shape has no sizes.
 *
 * @example
 * ```ts
 * import * as tf from "@tensorflow/tfjs-core";
 * import { tfjsNetwork } from "@steward/training/tfjs";
 * export const network = tfjsNetwork({
 *   parameters: [{ name: "w", shape: [1, 1] }],
 *   loss: ({ w }, { inputs, targets }) => tf.mean(tf.square(tf.sub(tf.matMul(inputs, w as tf.Tensor2D), targets))),
 * });
 * const batch = { rows: 1, inputs: Float32Array.of(2), targets: Float32Array.of(3), seed: 0 };
 * const { loss, gradients } = network.gradients({ w: Float32Array.of(1) }, batch);
 * console.log(loss, gradients["w"]?.[0]); // => 1 -4
 * ```
 */
export function tfjsNetwork(options: TfjsNetworkOptions): Network {
  assertShape("tfjsNetwork", networkShape, options);
  const { parameters, loss } = options;
  layoutOf(parameters);
  return {
    parameters,
    gradients: (values, batch) =>
      tf.tidy(() => {
        const weights = parameters.map(({ name, shape }) => tf.tensor(values[name] ?? [], [...shape], "float32"));
        const tensors = tensorsOf(batch);
        const named = (given: readonly tf.Tensor[]): Record<string, tf.Tensor> =>
          Object.fromEntries(given.map((tensor, i) => [parameters[i]?.name ?? "", tensor]));
        const { value, grads } = tf.valueAndGrads((...given: tf.Tensor[]) => loss(named(given), tensors))(weights);
        return {
          loss: value.dataSync()[0] ?? Number.NaN,
          gradients: Object.fromEntries(grads.map((grad, i) => [parameters[i]?.name ?? "", numbersOf(grad)])),
        };
      }),
  };
}

function tensorsOf({ rows, inputs, targets, seed }: Batch): TensorBatch {
  const rowsOf = (values: Float32Array): tf.Tensor2D => tf.tensor2d(values, [rows, values.length / rows]);
  return { inputs: rowsOf(inputs), targets: rowsOf(targets), seed };
}

function numbersOf(tensor: tf.Tensor): Float32Array {
  return Float32Array.from(tensor.dataSync());
}

/** A network of dense layers, and what it learns to make small. */
export interface DenseNetworkOptions extends DenseShape {
  /**
   * `meanSquaredError`; `binaryCrossEntropy` for a last layer of `sigmoid`; `crossEntropy` for one of `softmax`. The mean
   * over rows and outputs, of `crossEntropy` over rows.
   */
  readonly loss: "meanSquaredError" | "binaryCrossEntropy" | "crossEntropy";
}

const LAST: Readonly<Record<DenseNetworkOptions["loss"], Activation | undefined>> = {
  meanSquaredError: undefined,
  binaryCrossEntropy: "sigmoid",
  crossEntropy: "softmax",
};

/**
 * A network of dense layers, for what `denseOnnx` can export. A row of data has as many inputs and targets as it; of
 * `crossEntropy` a target for each class. Others end a fit with `TRAINING_DATA_INVALID`.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong, or the loss does not go with the last layer.
 */
export function denseNetwork(options: DenseNetworkOptions): Network {
  const { loss, ...dense } = options;
  assertShape(
    "denseNetwork",
    shape<{ loss: unknown }>(() => ({
      loss: required(oneOf("meanSquaredError", "binaryCrossEntropy", "crossEntropy")),
    })),
    { loss },
  );
  assertShape("denseNetwork", denseShape, dense);
  const layers = layersOf(dense);
  const last = LAST[loss];
  const { activation, units } = layers.at(-1) ?? { activation: "linear", units: 0 };
  if (last !== undefined && activation !== last)
    throw trainingError(
      "TRAINING_NETWORK_INVALID",
      `denseNetwork: ${loss} needs ${last} in the last layer, not ${activation}`,
    );
  return tfjsNetwork({
    parameters: denseParameters(dense),
    loss: (values, { inputs, targets }) => {
      // Of one number instead of many the engine would make many without a word.
      if (inputs.shape[1] !== dense.inputs || targets.shape[1] !== units) {
        const given = `${inputs.shape[1]} inputs and ${targets.shape[1]} targets`;
        const message = `denseNetwork: a row has ${given}, the network ${dense.inputs} and ${units}`;
        throw trainingError("TRAINING_DATA_INVALID", message);
      }
      const sums = layers.reduce<tf.Tensor2D>((before, layer, i) => {
        const product = tf.matMul(before, values[layer.kernel] as tf.Tensor2D); // its shape is two sizes
        const sum = tf.add<tf.Tensor2D>(product, values[layer.bias] ?? 0);
        return i < layers.length - 1 || last === undefined ? activated(sum, layer.activation) : sum;
      }, inputs);
      return LOSSES[loss](sums, targets);
    },
  });
}

function activated(sums: tf.Tensor2D, activation: Activation): tf.Tensor2D {
  if (activation === "linear") return sums;
  return { relu: tf.relu, tanh: tf.tanh, sigmoid: tf.sigmoid, softmax: tf.softmax }[activation]<tf.Tensor2D>(sums);
}

/** Of the sums of the last layer, where a loss of the outcome would lose digits. */
const LOSSES: Readonly<Record<DenseNetworkOptions["loss"], (sums: tf.Tensor2D, targets: tf.Tensor2D) => tf.Tensor>> = {
  meanSquaredError: (sums, targets) => tf.mean(tf.square(tf.sub(sums, targets))),
  binaryCrossEntropy: (sums, targets) =>
    tf.mean(tf.add(tf.sub(tf.relu(sums), tf.mul(sums, targets)), tf.log1p(tf.exp(tf.neg(tf.abs(sums)))))),
  crossEntropy: (sums, targets) => tf.neg(tf.mean(tf.sum(tf.mul(targets, tf.logSoftmax(sums)), 1))),
};

/**
 * Hands accumulated gradients to an optimizer of tfjs, for a training loop of your own over `tf.variable`s.
 *
 * @throws {TRAINING_GRADIENTS_INVALID} when there is no variable of a name, or its size differs.
 */
export function applyGradients(optimizer: tf.Optimizer, gradients: Parameters): void {
  const { registeredVariables } = tf.engine();
  tf.tidy(() => {
    const tensors = Object.entries(gradients).map(([name, values]) => {
      const variable = registeredVariables[name];
      if (variable?.size === values.length) return [name, tf.tensor(values, variable.shape)] as const;
      throw trainingError("TRAINING_GRADIENTS_INVALID", `there is no variable "${name}" of ${values.length} numbers`);
    });
    optimizer.applyGradients(Object.fromEntries(tensors));
  });
}
