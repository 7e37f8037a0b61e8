import { describeError, isStewardError, StewardError } from "../errors.ts";

/** What goes to a worker. */
export type ToWorker =
  | { readonly kind: "start"; readonly data: unknown }
  | { readonly kind: "call"; readonly id: number; readonly method: string; readonly args: unknown }
  | { readonly kind: "cancel"; readonly id: number }
  | { readonly kind: "close" };

/** What comes from a worker. */
export type FromWorker =
  | { readonly kind: "ready" }
  | { readonly kind: "failed"; readonly error: SentError }
  | { readonly kind: "value"; readonly id: number; readonly value: unknown }
  | { readonly kind: "error"; readonly id: number; readonly error: SentError };

/** Whether something is one of ours: what else a module posts, or a library in it, is not for us. */
export function isFromWorker(message: unknown): message is FromWorker {
  if (typeof message !== "object" || message === null || !("kind" in message)) return false;
  if (message.kind === "ready") return true;
  if (message.kind !== "failed" && !("id" in message && typeof message.id === "number")) return false;
  return message.kind === "value" || ((message.kind === "failed" || message.kind === "error") && hasError(message));
}

function hasError(message: object): boolean {
  return "error" in message && typeof message.error === "object" && message.error !== null;
}

/** An error as it can be sent: clones of errors lose their codes. */
export interface SentError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly code: string | undefined;
  /** What an error of ours carries besides. */
  readonly details: SentDetails | undefined;
  readonly cause: SentError | undefined;
}

interface SentDetails {
  readonly resource: string | undefined;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;
  readonly publicMessage: string | undefined;
}

const MOST_CAUSES = 5;

/** An error, ready to be sent; never throws, whatever was thrown. */
export function sentError(error: unknown, depth = 0): SentError {
  try {
    if (error instanceof Error) return sentParts(error, depth);
  } catch {
    // an error whose properties throw
  }
  return textOnly(describeError(error));
}

function sentParts(error: Error, depth: number): SentError {
  const { name, message, stack, cause } = error;
  const code = "code" in error && typeof error.code === "string" ? error.code : undefined;
  return {
    name: String(name),
    message: String(message),
    stack: typeof stack === "string" ? stack : undefined,
    code,
    details: isStewardError(error) ? detailsOf(error) : undefined,
    cause: cause === undefined || depth >= MOST_CAUSES ? undefined : sentError(cause, depth + 1),
  };
}

function detailsOf({ resource, retryable, retryAfterMs, publicMessage }: StewardError): SentDetails {
  return { resource, retryable, retryAfterMs, publicMessage };
}

function textOnly(message: string): SentError {
  return { name: "Error", message, stack: undefined, code: undefined, details: undefined, cause: undefined };
}

/** The error that was sent: one of ours where it was one, with its code in any case. */
export function receivedError({ name, message, stack, code, details, cause }: SentError): Error {
  const inner = cause === undefined ? undefined : receivedError(cause);
  const error =
    details !== undefined && code !== undefined
      ? new StewardError(code, message, { ...details, ...(inner === undefined ? {} : { cause: inner }) })
      : plainError(name, message, code, inner);
  if (stack !== undefined) error.stack = stack;
  return error;
}

function plainError(name: string, message: string, code: string | undefined, cause: Error | undefined): Error {
  const error = new Error(message, cause === undefined ? undefined : { cause });
  Object.defineProperty(error, "name", { value: name, configurable: true, writable: true });
  return code === undefined ? error : Object.assign(error, { code });
}
