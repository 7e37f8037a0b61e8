import { isStewardError } from "../errors.ts";

/**
 * What an outcome says about a resource: `failure` counts for its breaker and its health, `degraded` (it answers, but
 * badly) for its health alone, `none` for neither.
 */
export type Verdict = "failure" | "degraded" | "none";

/** Codes of errors that are about ourselves: they say nothing about the resource. */
const OWN: ReadonlySet<string> = new Set(["CALL_ABORTED", "OVERLOADED", "RESOURCE_UNAVAILABLE", "CIRCUIT_OPEN"]);

/** What an error says where nothing else is given: everything but errors about ourselves speaks against the resource. */
export function usualVerdict(error: unknown): Verdict {
  return isStewardError(error) && OWN.has(error.code) ? "none" : "failure";
}
