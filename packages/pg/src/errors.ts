import { isStewardError, StewardError } from "@steward/core";
import {
  describeConnectError,
  describeError,
  isLoginRefused,
  outcomeUnknown,
  poolerAdvice,
} from "@steward/core/driver";

/** Every error code of `@steward/pg`, with what it means. */
export const PG_CODES = {
  PG_CONNECT_FAILED: "No connection could be made: unreachable, refused, or the credentials or database are wrong.",
  PG_LEASE_ENDED: "A connection was held for longer than `transactionTimeoutMs` and was closed, which rolls back.",
} as const;

/** A code that `@steward/pg` itself raises. */
export type PgCode = keyof typeof PG_CODES;

/** SQLSTATE of an answer of the server; empty where the error is none. */
export function sqlState(error: unknown): string {
  if (!(error instanceof Error) || !("code" in error) || !("severity" in error)) return "";
  return typeof error.code === "string" ? error.code : "";
}

/** The error of a connect that failed. */
export function connectFailed(resource: string, server: string, cause: unknown): StewardError {
  if (isStewardError(cause)) return cause;
  const message = `${resource}: no connection to ${server}: ${describeConnectError(cause)}${poolerAdvice(cause)}`;
  return new StewardError("PG_CONNECT_FAILED", message, { resource, retryable: !isLoginRefused(cause), cause });
}

/** The server takes no writes, and one that does is wanted: another host may be it. */
export function readsOnly(): Error {
  return new Error(
    'the server takes no writes (a standby, or default_transaction_read_only), and session is "read-write"',
  );
}

/** What became of a statement: an answer of the server as it is, else that its connection is lost. */
export function statementFailed(resource: string, cause: unknown): unknown {
  if (!(cause instanceof Error) || isStewardError(cause) || sqlState(cause) !== "" || !isOfConnection(cause))
    return cause;
  return outcomeUnknown(resource, `connection lost under a statement: ${describeError(cause)}`, { cause });
}

/** The driver gives errors of its use (such as a wrong argument) by plain errors too. */
function isOfConnection(error: Error): boolean {
  return (
    /^Connection terminated|connection lost|Client (was closed|has encountered)/.test(error.message) ||
    "syscall" in error
  );
}

/** The error of a statement on a connection that was cut off because its server does not work for it. */
export function silentConnection(resource: string, silentMs: number): StewardError {
  const silence = `no byte for ${Math.round(silentMs)} ms, and the server says that it is not at work for us`;
  return outcomeUnknown(resource, `connection lost under a statement: ${silence}`);
}

/** The error of a cursor or a stream that was given to the pool itself. */
export function needsConnection(resource: string): StewardError {
  const message = `${resource}: pool.query() takes no cursor or stream, because it would go on reading on a connection that others use by then; give it to a connection of pool.connect(), and release that at its end`;
  return new StewardError("OPTIONS_INVALID", message, { resource });
}

/** The error of a connection that was held for too long. */
export function leaseEnded(resource: string, timeoutMs: number): StewardError {
  const message = `${resource}: a connection was held for more than ${timeoutMs} ms and was closed; release it sooner, or raise transactionTimeoutMs`;
  return new StewardError("PG_LEASE_ENDED", message, { resource });
}
