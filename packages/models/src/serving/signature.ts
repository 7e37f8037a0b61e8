import { nearest, OptionsError } from "@steward/core/driver";
import { inputInvalid, modelError } from "../errors.ts";
import type { EngineInfo } from "../engine/engine.ts";
import {
  copied,
  countOf,
  emptyData,
  fits,
  isTensorType,
  isText,
  type Tensor,
  type TensorData,
  type TensorInfo,
  type Tensors,
  type TensorType,
} from "../engine/tensor.ts";

/** What a caller may give: tensors, or their elements alone where the model fixes all sizes but the rows. */
export type Inputs = Readonly<Record<string, Tensor | TensorData>>;

/** Input of one caller, checked. */
export interface Item {
  readonly tensors: Tensors;
  readonly rows: number;
  /** What has to be equal for two to run together. */
  readonly key: string;
  /** When it came, in ms of the clock. */
  readonly since: number;
}

interface Input {
  readonly name: string;
  readonly type: TensorType;
  readonly shape: readonly (number | string)[];
  /** Which dimension counts rows; `undefined` where all rows share it. */
  readonly axis: number | undefined;
  /** The same in words, for who gave something else. */
  readonly wanted: string;
}

/** Which dimension of an input or output counts rows, by name; `null`: none, all rows of a run share it. */
export type BatchAxes = Readonly<Record<string, number | null>>;

/** What a model takes, so that a bad input fails its own caller before it waits. */
export class Signature {
  readonly #resource: string;
  readonly #inputs: ReadonlyMap<string, Input>;
  readonly #maxBatch: number;
  /** False where no input has a dimension for rows: such a model runs once for each caller. */
  readonly isBatched: boolean;
  readonly axes: BatchAxes;

