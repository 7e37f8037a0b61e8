/** Checked retry options. */
export interface RetryPolicy {
  readonly maxAttempts: number;
  readonly baseDelayMs: number;
  readonly maxDelayMs: number;
  readonly budgetRatio: number;
  readonly statuses: readonly number[];
}

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

/** Tells whether a method does the same when it is done twice. */
export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method);
}

/** Tells whether a failure is one of the network, not of the request. */
export function isTransient(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.some(isTransient);
  return error instanceof Error && "code" in error && typeof error.code === "string" && TRANSIENT.has(error.code);
}

/** Tells whether a body can be sent a second time. */
export function isRepeatable(body: unknown): boolean {
  return body === undefined || body === null || typeof body === "string" || body instanceof Uint8Array;
}

/** The pause before the next attempt: full jitter below a doubling ceiling, but no less than the server asked for. */
export function pauseMs(policy: RetryPolicy, attempt: number, askedMs: number, random: () => number = Math.random): number {
  const ceiling = Math.min(policy.maxDelayMs, policy.baseDelayMs * 2 ** (attempt - 1));
  return Math.max(Math.min(askedMs, policy.maxDelayMs), random() * ceiling);
}

/** `Retry-After` in ms from now: seconds or a date; 0 when there is none. */
export function retryAfterMs(headers: readonly (Buffer | string)[], now: number = Date.now()): number {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (String(headers[i]).toLowerCase() !== "retry-after") continue;
    const value = String(headers[i + 1]);
    const seconds = Number(value);
    const ms = Number.isFinite(seconds) ? seconds * 1_000 : Date.parse(value) - now;
    return Number.isFinite(ms) ? Math.max(0, ms) : 0;
  }
  return 0;
}

/** Tokens that an idle origin may save up, so that a short burst of failures is retried whole. */
const SAVINGS = 10;

/**
 * What an origin may spend on retries: each call earns a part of one, each retry costs one. A dead server thus sees
 * little more traffic than a healthy one.
 */
export class RetryBudget {
  readonly #ratio: number;
  #tokens = SAVINGS;

  constructor(ratio: number) {
    this.#ratio = ratio;
    if (ratio === 0) this.#tokens = 0;
  }

  earn(): void {
    if (this.#tokens < SAVINGS) this.#tokens = Math.min(SAVINGS, this.#tokens + this.#ratio);
  }

  spend(): boolean {
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
