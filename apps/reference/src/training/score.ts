import type { DenseShape, TrainingData } from "@steward/training";

/** The network that guesses whether a video will be watched to its end. */
export const SCORE = {
  inputs: 6,
  layers: [
    { units: 16, activation: "relu" },
    { units: 1, activation: "sigmoid" },
  ],
} as const satisfies DenseShape;

/** Rows that it learns from, and others that it is judged by. */
export const ROWS = 1_024;
export const BATCH_ROWS = 64;

/** Videos as numbers, and whether each was watched to its end: made up, the same for the same seed. */
export function videosOf(seed: number, rows = ROWS): TrainingData {
  let state = seed >>> 0;
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 4_294_967_296;
  };
  const inputs = new Float32Array(rows * SCORE.inputs);
  const targets = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    const minutes = random() * 2 - 1;
    const hour = random() * 2 * Math.PI;
    const hasDescription = random() < 0.5 ? 1 : 0;
    const titleLength = random() * 2 - 1;
    const uploads = random() * 2 - 1;
    inputs.set([minutes, titleLength, hasDescription, Math.sin(hour), Math.cos(hour), uploads], row * SCORE.inputs);
    const pull = hasDescription - 2 * minutes - Math.abs(titleLength) + 0.5 * Math.cos(hour);
    targets[row] = pull + (random() - 0.5) * 0.4 > 0 ? 1 : 0;
  }
  return { rows, inputs, targets };
}

/** The share of videos that it guesses right. */
export function accuracyOf(outputs: Float32Array, { targets, rows }: TrainingData): number {
  return outputs.filter((output, row) => output > 0.5 === (targets[row] === 1)).length / rows;
}
