import { modelError } from "../errors.ts";
import { countOf, emptyData, put, rangeOf, type Tensor, type Tensors } from "../engine/tensor.ts";
import type { Item, Signature } from "./signature.ts";

/** The inputs of several callers as one, in memory of its own; that of a lone caller is its own already. */
export function stacked(items: readonly Item[], signature: Signature): Tensors {
  const [first] = items;
  if (first === undefined) return {};
  if (items.length === 1) return first.tensors;
  return Object.fromEntries(
    Object.keys(first.tensors).map((name) => {
      const parts = items.map(({ tensors }) => tensors[name] as Tensor); // all have the same key, so the same inputs
      const axis = signature.axisOf(name);
      return [name, axis === undefined ? joined(parts.slice(0, 1), 0) : joined(parts, axis)];
    }),
  );
}

/** Tensors behind one another along a dimension. */
function joined(parts: readonly Tensor[], axis: number): Tensor {
  const { type, shape } = parts[0] as Tensor; // never called without one
  const rows = parts.reduce((sum, part) => sum + (part.shape[axis] ?? 1), 0);
  const sizes = shape.map((size, at) => (at === axis ? rows : size));
  const data = emptyData(type, countOf(sizes));
  const outer = countOf(shape.slice(0, axis));
  const inner = countOf(shape.slice(axis + 1));
  let start = 0;
  for (const part of parts) {
    const width = (part.shape[axis] ?? 1) * inner;
    for (let block = 0; block < outer; block++)
      put(data, rangeOf(part.data, block * width, (block + 1) * width), block * rows * inner + start);
    start += width;
  }
  return { type, shape: sizes, data };
}

/**
 * The outputs of a run as those of its callers.
 *
 * @throws {MODEL_INVALID_FILE} when an output has no row for each that was put in.
 */
export function splitRows(resource: string, outputs: Tensors, items: readonly Item[], { axes }: Signature): Tensors[] {
  if (items.length === 1) return [outputs];
  const total = items.reduce((sum, { rows }) => sum + rows, 0);
  const results = items.map((): Record<string, Tensor> => ({}));
  for (const [name, tensor] of Object.entries(outputs)) {
    const axis = axes[name] === undefined ? 0 : axes[name];
    if (axis !== null && tensor.shape[axis] !== total) throw withoutRows(resource, name, tensor, total);
    let start = 0;
    for (const [at, { rows }] of items.entries()) {
      const own = axis === null ? tensor : part(tensor, axis, start, rows);
      Object.assign(results[at] ?? {}, { [name]: own });
      start += rows;
    }
  }
  return results;
}

function part({ type, shape, data }: Tensor, axis: number, start: number, rows: number): Tensor {
  const sizes = shape.map((size, at) => (at === axis ? rows : size));
  const outer = countOf(shape.slice(0, axis));
  const inner = countOf(shape.slice(axis + 1));
  const width = (shape[axis] ?? 1) * inner;
  if (outer === 1) return { type, shape: sizes, data: data.slice(start * inner, (start + rows) * inner) };
  const own = emptyData(type, countOf(sizes));
  for (let block = 0; block < outer; block++) {
    const from = block * width + start * inner;
    put(own, rangeOf(data, from, from + rows * inner), block * rows * inner);
  }
  return { type, shape: sizes, data: own };
}

function withoutRows(resource: string, name: string, { shape }: Tensor, total: number): Error {
  const message = `output "${name}" is [${shape.join(", ")}] for ${total} rows: say in batchAxes which dimension counts them, or null where none does`;
  return modelError("MODEL_INVALID_FILE", resource, message);
}
