import { isStewardError, StewardError } from "@steward/core";
import { declaredLength } from "./headers.ts";
import type { HttpDispatchOptions, Lane } from "./lane.ts";

/** What its caller learns of a call that was given up. One that aborts gets its own reason, as with undici. */
export function reasonOf(error: unknown, { signal }: HttpDispatchOptions): Error {
  if (isStewardError(error, "CALL_ABORTED") && signal instanceof AbortSignal && signal.aborted)
    return signal.reason as Error; // whatever it is, undici hands it on
  return error as Error; // everything that fails a call is an Error
}

/** The caller aborted without a reason. */
export function gaveUp({ resource }: Lane): StewardError {
  return new StewardError("CALL_ABORTED", `${resource}: the caller gave up`, { resource });
}

/** No headers came within the time for one attempt. */
export function noReply({ resource, origin }: Lane, waitedMs: number): StewardError {
  return new StewardError(
    "HTTP_REPLY_TIMEOUT",
    `${resource}: ${origin} sent no headers within ${waitedMs} ms of the request`,
    { resource, retryable: true },
  );
}

/** A body has more bytes than the session takes. */
export function tooLarge({ resource, origin }: Lane, bytes: number, max: number): StewardError {
  return new StewardError(
    "HTTP_RESPONSE_TOO_LARGE",
    `${resource}: a body from ${origin} has at least ${bytes} bytes, ${max} are allowed`,
    { resource },
  );
}

/** An answer that says itself that it is too large need not be read; `undefined` where it says nothing like it. */
export function declaredTooLarge(
  lane: Lane,
  method: string,
  status: number,
  headers: Buffer[],
): StewardError | undefined {
  const max = lane.limits.maxResponseBytes;
  if (max === undefined || method === "HEAD" || status === 204 || status === 304) return undefined;
  const declared = declaredLength(headers);
  return declared !== undefined && declared > max ? tooLarge(lane, declared, max) : undefined;
}
