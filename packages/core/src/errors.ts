/** Every error code of `@steward/core`, with what it means. */
export const CORE_CODES = {
  OPTIONS_INVALID: "An option is unknown, of the wrong type, out of range, or contradicts another option.",
  NEED_INVALID: "A definition lists a need that is not a definition, most often an `undefined` from a circular import.",
  DEFINITION_INVALID: "A definition was made with contradicting or missing parts.",
  LIFECYCLE_CONFLICT: "A lifecycle method was called in a state that does not allow it.",
  START_ABORTED: "A start was given up because its caller or a stop aborted it.",
  START_TIMEOUT: "A resource did not start within its start timeout.",
  STOP_TIMEOUT: "A resource did not stop within its stop timeout.",
  PROBE_TIMEOUT: "A resource did not answer its probe in time.",
  RESOURCE_UNAVAILABLE: "The resource is not ready: not started, down, draining or stopped.",
  DEADLINE_EXCEEDED: "A call ran into its deadline, time in the queue included.",
  OVERLOADED: "A call was refused because the queue of its resource is full.",
  NOT_GUARDED: "A value was to be used through a guard, and its definition declares none.",
  CIRCUIT_OPEN: "A call was refused because the circuit breaker of its resource is open.",
  CLOCK_STUCK: "A fake clock cannot get further: no timer is set, or timers are set in a loop.",
  LIMIT_EXCEEDED: "A check of disk, memory or event loop found a number past its limit.",
  MEASURE_FAILED: "A check could not measure, most often because its path does not exist.",
  ENVIRONMENT_MISMATCH: "A store is marked for another environment than the one it was opened in, or cannot be marked.",
  CALL_ABORTED: "A call was given up because its caller aborted it.",
  OUTCOME_UNKNOWN:
    "The connection broke under a call that was sent and not answered: it may or may not have taken effect.",
  BATCH_RESULTS_INVALID: "What runs a batch gave another number of results than it was given items.",
  WORKER_START_FAILED: "A worker could not be started: its module failed, or it ended before it was ready.",
  WORKER_ENDED: "A worker ended with calls in it.",
  WORKER_MESSAGE_REFUSED:
    "An argument or a result of a worker cannot be sent: a function, or memory that cannot go to another process.",
} as const;

/** A code that `@steward/core` itself raises. */
export type CoreCode = keyof typeof CORE_CODES;

/** What an error carries besides its message. */
export interface StewardErrorDetails {
  /** Name of the resource it concerns. */
  readonly resource?: string | undefined;
  /** True when the same call may succeed if it is made again. Default `false`. */
  readonly retryable?: boolean | undefined;
  /** When to try again, in ms from now. */
  readonly retryAfterMs?: number | undefined;
  /** What made it fail. */
  readonly cause?: unknown;
  /** What callers of a server may read of it, over any protocol. Default: a fixed sentence; the message is never sent. */
  readonly publicMessage?: string | undefined;
}

const BRAND = Symbol.for("steward.error");
const isInstance = Function.prototype[Symbol.hasInstance];

/**
 * Makes `instanceof` hold across copies of a package, which happens with two versions in one program: what a class of
 * that name made is known by a mark. Call it in a static block of the class.
 */
export function brand(type: Function & { readonly prototype: object }, name: string): void {
  const mark = Symbol.for(`steward.${name}`);
  Object.defineProperty(type.prototype, mark, { value: true });
  Object.defineProperty(type, Symbol.hasInstance, {
    value(this: unknown, value: unknown): boolean {
      return this === type
        ? typeof value === "object" && value !== null && mark in value
        : isInstance.call(this as Function, value); // a subclass is none of its siblings
    },
  });
}

/**
 * The one error class of all packages: a stable `code`, the `resource` it concerns, and the `cause`.
 *
 * Recognise it with {@link isStewardError}, or with `instanceof`: both hold across copies of this package.
 *
 * @example
 * ```ts
 * import { StewardError, isStewardError } from "@steward/core";
 * const error: unknown = new StewardError("OVERLOADED", 'redis "cache": queue is full (100 of 100)', { resource: "cache", retryable: true });
 * console.log(isStewardError(error, "OVERLOADED")); // => true
 * ```
 */
