import { assertShape, shape, text, type Shape } from "@steward/core/driver";
import type { Parameters } from "../gradients/parameters.ts";
import { denseShape, layersOf, weightsOf, type Activation, type DenseShape, type NamedLayer } from "./dense.ts";
import { ProtobufWriter } from "./protobuf.ts";

/** How an exported network is called. */
export interface DenseOnnxOptions {
  /** Name of the graph. Default `dense`. */
  readonly name?: string | undefined;
  /** Name of its input. Default `input`. */
  readonly input?: string | undefined;
  /** Name of its output. Default `output`. */
  readonly output?: string | undefined;
}

const onnxShape: Shape<DenseOnnxOptions> = /* @__PURE__ */ shape<DenseOnnxOptions>(
  () => ({ name: text(), input: text(), output: text() }),
  ({ input = "input", output = "output" }) =>
    input === output ? { path: "output", message: "must differ from the name of the input" } : undefined,
);

const IR_VERSION = 8;
const OPSET = 13;
const FLOAT = 1;

const OPERATORS: Readonly<Record<Exclude<Activation, "linear">, string>> = {
  relu: "Relu",
  tanh: "Tanh",
  sigmoid: "Sigmoid",
  softmax: "Softmax",
};

/**
 * A trained network of dense layers as a file of ONNX (opset 13), for `@steward/models` or any other runtime: one input of
 * float32, `[rows, inputs]`, and one output, with any number of rows. For other layers train elsewhere.
 *
 * @throws {OPTIONS_INVALID} when the layers or an option are wrong.
 * @throws {TRAINING_NETWORK_INVALID} when the parameters are not those of this network.
 *
 * @example
 * ```ts
 * import { denseOnnx } from "@steward/training/onnx";
 * const parameters = { "dense_0.kernel": Float32Array.of(2, -1), "dense_0.bias": Float32Array.of(0.5) };
 * const file = denseOnnx({ inputs: 2, layers: [{ units: 1, activation: "relu" }] }, parameters);
 * console.log(file.length < 300); // => true
 * ```
 */
export function denseOnnx(dense: DenseShape, parameters: Parameters, options: DenseOnnxOptions = {}): Uint8Array {
  assertShape("denseOnnx", denseShape, dense);
  assertShape("denseOnnx", onnxShape, options);
  const { name = "dense", input = "input", output = "output" } = options;
  const layers = layersOf(dense);
  return new ProtobufWriter()
    .int(1, IR_VERSION)
    .text(2, "steward")
    .message(7, (graph) => {
      layers.forEach((layer, i) =>
        writeNodes(graph, layer, i === 0 ? input : `values_${i}`, i === layers.length - 1 ? output : `values_${i + 1}`),
      );
      graph.text(2, name);
      for (const layer of layers) {
        const { kernel, bias } = weightsOf(layer, parameters);
        writeTensor(graph, layer.kernel, [layer.inputs, layer.units], kernel);
        writeTensor(graph, layer.bias, [layer.units], bias);
      }
      writeValue(graph, 11, input, dense.inputs);
      writeValue(graph, 12, output, layers.at(-1)?.units ?? 0);
    })
    .message(8, (opset) => opset.int(2, OPSET))
    .finish();
}

/** The sums of a layer, and what comes after them. */
function writeNodes(graph: ProtobufWriter, { kernel, bias, activation }: NamedLayer, from: string, to: string): void {
  const sums = activation === "linear" ? to : `${to}_sums`;
  writeNode(graph, "Gemm", [from, kernel, bias], sums);
  if (activation !== "linear") writeNode(graph, OPERATORS[activation], [sums], to);
}

function writeNode(graph: ProtobufWriter, operator: string, inputs: readonly string[], output: string): void {
  graph.message(1, (node) => {
    for (const input of inputs) node.text(1, input);
    node.text(2, output).text(4, operator);
  });
}

function writeTensor(graph: ProtobufWriter, name: string, dims: readonly number[], values: Float32Array): void {
  graph.message(5, (tensor) => {
    for (const dim of dims) tensor.int(1, dim);
    tensor.int(2, FLOAT).text(8, name).bytes(9, littleEndian(values));
  });
}

function littleEndian(values: Float32Array): Uint8Array {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, i) => bytes.writeFloatLE(value, i * 4));
  return bytes;
}

function writeValue(graph: ProtobufWriter, field: number, name: string, width: number): void {
  graph.message(field, (value) =>
    value
      .text(1, name)
      .message(2, (type) =>
        type.message(1, (tensor) =>
          tensor
            .int(1, FLOAT)
            .message(2, (dims) =>
              dims.message(1, (rows) => rows.text(2, "rows")).message(1, (dim) => dim.int(1, width)),
            ),
        ),
      ),
  );
}
