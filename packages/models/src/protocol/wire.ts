import {
  countOf,
  emptyData,
  isTensorType,
  type Tensor,
  type TensorData,
  type TensorInfo,
  type Tensors,
  type TensorType,
} from "../engine/tensor.ts";

/** Types of elements, in the names of the Open Inference Protocol. */
const DATATYPES: Readonly<Record<TensorType, string>> = {
  float32: "FP32",
  float64: "FP64",
  int8: "INT8",
  int16: "INT16",
  int32: "INT32",
  int64: "INT64",
  uint8: "UINT8",
  uint16: "UINT16",
  uint32: "UINT32",
  uint64: "UINT64",
  bool: "BOOL",
};

const TYPES = new Map(Object.entries(DATATYPES).map(([type, datatype]) => [datatype, type]));

/** A tensor as the protocol writes it in JSON. */
export interface WireTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly datatype: string;
  readonly data: readonly (number | boolean)[];
}

/** An input or output of a model as the protocol describes it. */
export interface WireInfo {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
}

/** Says what of a message is not of the protocol. */
export class WireProblem extends Error {}

export function toWire(tensors: Tensors): readonly WireTensor[] {
  return Object.entries(tensors).map(([name, { type, shape, data }]) => ({
    name,
    shape,
    datatype: DATATYPES[type],
    data: type === "bool" ? numbersOf(data).map((each) => each !== 0) : numbersOf(data),
  }));
}

function numbersOf(data: TensorData): number[] {
  const values: ArrayLike<number | bigint> = data;
  return Array.from(values, numberOf);
}

/** JSON has no whole numbers past 2^53; one that would change is refused. */
function numberOf(value: number | bigint): number {
  const number = Number(value);
  if (typeof value === "bigint" && BigInt(number) !== value)
    throw new WireProblem(`${value} has no exact form in JSON`);
  if (Number.isFinite(number)) return number;
  throw new WireProblem(`${number} has no form in JSON`);
}

/** @throws {WireProblem} saying which part is wrong. */
export function fromWire(given: unknown, what: "inputs" | "outputs"): Tensors {
  if (!Array.isArray(given)) throw new WireProblem(`${what} must be a list of tensors`);
  const tensors = new Map<string, Tensor>();
  for (const each of given as readonly unknown[]) {
    const { name, tensor } = tensorOf(each, what);
    if (tensors.has(name)) throw new WireProblem(`${what} has "${name}" twice`);
    tensors.set(name, tensor);
  }
  return Object.fromEntries(tensors);
}

function tensorOf(given: unknown, what: string): { readonly name: string; readonly tensor: Tensor } {
  const { name, shape, datatype, data } = fieldsOf(given, what);
  if (typeof name !== "string") throw new WireProblem(`a tensor of ${what} has no name`);
  const type = TYPES.get(String(datatype));
  if (!isTensorType(type))
    throw new WireProblem(
      `"${name}": datatype ${String(datatype)} is not supported; there are ${[...TYPES.keys()].join(", ")}`,
    );
  if (!Array.isArray(shape) || !shape.every((size) => Number.isSafeInteger(size) && Number(size) >= 0))
    throw new WireProblem(`"${name}": shape must be a list of whole numbers`);
  if (!Array.isArray(data)) throw new WireProblem(`"${name}": data must be a list`);
  const elements = data.flat(shape.length) as readonly unknown[];
  if (elements.length !== countOf(shape as readonly number[]))
    throw new WireProblem(
      `"${name}": a shape of ${shape.join("x")} has ${countOf(shape as readonly number[])} elements, data has ${elements.length}`,
    );
  return { name, tensor: { type, shape: shape as readonly number[], data: elementsOf(name, type, elements) } };
}

function elementsOf(name: string, type: TensorType, elements: readonly unknown[]): TensorData {
  const data = emptyData(type, elements.length);
  const isBig = data instanceof BigInt64Array || data instanceof BigUint64Array;
  for (const [at, element] of elements.entries()) {
    if (typeof element !== (type === "bool" ? "boolean" : "number") || (isBig && !Number.isSafeInteger(element)))
      throw new WireProblem(`"${name}": element ${at} is no ${type}`);
    if (isBig) data[at] = BigInt(element as number);
    else data[at] = Number(element);
    if (!isKept(type, Number(data[at]), Number(element)))
      throw new WireProblem(`"${name}": element ${at} does not fit into ${type}`);
  }
  return data;
}

/** Arrays of whole numbers wrap what they cannot hold, and those of fractions make it infinite. */
function isKept(type: TensorType, kept: number, given: number): boolean {
  return type.startsWith("float") ? Number.isFinite(kept) : kept === given;
}

/** A type that the protocol does not know, such as that of text, keeps its name. */
export function infoToWire({ name, type, shape }: TensorInfo): WireInfo {
  const datatype = isTensorType(type) ? DATATYPES[type] : type;
  return { name, datatype, shape: shape.map((size) => (typeof size === "number" ? size : -1)) };
}

/** @throws {WireProblem} */
export function infosFromWire(given: unknown, what: string): readonly TensorInfo[] {
  if (!Array.isArray(given)) throw new WireProblem(`${what} of the model's description must be a list`);
  return (given as readonly unknown[]).map((each) => {
    const { name, datatype, shape } = fieldsOf(each, what);
    if (typeof name !== "string" || !Array.isArray(shape))
      throw new WireProblem(`${what} of the model's description have no name or shape`);
    const sizes = (shape as readonly unknown[]).map((size) => (Number(size) < 0 ? "" : Number(size)));
    return { name, type: TYPES.get(String(datatype)) ?? String(datatype), shape: sizes };
  });
}

/** @throws {WireProblem} where it is no object. */
export function fieldsOf(given: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof given === "object" && given !== null && !Array.isArray(given))
    return given as Readonly<Record<string, unknown>>; // looked at only
  throw new WireProblem(`${what} must be an object`);
}

/**
 * Reads a body of JSON, up to a bound; an abort of the signal ends the wait for more.
 *
 * @throws {WireProblem} when it is longer, or no JSON.
 */
export async function readJson(
  body: ReadableStream<Uint8Array> | null,
  maxBytes: number,
  signal?: AbortSignal,
): Promise<unknown> {
  const parts: Uint8Array[] = [];
  let size = 0;
  const into = new WritableStream<Uint8Array>({
    write(part) {
      size += part.byteLength;
      if (size > maxBytes) throw new TooLarge(`a body of more than ${maxBytes} bytes`);
      parts.push(part);
    },
  });
  await body?.pipeTo(into, signal === undefined ? {} : { signal });
  try {
    return JSON.parse(Buffer.concat(parts).toString("utf8")) as unknown;
  } catch {
    throw new WireProblem("the body is no JSON");
  }
}

/** A body that is longer than its bound. */
export class TooLarge extends WireProblem {}
