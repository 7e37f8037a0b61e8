/** Types of elements that are numbers, in the names of ONNX. 16-bit floats are not supported. */
export type NumberType =
  | "float32"
  | "float64"
  | "int8"
  | "int16"
  | "int32"
  | "int64"
  | "uint8"
  | "uint16"
  | "uint32"
  | "uint64"
  | "bool";

/** Types of elements, in the names of ONNX. */
export type TensorType = NumberType | "string";

/** Elements that are numbers; those of `bool` are bytes, 0 and 1. */
export type NumberData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array;

/** Elements of a tensor: numbers, or texts where its type is `string`. */
export type TensorData = NumberData | readonly string[];

/** Elements with a shape, rows first. */
export interface Tensor {
  readonly type: TensorType;
  /** Sizes of its dimensions; none for a single number. */
  readonly shape: readonly number[];
  readonly data: TensorData;
}

/** Tensors by name: what a model is given, and what it gives. */
export type Tensors = Readonly<Record<string, Tensor>>;

/** What a model says of an input or output. */
export interface TensorInfo {
  readonly name: string;
  readonly type: string;
  /** Sizes; text, or an empty one, where any size will do. */
  readonly shape: readonly (number | string)[];
}

/** From here on memory moves between threads; what is smaller is copied in less time. */
export const MOVED_BYTES: number = 16 * 1024;

type ArrayOf = new (source: number | ArrayBuffer, offset?: number, length?: number) => NumberData;

const ARRAYS: Readonly<Record<NumberType, ArrayOf>> = {
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
};

/** Whether a name is that of a type of elements. */
export function isTensorType(name: unknown): name is TensorType {
  return name === "string" || (typeof name === "string" && Object.hasOwn(ARRAYS, name));
}

/** Whether elements are texts. */
export function isText(data: TensorData): data is readonly string[] {
  return Array.isArray(data);
}

/** Room for elements, all 0, or empty texts. */
export function emptyData(type: TensorType, length: number): TensorData {
  return type === "string" ? Array<string>(length).fill("") : new ARRAYS[type](length);
}

/** Bytes of one element. */
export function elementBytes(type: NumberType): number {
  return new ARRAYS[type](0).BYTES_PER_ELEMENT;
}

/** The same bytes as elements. */
export function dataFrom(type: NumberType, bytes: ArrayBuffer): NumberData {
  return new ARRAYS[type](bytes, 0, Math.floor(bytes.byteLength / elementBytes(type)));
}

/** Elements as bytes, without a copy. */
export function bytesOf(data: NumberData): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Whether elements are of a type. */
export function fits(type: TensorType, data: unknown): data is TensorData {
  if (type === "string") return Array.isArray(data) && data.every((each) => typeof each === "string");
  return data instanceof ARRAYS[type] || (data instanceof Uint8Array && type === "bool");
}

/** How many elements a shape has. */
export function countOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Some of the elements. Numbers share the memory of the whole. */
export function rangeOf(data: TensorData, start: number, end: number): TensorData {
  return isText(data) ? data.slice(start, end) : data.subarray(start, end);
}

/** Writes elements into others of the same type, from a place on. */
export function put(into: TensorData, from: TensorData, at: number): void {
  if (isText(from)) for (const [n, text] of from.entries()) (into as string[])[at + n] = text; // of one type, checked before it waited
  else (into as Float32Array).set(from as Float32Array, at); // arrays of numbers and of big numbers have a `set` each
}

/** A tensor in memory of its own: `slice()` of a `Buffer` would share it. */
export function copied({ type, shape, data }: Tensor): Tensor {
  const own = emptyData(type, data.length);
  put(own, data, 0);
  return { type, shape: [...shape], data: own };
}
