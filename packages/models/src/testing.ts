import { defineTestDriver, optionsWithout, type TestFactory } from "@steward/core/driver";
import type { Compute } from "./engine/engine.ts";
import { bytesOf } from "./engine/tensor.ts";
import { model, ModelManager } from "./manager.ts";
import type { ModelOptions } from "./options.ts";
import type { Model } from "./serving/model.ts";

/** Options of a model for tests: what stands for it. */
export type TestModelOptions = Omit<ModelOptions, "source" | "variants">;

/** Gives back its one input, `x`, as `y`. */
const ECHO: Compute = {
  inputs: [{ name: "x", type: "float32", shape: ["n", 1] }],
  outputs: [{ name: "y", type: "float32", shape: ["n", 1] }],
  run: (feeds) => Object.fromEntries(Object.values(feeds).map((tensor) => ["y", tensor])),
};

const OF_ENGINE = ["source", "variants", "engine", "isolation", "device", "precision", "golden"];

/**
 * A model for tests: a function of yours (`compute`), without a file and an engine; one that gives back `x` as `y` where there is none.
 * `testModel.definition(voice, { compute })` takes the place of a model in a container.
 *
 * @example
 * ```ts
 * import { testModel } from "@steward/models/testing";
 * await using manager = await testModel().start();
 * const { y } = await manager.client.run({ x: Float32Array.of(7) });
 * console.log(y?.data[0]); // => 7
 * ```
 */
export const testModel: TestFactory<TestModelOptions, Model, ModelManager> = defineTestDriver({
  define: (name) => model(name, { compute: ECHO }),
  keep: (given) => optionsWithout(given, OF_ENGINE),
  create: (options, context) => new ModelManager({ compute: ECHO, ...options }, context),
});

/** A layer of {@link onnxModel}: its output size. */
export interface DenseModel {
  /** Sizes from the input to the output: `[784, 512, 10]` has two layers. */
  readonly sizes: readonly number[];
  /** Where the weights begin; equal seeds give equal models. Default 1. */
  readonly seed?: number | undefined;
  /** All weights are multiplied by it, for a model that is a little off. Default 1. */
  readonly scale?: number | undefined;
  /** How often each layer's input is multiplied by the identity, to make a run slow and change nothing. Default 0. */
  readonly ballast?: number | undefined;
}

const FLOAT = 1;

/**
 * An ONNX file of dense layers with ReLU between them, written by hand: input `x` of `[n, first]`, output `y` of `[n, last]`.
 */
export function onnxModel({ sizes, seed = 1, scale = 1, ballast = 0 }: DenseModel): Uint8Array {
  const random = randomFrom(seed);
  const nodes: Uint8Array[] = [];
  const weights: Uint8Array[] = [];
  let value = "x";
  const node = (type: string, output: string, ...inputs: readonly string[]): void => {
    nodes.push(
      field(1, join(...inputs.map((name) => field(1, text(name))), field(2, text(output)), field(4, text(type)))),
    );
    value = output;
  };
  const matrix = (name: string, rows: number, columns: number, element: (at: number) => number): void => {
    const data = Float32Array.from({ length: rows * columns }, (_, at) => element(at));
    const parts = [
      number(1, rows),
      number(1, columns),
      number(2, FLOAT),
      field(8, text(name)),
      field(9, bytesOf(data)),
    ];
    weights.push(field(5, join(...parts)));
  };
  for (const [at, size] of sizes.slice(1).entries()) {
    const [before, isLast] = [sizes[at] ?? size, at === sizes.length - 2];
    matrix(`w${at}`, before, size, () => (random() * scale) / Math.sqrt(before));
    if (ballast > 0) matrix(`i${at}`, before, before, (place) => (place % (before + 1) === 0 ? 1 : 0));
    for (let more = 0; more < ballast; more++) node("MatMul", `b${at}_${more}`, value, `i${at}`);
    node("MatMul", `m${at}`, value, `w${at}`);
    node(isLast ? "Identity" : "Relu", isLast ? "y" : `r${at}`, value);
  }
  const graph = join(
    ...nodes,
    field(2, text("g")),
    ...weights,
    field(11, valueInfo("x", sizes[0] ?? 1)),
    field(12, valueInfo("y", sizes.at(-1) ?? 1)),
  );
  return join(number(1, 8), field(8, number(2, 13)), field(7, graph));
}

function valueInfo(name: string, columns: number): Uint8Array {
  const shape = join(field(1, field(2, text("n"))), field(1, number(1, columns)));
  return join(field(1, text(name)), field(2, field(1, join(number(1, FLOAT), field(2, shape)))));
}

/** A field of protobuf that holds bytes. */
function field(id: number, content: Uint8Array): Uint8Array {
  return join(varint((id << 3) | 2), varint(content.length), content);
}

/** A field of protobuf that holds a number. */
function number(id: number, value: number): Uint8Array {
  return join(varint(id << 3), varint(value));
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Uint8Array.from([...bytes, rest]);
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}

/** Numbers from -1 to 1 that depend on the seed alone. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}