export class StewardError extends Error {
  override readonly name: string = "StewardError";
  /** Stable, `UPPER_SNAKE`; listed with its meaning in the README of the package that raises it. */
  readonly code: string;
  /** Name of the resource it concerns, if it concerns one. */
  readonly resource: string | undefined;
  /** True when the same call may succeed if it is made again. */
  readonly retryable: boolean;
  /** When to try again, in ms from now, if that is known. */
  readonly retryAfterMs: number | undefined;
  /** What callers of a server may read of it; without one they get a fixed sentence (see `publicError`). */
  readonly publicMessage: string | undefined;

  constructor(code: string, message: string, details: StewardErrorDetails = {}) {
    super(message, "cause" in details ? { cause: details.cause } : undefined);
    this.code = code;
    this.resource = details.resource;
    this.retryable = details.retryable ?? false;
    this.retryAfterMs = details.retryAfterMs;
    this.publicMessage = details.publicMessage;
  }

  static {
    brand(this, "error");
  }
}

/**
 * The error of every driver's own end (`close`, `end`, `quit`, `disconnect`, `destroy`): a client is shared, so only its
 * owner ends it.
 */
export function notForUsers(resource: string, verb: string): StewardError {
  const message = `${resource}: ${verb}() is not for its users, because others use it too; stop its manager or its container`;
  return new StewardError("LIFECYCLE_CONFLICT", message, { resource });
}

/**
 * The error of a call that had been sent when its connection broke, so that no answer can come. It is `retryable` only
 * where the driver knows that the call changes nothing.
 */
export function outcomeUnknown(
  resource: string,
  why: string,
  details: Pick<StewardErrorDetails, "cause" | "retryable"> = {},
): StewardError {
  const message = `${resource}: ${why}; it may or may not have taken effect: look before you repeat it`;
  return new StewardError("OUTCOME_UNKNOWN", message, { resource, ...details });
}

/** Whether a value is an error of ours, with the given `code` where one is asked for. */
export function isStewardError(value: unknown, code?: string): value is StewardError {
  if (typeof value !== "object" || value === null || !isBranded(value)) return false;
  return code === undefined || value.code === code;
}

/** Anything may be thrown, also a proxy that answers no question. */
function isBranded(value: object): value is StewardError {
  try {
    return BRAND in value;
  } catch {
    return false;
  }
}

/** One line for any thrown value, for use inside another message. Never throws, whatever the value does when it is read. */
export function describeError(error: unknown): string {
  try {
    return error instanceof Error ? textOf(error) : String(error);
  } catch {
    return "something that cannot be shown as text";
  }
}

function textOf(error: Error): string {
  const code = "code" in error && typeof error.code === "string" ? error.code : undefined;
  const text =
    error.message === "" && error instanceof AggregateError
      ? error.errors.map(describeError).join("; ")
      : error.message;
  if (text === "") return code ?? error.name;
  return code === undefined || isStewardError(error) || text.includes(code) ? text : `${text} (${code})`;
}

/** Causes of causes that are looked at: an error may be its own. */
const MAX_CAUSES = 10;

/** Codes of the system that say: not reachable now. A name that is not known yet is one, as in a group of containers that start together. */
const PASSING = new Set([
  "EAI_AGAIN",
  "ECONNABORTED",
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTDOWN",
  "EHOSTUNREACH",
  "ENETDOWN",
  "ENETUNREACH",
  "ENOTFOUND",
  "EPIPE",
  "ETIMEDOUT",
]);

/**
 * Whether what failed may succeed if it is tried again. Errors of ours say so themselves; of others, those that
 * say that a server cannot be reached do, also as the cause of another error.
 */
export function isRetryable(error: unknown): boolean {
  try {
    return mayPass(error, 0);
  } catch {
    return false;
  }
}

function mayPass(error: unknown, depth: number): boolean {
  if (isStewardError(error)) return error.retryable;
  if (!(error instanceof Error) || depth > MAX_CAUSES) return false;
  if ("code" in error && typeof error.code === "string") return PASSING.has(error.code);
  return mayPass(error.cause, depth + 1);
}
