import { isStewardError, StewardError } from "@steward/core";
import { describeConnectError, describeError, isLoginRefused, poolerAdvice } from "@steward/core/driver";

/** The error of a connection that could not be made, to a server that is `shown` like that. */
export function connectFailed(resource: string, shown: string, cause: unknown): StewardError {
  if (isStewardError(cause, "DATABASE_CONNECT_FAILED")) return cause;
  const message = `${resource}: no connection to ${shown}: ${describeConnectError(cause)}${poolerAdvice(cause)}`;
  return new StewardError("DATABASE_CONNECT_FAILED", message, { resource, cause, retryable: !isLoginRefused(cause) });
}

/** The server takes no writes, and one that does is wanted: another host may be it. */
export function readsOnly(resource: string): StewardError {
  const message = `${resource}: the server takes no writes (a standby, or default_transaction_read_only), and session is "read-write"`;
  return new StewardError("DATABASE_CONNECT_FAILED", message, { resource, retryable: true });
}

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

/** The error of a statement that began a transaction where others would have got into it. */
export function transactionLeftOpen(resource: string): StewardError {
  const message = `${resource}: the statement left a transaction open on a connection that others get next, so it was rolled back; use begin(db), $client.begin() or $client.reserve()`;
  return new StewardError("DATABASE_TRANSACTION_LEFT_OPEN", message, { resource });
}

/** The error of what cannot be done through a pooler that changes our session. */
export function sessionRequired(resource: string, what: string): StewardError {
  const message = `${resource}: ${what} needs a session of the server for itself, and a pooler in between gives it to others after each transaction; use a database whose url leads to the server itself, or to a pooler in session mode`;
  return new StewardError("DATABASE_SESSION_REQUIRED", message, { resource });
}
