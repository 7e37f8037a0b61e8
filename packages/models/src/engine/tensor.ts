/** Types of elements, in the names of ONNX. Text and 16-bit floats are not supported. */
export type TensorType =
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

/** Elements of a tensor; those of `bool` are bytes, 0 and 1. */
export type TensorData =
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

/** Numbers with a shape, rows first. */
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

type ArrayOf = new (source: number | ArrayBuffer, offset?: number, length?: number) => TensorData;

const ARRAYS: Readonly<Record<TensorType, ArrayOf>> = {
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
  return typeof name === "string" && Object.hasOwn(ARRAYS, name);
}

/** Room for elements, all 0. */
export function emptyData(type: TensorType, length: number): TensorData {
  return new ARRAYS[type](length);
}

/** Bytes of one element. */
export function elementBytes(type: TensorType): number {
  return emptyData(type, 1).BYTES_PER_ELEMENT;
}

/** The same bytes as elements. `bytes` must begin at a multiple of the element's size. */
export function dataFrom(type: TensorType, bytes: Uint8Array<ArrayBuffer>): TensorData {
  const own = bytes.byteOffset % elementBytes(type) === 0 ? bytes : bytes.slice();
  return new ARRAYS[type](own.buffer, own.byteOffset, Math.floor(own.byteLength / elementBytes(type)));
}

/** Elements as bytes, without a copy. */
export function bytesOf(data: TensorData): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Whether elements are of a type. */
export function fits(type: TensorType, data: unknown): data is TensorData {
  return data instanceof ARRAYS[type] || (data instanceof Uint8Array && type === "bool");
}

/** How many elements a shape has. */
export function countOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Arrays of numbers and of big numbers have a `set` each; both sides have one type here. */
export function put(into: TensorData, from: TensorData, at: number): void {
  (into as Float32Array).set(from as Float32Array, at); // of one type, checked before it waited
}

/** A tensor in memory of its own: `slice()` of a `Buffer` would share it. */
export function copied({ type, shape, data }: Tensor): Tensor {
  const own = emptyData(type, data.length);
  put(own, data, 0);
  return { type, shape: [...shape], data: own };
}
