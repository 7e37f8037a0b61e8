import { trainingError } from "../errors.ts";

/** Numbers by the names of parameters: weights, or gradients of them. */
export type Parameters = Readonly<Record<string, Float32Array>>;

/** One parameter of a network. */
export interface Parameter {
  /** Unique in its network. */
  readonly name: string;
  /** Sizes of its dimensions, each at least 1. A single number is `[1]`. */
  readonly shape: readonly number[];
  /** Where it begins: all zero (default), or uniform as Glorot and Bengio have it, worked out from the seed of the fit. */
  readonly initial?: "zeros" | "glorot" | undefined;
}

/** How many numbers a parameter has. */
export function lengthOf({ shape }: Parameter): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Where each parameter lies in one row of numbers. */
export interface Layout {
  readonly parameters: readonly Parameter[];
  /** All numbers together. */
  readonly size: number;
  /** The parts of one row of numbers, by name; they share its memory. */
  views(all: Float32Array): Parameters;
}

/**
 * Lays parameters out behind one another, in their order.
 * @throws {TRAINING_NETWORK_INVALID} when there are none, two of one name, or sizes that are no counts.
 */
export function layoutOf(parameters: readonly Parameter[]): Layout {
  const offsets = new Map<string, number>();
  let size = 0;
  for (const parameter of parameters) {
    const { name, shape } = parameter;
    const isSound = typeof name === "string" && name !== "" && !offsets.has(name);
    if (!isSound || shape.length === 0 || !shape.every((n) => Number.isSafeInteger(n) && n > 0))
      throw invalid(`parameter "${name}" needs a name of its own and a shape of whole numbers from 1 on`);
    offsets.set(name, size);
    size += lengthOf(parameter);
  }
  if (size === 0) throw invalid("a network needs at least one parameter");
  const views = (all: Float32Array): Parameters =>
    Object.fromEntries(
      parameters.map((parameter) => {
        const from = offsets.get(parameter.name) ?? 0;
        return [parameter.name, all.subarray(from, from + lengthOf(parameter))];
      }),
    );
  return { parameters, size, views };
}

function invalid(why: string): Error {
  return trainingError("TRAINING_NETWORK_INVALID", why);
}

/** Numbers from 0 up to 1 that follow from a seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** One seed out of several numbers. */
export function mixed(...numbers: readonly number[]): number {
  let hash = 2_166_136_261;
  for (const number of numbers) hash = Math.imul(hash ^ (number >>> 0), 16_777_619) ^ (hash >>> 13);
  return hash >>> 0;
}

/** Fills weights with what they begin with. */
export function initialise({ parameters, views }: Layout, all: Float32Array, seed: number): void {
  const values = views(all);
  parameters.forEach((parameter, index) => {
    const target = values[parameter.name];
    if (parameter.initial !== "glorot" || target === undefined) return;
    const [fanIn = 1, fanOut = 1] = parameter.shape.slice(-2);
    const bound = Math.sqrt(6 / (fanIn + fanOut));
    const random = randomFrom(mixed(seed, index));
    for (let i = 0; i < target.length; i++) target[i] = (2 * random() - 1) * bound;
  });
}

/** The order of the rows in one epoch: the same for the same seed, wherever it is worked out. */
export function orderOf(rows: number, seed: number, epoch: number): Uint32Array {
  const order = Uint32Array.from({ length: rows }, (_, i) => i);
  const random = randomFrom(mixed(seed, epoch, 0x0bde5));
  for (let i = rows - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const taken = order[i] ?? 0;
    order[i] = order[j] ?? 0;
    order[j] = taken;
  }
  return order;
}
