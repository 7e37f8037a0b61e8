import type { Tensor, TensorData, TensorInfo, Tensors, TensorType } from "./tensor.ts";

/**
 * Tensors as a message: in the order in which the model has them, for each its elements, how many dimensions it has, and
 * their sizes. Both ends know names and types, and to copy a flat list to another thread takes a third less time than
 * objects in objects. `undefined` stands for one that is not there.
 */
export type Packed = readonly (TensorData | number | undefined)[];

/** Tensors as a message. */
export function packed(tensors: Tensors, infos: readonly TensorInfo[]): Packed {
  const list: (TensorData | number | undefined)[] = [];
  for (const { name } of infos) {
    const tensor = tensors[name];
    if (tensor === undefined) list.push(undefined);
    else list.push(tensor.data, tensor.shape.length, ...tensor.shape);
  }
  return list;
}

/** The tensors of a message. */
export function unpacked(list: Packed, infos: readonly TensorInfo[]): Tensors {
  const tensors: Record<string, Tensor> = {};
  let at = 0;
  for (const { name, type } of infos) {
    const data = list[at++] as TensorData | undefined; // as `packed` wrote it, like all below
    if (data === undefined) continue;
    const rank = list[at++] as number;
    const shape = list.slice(at, (at += rank)) as readonly number[];
    tensors[name] = { type: type as TensorType, shape, data };
  }
  return tensors;
}
