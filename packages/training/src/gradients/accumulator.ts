import { assertShape, flag, rule, shape, wholeNumber, type Rule, type Shape } from "@steward/core/driver";
import { trainingError } from "../errors.ts";
import type { Parameters } from "./parameters.ts";

/** How gradients of several batches become one. */
export interface AccumulateOptions {
  /** Batches that make one step. 1 to 65,536; default 1. */
  readonly steps?: number | undefined;
  /** Longest gradient, as the Euclidean norm over all parameters together; a longer one is scaled down. Default: none. */
  readonly clipNorm?: number | undefined;
  /**
   * What happens to a batch with a NaN or an infinity in its gradients: `true` leaves it out and counts it, `false`
   * (default) refuses it with `TRAINING_NOT_FINITE`, before it has touched anything.
   */
  readonly skipNonFinite?: boolean | undefined;
}

/** Gradients as engines give them: numbers, or a tensor of tfjs, which is read. */
export type Gradients = Readonly<Record<string, Float32Array | { dataSync(): ArrayLike<number> }>>;

/** The gradients of one step. */
export interface Accumulated {
  /** The mean over all rows, scaled down where it was too long. */
  readonly gradients: Parameters;
  /** Rows that it comes from. */
  readonly rows: number;
  /** Its length before it was scaled. */
  readonly norm: number;
  /** Batches that were left out. */
  readonly skipped: number;
}

/** A number above 0. */
export function positive(): Rule {
  return rule("number", (value) =>
    typeof value === "number" && value > 0 && Number.isFinite(value) ? undefined : "must be a finite number above 0",
  );
}

/** What the options of an accumulator must be. */
export const accumulateShape: Shape<AccumulateOptions> = /* @__PURE__ */ shape<AccumulateOptions>(() => ({
  steps: wholeNumber(1, 65_536),
  clipNorm: positive(),
  skipNonFinite: flag(),
}));

/** The factor that makes a gradient of this norm no longer than allowed. */
export function clipScale(norm: number, clipNorm: number | undefined): number {
  return clipNorm === undefined || norm <= clipNorm ? 1 : clipNorm / norm;
}

/**
 * Adds the gradients of several batches up, so that a step learns from more rows than fit into memory at once. Each batch
 * counts with its rows, so a short last one does too, and the result is that of one batch with all of them.
 *
 * @example
 * ```ts
 * import { GradientAccumulator } from "@steward/training";
 * const accumulator = new GradientAccumulator({ steps: 2, clipNorm: 1 });
 * accumulator.add({ w: Float32Array.of(3, 0) }, 1);
 * console.log(accumulator.add({ w: Float32Array.of(3, 6) }, 2)); // => true
 * const { gradients, norm, rows } = accumulator.take();
 * console.log(norm, rows, gradients["w"]?.length); // => 5 3 2
 * ```
 */
export class GradientAccumulator {
  readonly #steps: number;
  readonly #clipNorm: number | undefined;
  readonly #skipNonFinite: boolean;
  #sums: ReadonlyMap<string, Float64Array> | undefined;
  #rows = 0;
  #added = 0;
  #skipped = 0;

  /** @throws {OPTIONS_INVALID} when an option is unknown or out of range. */
  constructor(options: AccumulateOptions = {}) {
    assertShape("GradientAccumulator", accumulateShape, options);
    this.#steps = options.steps ?? 1;
    this.#clipNorm = options.clipNorm;
    this.#skipNonFinite = options.skipNonFinite ?? false;
  }

  /** Batches since the last step, those left out included. */
  get pending(): number {
    return this.#added;
  }

  /** Batches since the last step that were left out. */
  get skipped(): number {
    return this.#skipped;
  }

  /**
   * Adds the gradients of a batch, which are means over its rows.
   *
   * @returns whether a step is full.
   * @throws {TRAINING_GRADIENTS_INVALID} when names or lengths differ from those before, or `rows` is no count.
   * @throws {TRAINING_NOT_FINITE} when one is NaN or infinite, and `skipNonFinite` is off.
   */
  add(gradients: Gradients, rows: number): boolean {
    if (!Number.isSafeInteger(rows) || rows < 1) throw invalid(`rows must be a whole number from 1 on, not ${rows}`);
    const values = this.#valuesOf(gradients);
    const broken = values.find(([, each]) => !each.every(Number.isFinite));
    if (broken !== undefined && !this.#skipNonFinite)
      throw trainingError("TRAINING_NOT_FINITE", `the gradient of "${broken[0]}" is not finite`);
    this.#added += 1;
    if (broken === undefined) this.#addAll(values, rows);
    else this.#skipped += 1;
    return this.#added >= this.#steps;
  }

  /**
   * Gives the gradients of a step and begins the next; it need not be full, as at the end of the data.
   *
   * @throws {TRAINING_GRADIENTS_INVALID} when there is none, because no batch was added, or all were left out.
   */
  take(): Accumulated {
    const [sums, rows, skipped] = [this.#sums, this.#rows, this.#skipped];
    this.clear();
    if (sums === undefined || rows === 0)
      throw invalid(`there is no gradient to take: no batch was added (${skipped} left out)`);
    let squares = 0;
    for (const sum of sums.values()) for (const value of sum) squares += (value / rows) ** 2;
    const norm = Math.sqrt(squares);
    const scale = clipScale(norm, this.#clipNorm) / rows;
    const gradients = Object.fromEntries(
      [...sums].map(([name, sum]) => [name, Float32Array.from(sum, (value) => value * scale)]),
    );
    return { gradients, rows, norm, skipped };
  }

  /** Forgets what was added since the last step. */
  clear(): void {
    this.#sums = undefined;
    this.#rows = this.#added = this.#skipped = 0;
  }

  #addAll(values: readonly (readonly [string, Float32Array])[], rows: number): void {
    this.#sums ??= new Map(values.map(([name, each]) => [name, new Float64Array(each.length)]));
    for (const [name, each] of values) {
      const sum = this.#sums.get(name) ?? new Float64Array(0);
      for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) + (each[i] ?? 0) * rows;
    }
    this.#rows += rows;
  }

  #valuesOf(gradients: Gradients): (readonly [string, Float32Array])[] {
    const values = Object.entries(gradients).map(([name, given]) => [name, numbersOf(name, given)] as const);
    if (values.length === 0) throw invalid("there are no gradients");
    const sums = this.#sums;
    if (sums === undefined) return values;
    const isSame =
      values.length === sums.size && values.every(([name, each]) => sums.get(name)?.length === each.length);
    if (!isSame) throw invalid(`names or lengths differ from those before: ${values.map(([name]) => name).join(", ")}`);
    return values;
  }
}

function numbersOf(name: string, given: unknown): Float32Array {
  if (given instanceof Float32Array) return given;
  if (typeof given === "object" && given !== null && "dataSync" in given && typeof given.dataSync === "function") {
    const read: unknown = given.dataSync();
    if (read instanceof Float32Array) return read;
  }
  throw invalid(`the gradient of "${name}" is neither a Float32Array nor a tensor of float32`);
}

function invalid(why: string): Error {
  return trainingError("TRAINING_GRADIENTS_INVALID", `GradientAccumulator: ${why}`);
}
