import type { Network, TrainingData } from "../src/index.ts";

/** Numbers that look like chance and are always the same. */
export function numbers(length: number, seed = 1): Float32Array {
  return Float32Array.from({ length }, (_, i) => ((((Math.sin((i + 1) * seed) * 43_758.5) % 1) + 1) % 1) * 2 - 1);
}

/** Rows whose target follows from their three numbers. */
export function rowsOf(rows: number): TrainingData {
  const inputs = numbers(rows * 3);
  const targets = Float32Array.from({ length: rows }, (_, row) => {
    const [a = 0, b = 0, c = 0] = inputs.subarray(row * 3, row * 3 + 3);
    return 2 * a - b + 0.5 * c + 1;
  });
  return { rows, inputs, targets };
}

/** A line through the rows, by the mean of squares, with gradients worked out by hand. */
export const line: Network = {
  parameters: [
    { name: "w", shape: [3, 1], initial: "glorot" },
    { name: "b", shape: [1] },
  ],
  gradients({ w = new Float32Array(3), b = new Float32Array(1) }, { rows, inputs, targets }) {
    const sums = [0, 0, 0, 0];
    let loss = 0;
    for (let row = 0; row < rows; row++) {
      const own = [...inputs.subarray(row * 3, row * 3 + 3), 1];
      const error = own.reduce((sum, x, i) => sum + x * (w[i] ?? b[0] ?? 0), -(targets[row] ?? 0));
      loss += error ** 2 / rows;
      own.forEach((x, i) => (sums[i] = (sums[i] ?? 0) + (2 * error * x) / rows));
    }
    return { loss, gradients: { w: Float32Array.from(sums.slice(0, 3)), b: Float32Array.from(sums.slice(3)) } };
  },
};

/** The largest difference between two rows of numbers. */
export function apart(a: ArrayLike<number> | undefined, b: ArrayLike<number> | undefined): number {
  const [left, right] = [Array.from(a ?? []), Array.from(b ?? [])];
  if (left.length !== right.length || left.length === 0) return Number.NaN;
  return Math.max(...left.map((value, i) => Math.abs(value - (right[i] ?? Number.NaN))));
}
