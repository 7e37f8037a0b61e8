import { isTensorType, type TensorInfo, type TensorType } from "../engine/tensor.ts";

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
  string: "BYTES",
};

const TYPES = new Map(Object.entries(DATATYPES).map(([type, datatype]) => [datatype, type]));

/** Says what of a message is not of the protocol. */
export class WireProblem extends Error {}

/** An input or output of a model as the protocol describes it. */
export interface WireInfo {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
}

/** More than any engine takes; elements in JSON may be as deep in lists. */
const MOST_DIMENSIONS = 64;
/** Names stand in messages, and are compared with those of the model. */
const MOST_NAME = 1_000;

/** What a tensor says of itself, before its elements. */
export interface WireHead {
  readonly name: string;
  readonly type: TensorType;
  readonly shape: readonly number[];
}

/** The protocol's name of a type of elements. */
export function datatypeOf(type: TensorType): string {
  return DATATYPES[type];
}

/** @throws {WireProblem} where name, datatype or shape of a tensor are none. Sizes may be texts, as gRPC has them. */
export function headOf(given: Readonly<Record<string, unknown>>, what: string): WireHead {
  const { name, datatype, shape } = given;
  if (typeof name !== "string" || name === "") throw new WireProblem(`a tensor of ${what} has no name`);
  if (name.length > MOST_NAME)
    throw new WireProblem(`a tensor of ${what} has a name of more than ${MOST_NAME} characters`);
  if (typeof datatype !== "string") throw new WireProblem(`"${name}": datatype must be text`);
  const type = TYPES.get(datatype);
  if (!isTensorType(type))
    throw new WireProblem(
      `"${name}": datatype ${datatype.slice(0, 100)} is not supported; there are ${[...TYPES.keys()].join(", ")}`,
    );
  if (!Array.isArray(shape) || shape.length > MOST_DIMENSIONS)
    throw new WireProblem(`"${name}": shape must be a list of at most ${MOST_DIMENSIONS} sizes`);
  const sizes = (shape as readonly unknown[]).map(sizeOf);
  if (!sizes.every((size) => Number.isSafeInteger(size) && size >= 0))
    throw new WireProblem(`"${name}": shape must be a list of whole numbers`);
  return { name, type, shape: sizes };
}

function sizeOf(given: unknown): number {
  return typeof given === "number" || typeof given === "string" ? Number(given) : Number.NaN;
}

/** A type that the protocol does not know keeps its name. */
export function infoToWire({ name, type, shape }: TensorInfo): WireInfo {
  const datatype = isTensorType(type) ? DATATYPES[type] : type;
  return { name, datatype, shape: shape.map((size) => (typeof size === "number" ? size : -1)) };
}

/** @throws {WireProblem} */
export function infosFromWire(given: unknown, what: string): readonly TensorInfo[] {
  if (!Array.isArray(given)) throw new WireProblem(`${what} of the model's description must be a list`);
  return (given as readonly unknown[]).map((each) => {
    const { name, datatype, shape } = fieldsOf(each, what);
    if (typeof name !== "string" || typeof datatype !== "string" || !Array.isArray(shape))
      throw new WireProblem(`${what} of the model's description have no name, datatype or shape`);
    const sizes = (shape as readonly unknown[]).map(sizeOf);
    if (!sizes.every((size) => Number.isSafeInteger(size)))
      throw new WireProblem(`"${name}" of the model's description has a shape that is no list of whole numbers`);
    return { name, type: TYPES.get(datatype) ?? datatype, shape: sizes.map((size) => (size < 0 ? "" : size)) };
  });
}

/** @throws {WireProblem} where it is no object. */
export function fieldsOf(given: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof given === "object" && given !== null && !Array.isArray(given))
    return given as Readonly<Record<string, unknown>>; // looked at only
  throw new WireProblem(`${what} must be an object`);
}

/** Tensors by name. @throws {WireProblem} where a name comes twice. */
export function byName<T>(tensors: readonly (readonly [string, T])[], what: string): Readonly<Record<string, T>> {
  const found = new Map<string, T>();
  for (const [name, tensor] of tensors) {
    if (found.has(name)) throw new WireProblem(`${what} has "${name}" twice`);
    found.set(name, tensor);
  }
  return Object.fromEntries(found);
}
