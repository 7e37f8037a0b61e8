import { isStewardError, StewardError } from "@steward/core";
import { describeError, nearest } from "@steward/core/driver";

/** Every error code of `@steward/models`, with what it means. */
export const MODELS_CODES = {
  MODEL_ENGINE_MISSING:
    "The engine that runs models is not installed, or has no binary for this machine; the message says what to install.",
  MODEL_UNKNOWN: "There is no such model, or no such version of it.",
  MODEL_CHECKSUM: "A file is not the one that its sha256 stands for.",
  MODEL_INVALID_FILE:
    "The engine cannot load a file: it is cut short, damaged, or needs what the engine does not have.",
  MODEL_INPUT_INVALID: "An input is missing or unknown, or of another type or shape than the model takes.",
  MODEL_GOLDEN_MISMATCH: "A model does not give the output that its golden input has to give.",
  MODEL_DEVICE_UNAVAILABLE: "No device that was asked for runs the model; the message lists every attempt.",
  MODEL_PRECISION_UNSUPPORTED: "A precision that there is no file for, or that no engine for Node can compute in.",
  MODEL_BUDGET: "A model does not fit into the memory budget of its catalog beside those that are in use.",
  MODEL_ENGINE_CRASHED: "The engine ended in the middle of a run, and is started anew, or while it loaded a file.",
  MODEL_REMOTE_FAILED:
    "A remote server of models refused a request, or gave an answer that is none of the protocol; or a file could not be fetched.",
} as const;

/** A code that `@steward/models` itself raises. */
export type ModelsCode = keyof typeof MODELS_CODES;

interface Details {
  readonly retryable?: boolean;
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
  readonly publicMessage?: string;
}

/** An error of this package. */
export function modelError(code: ModelsCode, resource: string, message: string, details: Details = {}): StewardError {
  return new StewardError(code, `${resource}: ${message}`, { resource, ...details });
}

/** The error of an input that does not fit. It speaks of what the caller gave, so the caller may read it. */
export function inputInvalid(resource: string, problem: string): StewardError {
  return modelError("MODEL_INPUT_INVALID", resource, problem, { publicMessage: problem });
}

/** The error of a name or version that does not exist, with the nearest that does. */
export function unknownModel(resource: string, what: string, wanted: string, known: readonly string[]): StewardError {
  const close = nearest(wanted, known);
  const hint = close === undefined ? `there are: ${known.join(", ") || "none"}` : `did you mean ${close}?`;
  return modelError("MODEL_UNKNOWN", resource, `no ${what} "${wanted}"; ${hint}`);
}

/** What an engine's worker reports, in the name of its resource. */
export function engineError(resource: string, error: unknown): unknown {
  if (!isStewardError(error)) return modelError("MODEL_INVALID_FILE", resource, describeError(error), { cause: error });
  if (error.code === "WORKER_ENDED")
    return modelError("MODEL_ENGINE_CRASHED", resource, `the engine ended: ${error.message}`, {
      retryable: true,
      cause: error,
    });
  if (error.code === "WORKER_START_FAILED" && !isStewardError(error.cause))
    return modelError("MODEL_ENGINE_CRASHED", resource, `the engine ended while it loaded: ${error.message}`, {
      cause: error,
    });
  const inner = error.code === "WORKER_START_FAILED" && isStewardError(error.cause) ? error.cause : error;
  if (!Object.hasOwn(MODELS_CODES, inner.code)) return inner;
  return new StewardError(inner.code, `${resource}: ${inner.message}`, {
    resource,
    retryable: inner.retryable,
    cause: inner.cause,
  });
}
