import { createRequire } from "node:module";
import { ENGINE, engineMissing } from "../errors.ts";

/**
 * Looks whether what `@steward/training/tfjs` needs is installed, without loading it: for a service that wants to say
 * so before it accepts a training.
 *
 * @param resource named in the error. Default `training`.
 * @throws {TRAINING_ENGINE_MISSING} when it is not.
 */
export function assertEngine(resource = "training"): void {
  const { resolve } = createRequire(import.meta.url);
  try {
    for (const name of ENGINE) resolve(name);
  } catch (cause) {
    throw engineMissing(resource, cause);
  }
}
