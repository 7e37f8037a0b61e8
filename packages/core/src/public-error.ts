import { isStewardError, type StewardError } from "./errors.ts";

/** What a caller may learn of an error: everything else that an error holds was written for operators. */
export interface PublicError {
  /** For programs: `INTERNAL`, a known condition such as `RESOURCE_UNAVAILABLE`, or the code of an error whose author gave it a public message. */
  readonly code: string;
  /** A fixed sentence, or the public message of the error's author. Never the text of the error. */
  readonly message: string;
  /** True when the same call may succeed later. */
  readonly retryable: boolean;
  /** When to try again, in ms from now, if that is known. */
  readonly retryAfterMs: number | undefined;
}

/** How the protocols call an error. */
interface Status {
  readonly http: number;
  /** Name of a status of gRPC. */
  readonly grpc:
    | "INTERNAL"
    | "UNAVAILABLE"
    | "RESOURCE_EXHAUSTED"
    | "DEADLINE_EXCEEDED"
    | "CANCELLED"
    | "UNAUTHENTICATED"
    | "PERMISSION_DENIED"
    | "INVALID_ARGUMENT";
  readonly message: string;
}

const INTERNAL: Status = { http: 500, grpc: "INTERNAL", message: "something went wrong on our side" };
const AWAY = "a part of the service is not available now; please try again";
const unavailable: Status = { http: 503, grpc: "UNAVAILABLE", message: AWAY };

/** The codes that callers get to see, with what each protocol makes of them. Everything else is `INTERNAL`. */
const STATUSES: Readonly<Record<string, Status>> = {
  INTERNAL,
  RESOURCE_UNAVAILABLE: unavailable,
  CIRCUIT_OPEN: unavailable,
  CONTAINER_CLOSED: unavailable,
  SESSION_LIMIT: unavailable,
  RATE_LIMITED: { http: 429, grpc: "RESOURCE_EXHAUSTED", message: "too many requests; please try again later" },
  AUTH_TOKEN_INVALID: { http: 401, grpc: "UNAUTHENTICATED", message: "the access token is not valid" },
  AUTH_FORBIDDEN: { http: 403, grpc: "PERMISSION_DENIED", message: "not enough permissions" },
  AUTH_CREDENTIALS_INVALID: {
    http: 401,
    grpc: "UNAUTHENTICATED",
    message: "the login or the password is wrong",
  },
  AUTH_RATE_LIMITED: {
    http: 429,
    grpc: "RESOURCE_EXHAUSTED",
    message: "too many attempts to sign in; please try again later",
  },
  AUTH_PASSWORD_REFUSED: { http: 422, grpc: "INVALID_ARGUMENT", message: "the password is too easy to guess" },
  MODEL_ENGINE_MISSING: unavailable,
  MODEL_UNKNOWN: unavailable,
  MODEL_CHECKSUM: unavailable,
  MODEL_INVALID_FILE: unavailable,
  MODEL_DEVICE_UNAVAILABLE: unavailable,
  MODEL_PRECISION_UNSUPPORTED: unavailable,
  MODEL_GOLDEN_MISMATCH: unavailable,
  MODEL_BUDGET: unavailable,
  MODEL_ENGINE_CRASHED: unavailable,
  MODEL_REMOTE_FAILED: unavailable,
  MODEL_INPUT_INVALID: { http: 422, grpc: "INVALID_ARGUMENT", message: "the input is not what the model takes" },
  OVERLOADED: { http: 503, grpc: "RESOURCE_EXHAUSTED", message: AWAY },
  DEADLINE_EXCEEDED: { http: 504, grpc: "DEADLINE_EXCEEDED", message: "it took too long; please try again" },
  CALL_ABORTED: { http: 499, grpc: "CANCELLED", message: "the request was given up" },
};

/** Codes after which the same call fails again. */
const FINAL: ReadonlySet<string> = new Set([
  "INTERNAL",
  "CALL_ABORTED",
  "AUTH_TOKEN_INVALID",
  "AUTH_FORBIDDEN",
  "AUTH_CREDENTIALS_INVALID",
  "AUTH_PASSWORD_REFUSED",
  "MODEL_INPUT_INVALID",
]);

/** Wrappers that are looked through: a driver's error may stand behind that of a library above it. */
const MAX_DEPTH = 5;

/**
 * The public part of an error: the one thing that servers may show to a caller, over any protocol.
 *
 * An error of ours with a `publicMessage` keeps its code and that message. A known condition, such as
 * `RESOURCE_UNAVAILABLE` or `DEADLINE_EXCEEDED`, keeps its code and gets a fixed sentence; another error of ours that
 * is `retryable` counts as `RESOURCE_UNAVAILABLE`. Everything else, errors of other services included, is `INTERNAL`.
 *
 * @example
 * ```ts
 * import { publicError, StewardError } from "@steward/core";
 * const error = new StewardError("RESOURCE_UNAVAILABLE", "db: pg-3.corp.local:5432 is down", { resource: "db" });
 * console.log(publicError(error).message); // => a part of the service is not available now; please try again
 * ```
 */
export function publicError(error: unknown): PublicError {
  const ours = stewardErrorIn(error);
  if (ours === undefined)
    return { code: "INTERNAL", message: INTERNAL.message, retryable: false, retryAfterMs: undefined };
  const { code, publicMessage, retryable } = ours;
  const retryAfterMs = durationOf(ours.retryAfterMs);
  if (publicMessage !== undefined) return { code, message: publicMessage, retryable, retryAfterMs };
  const shown = shownCode(ours);
  const { message } = statusOf(shown);
  return { code: shown, message, retryable: !FINAL.has(shown), retryAfterMs };
}

/** Status of an HTTP answer for an error: 503 where a part is not available, 401, 403, 422, 429, 504, 499, else 500. */
export function httpStatusOf(error: unknown): number {
  return statusOfError(error).http;
}

/** Name of the gRPC status for an error: `UNAVAILABLE`, `RESOURCE_EXHAUSTED`, `DEADLINE_EXCEEDED`, `CANCELLED`, `UNAUTHENTICATED`, `PERMISSION_DENIED`, `INVALID_ARGUMENT`, else `INTERNAL`. */
export function grpcStatusOf(error: unknown): Status["grpc"] {
  return statusOfError(error).grpc;
}

function statusOfError(error: unknown): Status {
  const ours = stewardErrorIn(error);
  return ours === undefined ? INTERNAL : statusOf(shownCode(ours));
}

function statusOf(code: string): Status {
  return Object.hasOwn(STATUSES, code) ? (STATUSES[code] ?? INTERNAL) : INTERNAL;
}

function shownCode({ code, retryable }: StewardError): string {
  if (Object.hasOwn(STATUSES, code)) return code;
  return retryable ? "RESOURCE_UNAVAILABLE" : "INTERNAL";
}

function durationOf(ms: number | undefined): number | undefined {
  return ms !== undefined && Number.isFinite(ms) && ms >= 0 ? ms : undefined;
}

/** The error of ours in an error, also where a library has wrapped it. */
export function stewardErrorIn(error: unknown): StewardError | undefined {
  try {
    return search(error, 0);
  } catch {
    return undefined; // an error whose properties throw is none of ours
  }
}

function search(error: unknown, depth: number): StewardError | undefined {
  if (isStewardError(error)) return error;
  return error instanceof Error && depth < MAX_DEPTH ? search(error.cause, depth + 1) : undefined;
}
