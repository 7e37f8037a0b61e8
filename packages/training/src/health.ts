import { access, constants } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { trainingError } from "./errors.ts";

/** Numbers of a trainer. */
export interface TrainerStats {
  /** Whether it fits a network now. */
  readonly fitting: boolean;
  /** Fits that were begun. */
  readonly fits: number;
  /** Steps of all fits. */
  readonly steps: number;
  /** Mean loss of the last step; NaN before the first. */
  readonly loss: number;
  /** What a step is spread over. */
  readonly devices: readonly string[];
}

/**
 * A trainer is well where its module can be read: workers exist only during a fit, and what goes wrong there, the fit says.
 * @throws {TRAINING_NETWORK_INVALID} when it cannot.
 */
export async function probeModule(resource: string, module: URL): Promise<void> {
  try {
    await access(fileURLToPath(module), constants.R_OK);
  } catch (cause) {
    const message = `${resource}: the module of its network cannot be read: ${module.href}`;
    throw trainingError("TRAINING_NETWORK_INVALID", message, { resource, cause });
  }
}
