import { modelError } from "../errors.ts";
import type { Engine } from "../engine/engine.ts";
import type { Tensor, TensorData, Tensors } from "../engine/tensor.ts";
import { stacked } from "./rows.ts";
import type { Inputs, Signature } from "./signature.ts";

/** An input whose output is known. */
export interface Golden {
  readonly input: Inputs;
  /** What it has to give: all outputs, or some of them. Default: what the first of `variants` gives. */
  readonly output?: Readonly<Record<string, readonly number[] | TensorData>> | undefined;
  /** Largest error: a difference, as a share of the largest expected value where that is above 1. Texts have to be equal. Default 0.001. */
  readonly tolerance?: number | undefined;
}

export const TOLERANCE = 0.001;

/** What known inputs gave. */
export interface GoldenResult {
  readonly outputs: readonly Tensors[];
  /** Largest error of all; 0 where nothing was compared. */
  readonly maxError: number;
  /** The shortest of the timed runs, in ms: what else the machine does makes others longer. */
  readonly runMs: number;
}

/** How golden inputs are run. */
export interface GoldenRun {
  readonly resource: string;
  readonly golden: readonly Golden[];
  /** Outputs to compare with where the golden input names none. */
  readonly reference?: readonly Tensors[] | undefined;
  /** Bound of every error, in place of those of the golden inputs. */
  readonly tolerance?: number | undefined;
  readonly now: () => number;
  /** Runs that are timed, where one has to be chosen. Default: one run of zeros where there is no golden input. */
  readonly timedRuns?: number | undefined;
}

/**
 * Runs the golden inputs, or zeros where there are none: the first run of a session allocates what the others use.
 *
 * @throws {MODEL_GOLDEN_MISMATCH} when an output is further off than its tolerance.
 */
export async function runGolden(engine: Engine, signature: Signature, how: GoldenRun): Promise<GoldenResult> {
  const { resource, golden, now } = how;
  const outputs: Tensors[] = [];
  let maxError = 0;
  for (const [at, each] of golden.entries()) {
    const output = await engine.run(stacked([signature.item(each.input, 0)], signature));
    outputs.push(output);
    const error = errorOf(resource, output, each.output ?? elementsOf(how.reference?.[at]));
    maxError = Math.max(maxError, error);
    const tolerance = how.tolerance ?? each.tolerance ?? TOLERANCE;
    if (!(error <= tolerance)) throw mismatch(resource, at, error, tolerance);
  }
  const input = golden[0]?.input ?? signature.zeros();
  const rounds = how.timedRuns ?? (golden.length > 0 ? 0 : 1);
  if (input === undefined) return { outputs, maxError, runMs: 0 };
  let runMs = rounds === 0 ? 0 : Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const began = now();
    await engine.run(stacked([signature.item(input, 0)], signature));
    runMs = Math.min(runMs, now() - began);
  }
  return { outputs, maxError, runMs };
}

function elementsOf(tensors: Tensors | undefined): Readonly<Record<string, TensorData>> {
  return Object.fromEntries(Object.entries(tensors ?? {}).map(([name, { data }]) => [name, data]));
}

/** Largest error of all outputs that are known; infinite where one is missing or has another number of elements. */
export function errorOf(
  resource: string,
  got: Tensors,
  expected: Readonly<Record<string, readonly number[] | TensorData>>,
): number {
  let worst = 0;
  for (const [name, elements] of Object.entries(expected)) {
    const tensor = got[name];
    if (tensor === undefined)
      throw modelError("MODEL_GOLDEN_MISMATCH", resource, `it has no output "${name}": ${Object.keys(got).join(", ")}`);
    worst = Math.max(worst, errorBetween(tensor, elements));
  }
  return worst;
}

function errorBetween({ data }: Tensor, expected: readonly number[] | TensorData): number {
  if (data.length !== expected.length) return Number.POSITIVE_INFINITY;
  let [worst, largest] = [0, 1];
  for (let at = 0; at < expected.length; at++) {
    const [want, have] = numbersOf(expected[at], data[at]);
    largest = Math.max(largest, Math.abs(want));
    const off = Math.abs(want - have);
    worst = Number.isNaN(off) ? Number.POSITIVE_INFINITY : Math.max(worst, off);
  }
  return worst / largest;
}

/** A text is as wrong as can be where it is another one. */
function numbersOf(want: unknown, have: unknown): readonly [number, number] {
  if (typeof want === "string" || typeof have === "string") return want === have ? [0, 0] : [0, Number.NaN];
  return [Number(want), Number(have)];
}

function mismatch(resource: string, at: number, error: number, tolerance: number): Error {
  const message = `golden input ${at} is off by ${error.toPrecision(3)}, and ${tolerance} is allowed: this is another model, or a damaged one`;
  return modelError("MODEL_GOLDEN_MISMATCH", resource, message);
}
