import type { Parameter, Parameters } from "./parameters.ts";

/** Rows that a network learns from at once. */
export interface Batch {
  /** How many rows. */
  readonly rows: number;
  /** The inputs of all rows, behind one another. */
  readonly inputs: Float32Array;
  /** What should come out, row behind row. */
  readonly targets: Float32Array;
  /** Differs for each batch and follows from the seed of the fit: for dropout and other chance. */
  readonly seed: number;
}

/** What one batch says about the weights. */
export interface BatchGradients {
  /** The mean loss of its rows. */
  readonly loss: number;
  /** How the mean loss of its rows changes with each weight. */
  readonly gradients: Parameters;
}

/** A network that can be trained. Its loss is a mean over rows, or accumulated gradients are not those of the whole. */
export interface Network {
  /** Its parameters, in a fixed order. */
  readonly parameters: readonly Parameter[];
  /** Works out the loss and the gradients of a batch; it changes neither. */
  gradients(values: Parameters, batch: Batch): BatchGradients;
}

/** Whether something can be used as a network. */
export function isNetwork(value: unknown): value is Network {
  if (typeof value !== "object" || value === null) return false;
  const { parameters, gradients } = value as Partial<Network>; // looked at only
  return Array.isArray(parameters) && typeof gradients === "function";
}
