import {
  countOf,
  emptyData,
  isText,
  type NumberType,
  type Tensor,
  type TensorData,
  type Tensors,
  type TensorType,
} from "../engine/tensor.ts";
import { byName, datatypeOf, fieldsOf, headOf, WireProblem } from "./datatypes.ts";
import type { RawReader } from "./body.ts";
import { fromRaw, rawOf } from "./raw.ts";

/** A tensor as the protocol writes it in JSON: with its elements, or with the number of its bytes behind the JSON. */
export interface WireTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly datatype: string;
  readonly data?: readonly (number | boolean | string)[];
  readonly parameters?: { readonly binary_data_size: number };
}

/** Tensors as JSON, and the bytes that go behind it. */
export interface WireTensors {
  readonly tensors: readonly WireTensor[];
  readonly raw: readonly Uint8Array[];
}

/** @throws {WireProblem} for a number that JSON has no form for. */
export function toWire(tensors: Tensors, isBinary: (name: string) => boolean): WireTensors {
  const raw: Uint8Array[] = [];
  const written = Object.entries(tensors).map(([name, tensor]) => {
    const head = { name, shape: tensor.shape, datatype: datatypeOf(tensor.type) };
    if (!isBinary(name)) return { ...head, data: elementsOf(tensor) };
    const bytes = rawOf(tensor);
    raw.push(bytes);
    return { ...head, parameters: { binary_data_size: bytes.byteLength } };
  });
  return { tensors: written, raw };
}

function elementsOf({ type, data }: Tensor): readonly (number | boolean | string)[] {
  if (isText(data)) return data;
  const values: ArrayLike<number | bigint> = data;
  const numbers = Array.from(values, numberOf);
  return type === "bool" ? numbers.map((each) => each !== 0) : numbers;
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
export function fromWire(given: unknown, what: "inputs" | "outputs", raw: RawReader): Tensors {
  if (!Array.isArray(given)) throw new WireProblem(`${what} must be a list of tensors`);
  const tensors = byName(
    (given as readonly unknown[]).map((each) => tensorOf(each, what, raw)),
    what,
  );
  raw.end();
  return tensors;
}

function tensorOf(given: unknown, what: string, raw: RawReader): readonly [string, Tensor] {
  const fields = fieldsOf(given, what);
  const head = headOf(fields, what);
  const { name, type, shape } = head;
  const { data, parameters } = fields;
  const size = parameters === undefined ? undefined : fieldsOf(parameters, `"${name}": parameters`)["binary_data_size"];
  if (size !== undefined && data !== undefined) throw new WireProblem(`"${name}" has data and binary_data_size`);
  if (size !== undefined) return [name, fromRaw(head, raw.take(name, size))];
  if (!Array.isArray(data)) throw new WireProblem(`"${name}": data must be a list`);
  const elements = data.flat(shape.length) as readonly unknown[];
  if (elements.length !== countOf(shape))
    throw new WireProblem(
      `"${name}": a shape of ${shape.join("x")} has ${countOf(shape)} elements, data has ${elements.length}`,
    );
  return [name, { type, shape, data: dataOf(name, type, elements) }];
}

/** @throws {WireProblem} naming the first element that is not of the type. */
export function dataOf(name: string, type: TensorType, elements: readonly unknown[]): TensorData {
  if (type === "string") return elements.map((element, at) => textAt(name, element, at));
  const data = emptyData(type, elements.length);
  const isBig = data instanceof BigInt64Array || data instanceof BigUint64Array;
  for (const [at, element] of elements.entries()) {
    if (typeof element !== (type === "bool" ? "boolean" : "number") || (isBig && !Number.isSafeInteger(element)))
      throw new WireProblem(`"${name}": element ${at} is no ${type}`);
    if (isBig) data[at] = BigInt(element as number);
    else (data as Float64Array)[at] = Number(element); // an array of numbers
    if (!isKept(type, Number(data[at]), Number(element)))
      throw new WireProblem(`"${name}": element ${at} does not fit into ${type}`);
  }
  return data;
}

function textAt(name: string, element: unknown, at: number): string {
  if (typeof element === "string") return element;
  throw new WireProblem(`"${name}": element ${at} is no text`);
}

/** Arrays of whole numbers wrap what they cannot hold, and those of fractions make it infinite. */
function isKept(type: NumberType, kept: number, given: number): boolean {
  return type.startsWith("float") ? Number.isFinite(kept) : kept === given;
}
