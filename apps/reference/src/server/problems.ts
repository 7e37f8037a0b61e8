import { isStewardError } from "@steward/core";
import { HttpError } from "@steward/fastify";

/** What callers learn of errors of resources where the plugin of the server knows too little. */
const PUBLIC_TEXTS: Readonly<Record<string, readonly [status: number, detail: string]>> = {
  HTTP_ORIGIN_REFUSED: [403, "this origin is not on the allow list (ALLOWED_ORIGINS)"],
  MODEL_ENGINE_MISSING: [503, "models do not run here: the engine that runs them is not installed"],
  MODEL_UNKNOWN: [503, "no one has trained this model yet (POST /api/v1/training-jobs)"],
  HTTP_RESPONSE_TOO_LARGE: [502, "the other service answered with more than 1 MiB"],
};

/** Codes of which a later attempt may know nothing. */
const UNAVAILABLE = new Set([
  "DATABASE_CONNECT_FAILED",
  "OUTCOME_UNKNOWN",
  "CRYPTO_STORE_UNAVAILABLE",
  "CRYPTO_STORE_CONFLICT",
]);
const RETRY_AFTER_S = 2;

/** What an error of a resource is for callers: never hosts, statements or names of ours. */
export function toHttpError(error: unknown): HttpError | undefined {
  if (!isStewardError(error)) return undefined;
  const [status, detail] = PUBLIC_TEXTS[error.code] ?? [];
  if (status !== undefined && detail !== undefined) return new HttpError(status, detail, { code: error.code });
  if (!UNAVAILABLE.has(error.code)) return undefined;
  return new HttpError(503, "a part of Clips is not available now; please try again", {
    headers: { "retry-after": String(RETRY_AFTER_S) },
  });
}