  /** @throws {OPTIONS_INVALID} for axes of what the model does not have. */
  constructor(resource: string, { inputs, outputs }: EngineInfo, axes: BatchAxes, maxBatch: number) {
    this.#resource = resource;
    checkAxes(resource, axes, inputs, outputs);
    this.axes = axes;
    this.#inputs = new Map(inputs.map((info) => [info.name, inputOf(resource, info, axes)]));
    this.#maxBatch = maxBatch;
    this.isBatched = [...this.#inputs.values()].some(({ axis }) => axis !== undefined);
  }

  axisOf(name: string): number | undefined {
    return this.#inputs.get(name)?.axis;
  }

  /** @throws {MODEL_INPUT_INVALID} naming the input, what it has to be and what it is. */
  item(given: Inputs, since: number): Item {
    if (typeof given !== "object" || given === null)
      throw inputInvalid(this.#resource, "the input must be an object of tensors by name");
    this.#checkNames(given);
    const tensors: Record<string, Tensor> = {};
    let rows: number | undefined;
    let key = "";
    for (const input of this.#inputs.values()) {
      const tensor = this.#tensor(input, given[input.name]);
      tensors[input.name] = tensor;
      if (input.axis === undefined) {
        key += `${tensor.shape.join("x")}=${isText(tensor.data) ? JSON.stringify(tensor.data) : tensor.data.join(",")};`;
        continue;
      }
      const own = tensor.shape[input.axis] ?? 0; // the rank was checked
      if (rows !== undefined && own !== rows)
        throw this.#wrong(input.name, `${rows} rows, as the inputs before it`, `${own}`);
      rows = own;
      key += `${tensor.shape.map((size, at) => (at === input.axis ? "n" : size)).join("x")};`;
    }
    return { tensors, rows: this.#checkedRows(rows ?? 1), key, since };
  }

  /** An input of zeros, one row, for a warm-up; `undefined` where sizes other than the rows are not fixed. */
  zeros(): Inputs | undefined {
    const zeros: Record<string, Tensor> = {};
    for (const { name, type, shape, axis } of this.#inputs.values()) {
      if (shape.some((size, at) => typeof size !== "number" && at !== axis)) return undefined;
      const sizes = shape.map((size) => (typeof size === "number" ? size : 1));
      zeros[name] = { type, shape: sizes, data: emptyData(type, countOf(sizes)) };
    }
    return zeros;
  }

  #checkNames(given: Inputs): void {
    const known = [...this.#inputs.keys()];
    for (const name of Object.keys(given)) {
      if (this.#inputs.has(name)) continue;
      const close = nearest(name, known);
      throw inputInvalid(
        this.#resource,
        `unknown input "${name}"${close === undefined ? `; it takes ${known.join(", ")}` : `; did you mean "${close}"?`}`,
      );
    }
  }

  #tensor(input: Input, value: Tensor | TensorData | undefined): Tensor {
    const { name, type, shape, wanted } = input;
    if (value === undefined) throw this.#wrong(name, wanted, "nothing");
    const tensor = fits(type, value) ? this.#shaped(input, value) : value;
    if (!isTensor(tensor)) throw this.#wrong(name, wanted, kindOf(value));
    const isRight =
      tensor.type === type &&
      fits(type, tensor.data) &&
      tensor.shape.length === shape.length &&
      tensor.shape.every(
        (size, at) => Number.isSafeInteger(size) && size > 0 && (typeof shape[at] !== "number" || shape[at] === size),
      );
    if (!isRight) throw this.#wrong(name, wanted, `${tensor.type} [${tensor.shape.join(", ")}]`);
    if (tensor.data.length === countOf(tensor.shape)) return copied(tensor);
    throw this.#wrong(name, `${countOf(tensor.shape)} elements, as its shape says`, `${tensor.data.length}`);
  }

  /** Elements alone: whole rows of them. */
  #shaped({ name, type, shape, axis, wanted }: Input, data: TensorData): Tensor {
    const fixed = shape.filter((_, at) => at !== axis);
    if (fixed.some((size) => typeof size !== "number"))
      throw this.#wrong(name, `a tensor with its shape, ${wanted}`, "elements alone");
    const perRow = countOf(fixed as readonly number[]); // one line above
    const rows = data.length / perRow;
    if (!Number.isInteger(rows) || rows === 0 || (axis === undefined && rows !== 1))
      throw this.#wrong(
        name,
        `${wanted}, which is ${perRow} elements${axis === undefined ? "" : " a row"}`,
        `${data.length} elements`,
      );
    return { type, shape: shape.map((size, at) => (at === axis ? rows : Number(size))), data };
  }

  #checkedRows(rows: number): number {
    if (rows <= this.#maxBatch) return rows;
    throw inputInvalid(
      this.#resource,
      `an input of ${rows} rows; at most ${this.#maxBatch} run at once: send it in parts`,
    );
  }

  #wrong(name: string, expected: string, got: string): Error {
    return inputInvalid(this.#resource, `input "${name}": expected ${expected}, got ${got}`);
  }
}

/** A name that is mistyped would leave the rows where they are not: every output would then be wrong or refused. */
function checkAxes(
  resource: string,
  axes: BatchAxes,
  inputs: readonly TensorInfo[],
  outputs: readonly TensorInfo[],
): void {
  const known = [...inputs, ...outputs].map(({ name }) => name);
  const problems = Object.entries(axes).flatMap(([name, axis]) => {
    const path = `batchAxes.${name}`;
    if (!known.includes(name)) {
      const close = nearest(name, known);
      const hint = close === undefined ? `it has ${known.join(", ")}` : `did you mean "${close}"?`;
      return [{ resource, path, message: `the model has no input or output of this name; ${hint}` }];
    }
    const rank = inputs.find((input) => input.name === name)?.shape.length;
    if (axis === null || rank === undefined || axis < rank) return [];
    return [{ resource, path, message: `dimension ${axis} of an input that has ${rank}, counted from 0` }];
  });
  if (problems.length > 0) throw new OptionsError(problems);
}

function inputOf(resource: string, { name, type, shape }: TensorInfo, axes: BatchAxes): Input {
  if (!isTensorType(type))
    throw modelError("MODEL_INVALID_FILE", resource, `input "${name}" is ${type}, which is not supported`);
  const said = axes[name];
  const usual = typeof shape[0] === "string" ? 0 : undefined;
  const wanted = `${type} [${shape.map((size) => (typeof size === "number" ? size : size || "?")).join(", ")}]`;
  return { name, type, shape, axis: said === null ? undefined : (said ?? usual), wanted };
}

function isTensor(value: unknown): value is Tensor {
  return (
    typeof value === "object" &&
    value !== null &&
    "type" in value &&
    "data" in value &&
    "shape" in value &&
    Array.isArray(value.shape)
  );
}

function kindOf(value: unknown): string {
  return typeof value === "object" && value !== null ? value.constructor.name : typeof value;
}
