import { StewardError } from "@steward/core";
import { describeError } from "@steward/core/driver";

/** The error of a connection that took too long. */
export function connectTimeout(resource: string, timeoutMs: number): StewardError {
  const message = `${resource}: no connection within ${timeoutMs} ms; is the server up, and reachable from here?`;
  return new StewardError("DATABASE_CONNECT_FAILED", message, { resource, retryable: true });
}

/** The error of a password that a function did not give. */
export function noPassword(resource: string, cause: unknown): StewardError {
  const message = `${resource}: the password could not be fetched: ${describeError(cause)}`;
  return new StewardError("DATABASE_CONNECT_FAILED", message, { resource, cause, retryable: true });
}
