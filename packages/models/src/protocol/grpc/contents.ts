import {
  countOf,
  emptyData,
  isText,
  type NumberData,
  type NumberType,
  type Tensor,
  type TensorData,
  type Tensors,
  type TensorType,
} from "../../engine/tensor.ts";
import { byName, datatypeOf, headOf, WireProblem, type WireHead } from "../datatypes.ts";
import { fromRaw, rawOf, textOf } from "../raw.ts";
import type { Contents, ContentsName, InferTensor } from "./messages.ts";

const CONTENTS: Readonly<Record<TensorType, ContentsName>> = {
  bool: "bool_contents",
  int8: "int_contents",
  int16: "int_contents",
  int32: "int_contents",
  int64: "int64_contents",
  uint8: "uint_contents",
  uint16: "uint_contents",
  uint32: "uint_contents",
  uint64: "uint64_contents",
  float32: "fp32_contents",
  float64: "fp64_contents",
  string: "bytes_contents",
};

/** Tensors of a message: what each says of itself, and their bytes where these are raw. */
export interface Written {
  readonly tensors: readonly InferTensor[];
  readonly raw: readonly Uint8Array[];
}

/** Tensors for a message: as bytes, or as lists of their types. */
export function toMessage(tensors: Tensors, isRaw: boolean): Written {
  const entries = Object.entries(tensors);
  return {
    tensors: entries.map(([name, { type, shape, data }]) => ({
      name,
      datatype: datatypeOf(type),
      shape,
      ...(isRaw ? {} : { contents: { [CONTENTS[type]]: listOf(type, data) } }),
    })),
    raw: isRaw ? entries.map(([, tensor]) => rawOf(tensor)) : [],
  };
}

function listOf(type: TensorType, data: TensorData): readonly unknown[] {
  if (isText(data)) return data.map((text) => Buffer.from(text));
  const values: ArrayLike<number | bigint> = data;
  return Array.from(values, (each) => (type === "bool" ? each !== 0 : typeof each === "bigint" ? String(each) : each));
}

/**
 * Tensors of a message that came.
 *
 * @throws {WireProblem} saying which part is wrong.
 */
export function fromMessage(given: readonly InferTensor[], raw: readonly Uint8Array[], what: string): Tensors {
  if (raw.length > 0 && raw.length !== given.length)
    throw new WireProblem(`there are ${given.length} ${what}, and raw contents of ${raw.length}`);
  const tensors = given.map((each, at): readonly [string, Tensor] => {
    const head = headOf({ ...each }, what);
    const bytes = raw[at];
    if (bytes === undefined) return [head.name, { ...head, data: dataOf(head, each.contents ?? {}) }];
    if (listsOf(each.contents ?? {}).length > 0) throw new WireProblem(`"${head.name}" has contents and raw contents`);
    return [head.name, fromRaw(head, bytes)];
  });
  const found = tensors.map(([name, { type, shape, data }]) => [name, { type, shape, data }] as const);
  return byName(found, what);
}

/** Lists that are filled. */
function listsOf(contents: Contents): readonly (readonly [string, readonly unknown[]])[] {
  return Object.entries(contents).filter(([, list]) => list.length > 0);
}

function dataOf({ name, type, shape }: WireHead, contents: Contents): TensorData {
  const wrong = listsOf(contents).find(([list]) => list !== CONTENTS[type]);
  if (wrong !== undefined)
    throw new WireProblem(`"${name}": ${datatypeOf(type)} is in ${CONTENTS[type]}, not ${wrong[0]}`);
  const list = contents[CONTENTS[type]] ?? [];
  if (list.length !== countOf(shape))
    throw new WireProblem(
      `"${name}": a shape of ${shape.join("x")} has ${countOf(shape)} elements, contents have ${list.length}`,
    );
  if (type === "string") return list.map((bytes, at) => textOf(name, at, bytes as Uint8Array)); // as the message has them
  return numbersOf(name, type, list);
}

/** Lists of the message are wider than the types of small numbers. */
function numbersOf(name: string, type: NumberType, list: readonly unknown[]): NumberData {
  const data = emptyData(type, list.length) as NumberData; // of numbers
  for (const [at, each] of list.entries()) {
    if (data instanceof BigInt64Array || data instanceof BigUint64Array) data[at] = BigInt(each as string);
    else data[at] = Number(each);
    const isKept = typeof each !== "number" || type.startsWith("float") || data[at] === each;
    if (!isKept) throw new WireProblem(`"${name}": element ${at} does not fit into ${type}`);
  }
  return data;
}
