/** Checked retry options: those of the guard, and what we decide. */
export interface RetrySettings {
  readonly maxAttempts: number;
  readonly baseDelayMs: number;
  readonly maxDelayMs: number;
  readonly budgetRatio: number;
  readonly statuses: readonly number[];
}

/** Methods that do the same when they are done twice. */
const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);

/** Failures of the way there and back; everything else (a bad request, a body too large) would only fail again. */
const TRANSIENT = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EHOSTDOWN",
  "EHOSTUNREACH",
  "ENETDOWN",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EPIPE",
  "ETIMEDOUT",
  "HTTP_REPLY_TIMEOUT",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_SOCKET",
]);

/** A status as the error that it is to the guard: one that says "not now", or that speaks against the origin. */
export class BadStatus extends Error {
  readonly status: number;
  /** The status as text: how conventions for telemetry name such an error. */
  readonly code: string;

  constructor(origin: string, status: number) {
    super(`${origin} answered with status ${status}`);
    this.name = "BadStatus";
    this.status = status;
    this.code = String(status);
  }
}

/** Whether a failure is one of the network, not of the request. */
export function isTransient(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.some(isTransient);
  return error instanceof Error && "code" in error && typeof error.code === "string" && TRANSIENT.has(error.code);
}

/** Whether a body can be sent a second time. */
export function isRepeatable(body: unknown): boolean {
  return body === undefined || body === null || typeof body === "string" || body instanceof Uint8Array;
}

/** What of a call says whether it may be made twice. */
interface Repeatable {
  /** In the caller's own words; otherwise its method says it. */
  readonly idempotent?: boolean | undefined;
  readonly method: string;
  readonly body?: unknown;
}

/** Whether a call that was sent may be sent again: doing it twice is doing it once. */
export function maySendTwice({ idempotent, method, body }: Repeatable): boolean {
  return (idempotent ?? IDEMPOTENT.has(method)) && isRepeatable(body);
}

/** `Retry-After` in ms from now: seconds or a date; 0 when there is none. */
export function retryAfterMs(headers: readonly (Buffer | string)[], wallNow: number): number {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (String(headers[i]).toLowerCase() !== "retry-after") continue;
    const value = String(headers[i + 1]);
    const seconds = Number(value);
    const ms = Number.isFinite(seconds) ? seconds * 1_000 : Date.parse(value) - wallNow;
    return Number.isFinite(ms) ? Math.max(0, ms) : 0;
  }
  return 0;
}

/** Whether the guard may make a call again that failed so; that the call itself may be repeated was seen before. */
export function isRetryable(error: unknown): boolean {
  return error instanceof BadStatus || isTransient(error);
}
