import { assertShape, listOf, oneOf, required, shape, wholeNumber, type Shape } from "@steward/core/driver";
import { trainingError } from "../errors.ts";
import type { Parameter, Parameters } from "../gradients/parameters.ts";

/** What comes after the sums of a layer. */
export type Activation = "linear" | "relu" | "tanh" | "sigmoid" | "softmax";

/** A layer whose every unit sees everything before it. */
export interface DenseLayer {
  /** Numbers that come out. 1 to 65,536. */
  readonly units: number;
  /** Default `linear`. `softmax` only in the last layer. */
  readonly activation?: Activation | undefined;
}

/** A network of dense layers behind one another. */
export interface DenseShape {
  /** Numbers of a row. 1 to 1,048,576. */
  readonly inputs: number;
  /** From the first to the last, at least one. */
  readonly layers: readonly DenseLayer[];
}

const layerShape: Shape<DenseLayer> = /* @__PURE__ */ shape<DenseLayer>(() => ({
  units: required(wholeNumber(1, 65_536)),
  activation: oneOf("linear", "relu", "tanh", "sigmoid", "softmax"),
}));

/** What the layers of a network must be. */
export const denseShape: Shape<DenseShape> = /* @__PURE__ */ shape<DenseShape>(
  () => ({ inputs: required(wholeNumber(1, 1_048_576)), layers: required(listOf(layerShape)) }),
  ({ layers }) => (layers.length === 0 ? { path: "layers", message: "must not be empty" } : undefined),
  ({ layers }) =>
    layers.slice(0, -1).some(({ activation }) => activation === "softmax")
      ? { path: "layers", message: "may have softmax in the last one alone" }
      : undefined,
);

/** A layer with its sizes and the names of its parameters. */
export interface NamedLayer {
  readonly inputs: number;
  readonly units: number;
  readonly activation: Activation;
  readonly kernel: string;
  readonly bias: string;
}

/** The layers of a network, with all that follows from their order. */
export function layersOf({ inputs, layers }: DenseShape): readonly NamedLayer[] {
  return layers.map(({ units, activation = "linear" }, i) => ({
    inputs: layers[i - 1]?.units ?? inputs,
    units,
    activation,
    kernel: `dense_${i}.kernel`,
    bias: `dense_${i}.bias`,
  }));
}

/** The parameters of a network: of each layer a `kernel` of inputs by units, and a `bias`. */
export function denseParameters(given: DenseShape): readonly Parameter[] {
  return layersOf(given).flatMap(({ inputs, units, kernel, bias }) => [
    { name: kernel, shape: [inputs, units], initial: "glorot" as const },
    { name: bias, shape: [units], initial: "zeros" as const },
  ]);
}

/** The parameters of a layer, of the right lengths. */
export function weightsOf(layer: NamedLayer, parameters: Parameters): { kernel: Float32Array; bias: Float32Array } {
  const kernel = parameters[layer.kernel];
  const bias = parameters[layer.bias];
  if (kernel?.length === layer.inputs * layer.units && bias?.length === layer.units) return { kernel, bias };
  const message = `the parameters have no ${layer.kernel} of ${layer.inputs} x ${layer.units} with its bias`;
  throw trainingError("TRAINING_NETWORK_INVALID", message);
}

/**
 * What a trained network makes of rows, in this thread and without an engine: for a few rows at a time, and for tests.
 *
 * @param inputs whole rows, behind one another.
 * @throws {TRAINING_NETWORK_INVALID} when the parameters are not those of this network.
 * @throws {TRAINING_DATA_INVALID} when the inputs are no whole rows.
 *
 * @example
 * ```ts
 * import { denseOutputs } from "@steward/training";
 * const shape = { inputs: 2, layers: [{ units: 1, activation: "relu" }] } as const;
 * const parameters = { "dense_0.kernel": Float32Array.of(2, -1), "dense_0.bias": Float32Array.of(0.5) };
 * console.log(denseOutputs(shape, parameters, Float32Array.of(1, 1))[0]); // => 1.5
 * ```
 */
export function denseOutputs(shape: DenseShape, parameters: Parameters, inputs: Float32Array): Float32Array {
  assertShape("denseOutputs", denseShape, shape);
  if (inputs.length % shape.inputs !== 0) {
    const message = `${inputs.length} numbers are no whole rows of ${shape.inputs}`;
    throw trainingError("TRAINING_DATA_INVALID", message);
  }
  const rows = inputs.length / shape.inputs;
  return layersOf(shape).reduce((values, layer) => {
    const { kernel, bias } = weightsOf(layer, parameters);
    const sums = sumsOf(values, rows, layer, kernel, bias);
    activate(sums, layer);
    return sums;
  }, inputs);
}

function sumsOf(
  values: Float32Array,
  rows: number,
  { inputs, units }: NamedLayer,
  kernel: Float32Array,
  bias: Float32Array,
): Float32Array {
  const sums = new Float32Array(rows * units);
  for (let row = 0; row < rows; row++)
    for (let unit = 0; unit < units; unit++) {
      let sum = bias[unit] ?? 0;
      for (let i = 0; i < inputs; i++) sum += (values[row * inputs + i] ?? 0) * (kernel[i * units + unit] ?? 0);
      sums[row * units + unit] = sum;
    }
  return sums;
}

const EACH: Readonly<Record<Exclude<Activation, "softmax">, (sum: number) => number>> = {
  linear: (sum) => sum,
  relu: (sum) => Math.max(0, sum),
  tanh: Math.tanh,
  sigmoid: (sum) => 1 / (1 + Math.exp(-sum)),
};

function activate(sums: Float32Array, { activation, units }: NamedLayer): void {
  if (activation !== "softmax") {
    const apply = EACH[activation];
    for (let i = 0; i < sums.length; i++) sums[i] = apply(sums[i] ?? 0);
    return;
  }
  for (let from = 0; from < sums.length; from += units) {
    const row = sums.subarray(from, from + units);
    const most = row.reduce((a, b) => Math.max(a, b), -Infinity);
    const total = row.reduce((sum, value, i) => sum + (row[i] = Math.exp(value - most)), 0);
    for (let i = 0; i < units; i++) row[i] = (row[i] ?? 0) / total;
  }
}
