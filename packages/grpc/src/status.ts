import { Metadata, status, type ServiceError, type StatusObject } from "@grpc/grpc-js";
import { grpcStatusOf, isStewardError, publicError, StewardError } from "@steward/core";
import {
  anything,
  assertShape,
  brand,
  outcomeUnknown,
  stewardErrorIn,
  usualVerdict,
  type Verdict,
  milliseconds,
  recognised,
  recordOf,
  required,
  shape,
  text,
  type Shape,
} from "@steward/core/driver";
import { errorInfo, retryInfo, statusMessage } from "./proto/codec.ts";

/** Name of a gRPC status that is a failure, such as `NOT_FOUND`. */
export type StatusName = Exclude<keyof typeof status, "OK">;

/** Whether it is one; the object of grpc-js has numbers as keys too. */
export function isStatusName(value: unknown): value is StatusName {
  return typeof value === "string" && value !== "OK" && typeof Reflect.get(status, value) === "number";
}

/** What `isStatusName` looks for. */
export const STATUS_NAME = "the name of a gRPC status other than OK";

const nameShape = shape<{ readonly status: unknown }>(() => ({
  status: required(recognised(isStatusName, STATUS_NAME)),
}));

/** What stands behind a status, as `google.rpc.ErrorInfo` and `google.rpc.RetryInfo` carry it. */
export interface StatusDetails {
  /** Stable and `UPPER_SNAKE`; a Steward code where the error has one. */
  readonly reason: string;
  /** Whose reasons these are. */
  readonly domain: string;
  /** More about this one, for programs. */
  readonly metadata: Readonly<Record<string, string>>;
  /** When to try again, in ms from then. */
  readonly retryAfterMs: number | undefined;
}

/** What a handler can say besides status and message. */
export interface StatusErrorOptions {
  /** Stable reason for programs, `UPPER_SNAKE`. Default: the name of the status. */
  readonly reason?: string | undefined;
  /** Whose reasons these are. Default `steward`. */
  readonly domain?: string | undefined;
  /** More about this one, for programs. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** When to try again, in ms from then. */
  readonly retryAfterMs?: number | undefined;
  /** What made it fail; it stays here. */
  readonly cause?: unknown;
}

const optionsShape: Shape<StatusErrorOptions> = shape<StatusErrorOptions>(() => ({
  reason: text(),
  domain: text(),
  metadata: recordOf(text(true)),
  retryAfterMs: milliseconds(0),
  cause: anything(),
}));

/**
 * Thrown by a handler to end its call with a status; message and details reach the caller.
 *
 * @throws {OPTIONS_INVALID} for what is no status, and for OK: a call that succeeds returns its answer.
 *
 * @example
 * ```ts
 * import { GrpcStatusError } from "@steward/grpc";
 * const error = new GrpcStatusError("NOT_FOUND", "no video 7", { reason: "VIDEO_MISSING", metadata: { id: "7" } });
 * console.log(error.code, error.status, error.reason); // => GRPC_STATUS NOT_FOUND VIDEO_MISSING
 * ```
 */
export class GrpcStatusError extends StewardError {
  override readonly name = "GrpcStatusError";
  readonly status: StatusName;
  readonly reason: string;
  readonly domain: string;
  readonly metadata: Readonly<Record<string, string>>;

  constructor(name: StatusName, message: string, options: StatusErrorOptions = {}) {
    assertShape("GrpcStatusError", nameShape, { status: name });
    assertShape("GrpcStatusError", optionsShape, options);
    const { retryAfterMs, cause } = options;
    super("GRPC_STATUS", message, {
      retryable: retryAfterMs !== undefined || name === "UNAVAILABLE",
      retryAfterMs,
      cause,
      publicMessage: message,
    });
    this.status = name;
    this.reason = options.reason ?? name;
    this.domain = options.domain ?? "steward";
    this.metadata = options.metadata ?? {};
  }

  static {
    brand(this, "grpc-status-error");
  }
}

/** Statuses of what a channel refuses; every other is `UNAVAILABLE`. */
const STATUS_OF: Readonly<Record<string, status>> = {
  OVERLOADED: status.RESOURCE_EXHAUSTED,
  DEADLINE_EXCEEDED: status.DEADLINE_EXCEEDED,
  CALL_ABORTED: status.CANCELLED,
  GRPC_PLAINTEXT_REFUSED: status.FAILED_PRECONDITION,
};

/** The status with which a call ends at its caller, with our error as its `cause`. */
export function statusOfRefusal(error: unknown): StatusObject {
  const code = isStewardError(error) ? (STATUS_OF[error.code] ?? status.UNAVAILABLE) : status.INTERNAL;
  const details = error instanceof Error ? error.message : String(error);
  // grpc-js copies whatever a status holds to the error that callers get.
  return Object.assign({ code, details, metadata: new Metadata() }, { cause: error });
}

const DETAILS_KEY = "grpc-status-details-bin";
const PREFIX = "type.googleapis.com/google.rpc.";

/** The status that a handler's error becomes: its public part. What another service said is never passed on. */
export function statusOfError(error: unknown): StatusObject {
  const own = stewardErrorIn(error);
  if (own instanceof GrpcStatusError) return withDetails(status[own.status], own.message, own);
  const { code: reason, message, retryAfterMs } = publicError(error);
  return withDetails(status[grpcStatusOf(error)], message, { reason, domain: "steward", metadata: {}, retryAfterMs });
}

/** The status of a call that the stop of its server ended. One whose handler had begun may have taken effect. */
export function statusOfEnd(hasBegun: boolean): StatusObject {
  const [reason, when] = hasBegun
    ? ["OUTCOME_UNKNOWN", "while the call was in flight"]
    : ["RESOURCE_UNAVAILABLE", "before the call began"];
  const info = { reason, domain: "steward", metadata: {}, retryAfterMs: undefined };
  return withDetails(status.UNAVAILABLE, `the server stopped ${when}`, info);
}

function withDetails(code: status, details: string, info: StatusDetails): StatusObject {
  const { reason, domain, metadata: more, retryAfterMs } = info;
  const parts = [{ type_url: `${PREFIX}ErrorInfo`, value: errorInfo.serialize({ reason, domain, metadata: more }) }];
  if (retryAfterMs !== undefined) {
    const retry_delay = { seconds: Math.floor(retryAfterMs / 1_000), nanos: Math.round((retryAfterMs % 1_000) * 1e6) };
    parts.push({ type_url: `${PREFIX}RetryInfo`, value: retryInfo.serialize({ retry_delay }) });
  }
  const metadata = new Metadata();
  metadata.set(DETAILS_KEY, statusMessage.serialize({ code, message: details, details: parts }));
  return { code, details, metadata };
}

/** What a server said about an error besides its status; `undefined` when it said nothing, or is not understood. */
export function statusDetails(error: ServiceError): StatusDetails | undefined {
  return detailsIn(error.metadata);
}

function detailsIn(trailers: Metadata): StatusDetails | undefined {
  const [bytes] = trailers.get(DETAILS_KEY);
  if (!(bytes instanceof Buffer)) return undefined;
  try {
    const { details } = statusMessage.deserialize(bytes);
    const part = (name: string): Buffer | undefined => {
      const found = details.find(({ type_url }) => type_url === PREFIX + name);
      return found && Buffer.from(found.value);
    };
    const [info, retry] = [part("ErrorInfo"), part("RetryInfo")];
    const { reason, domain, metadata } =
      info === undefined ? { reason: "", domain: "", metadata: {} } : errorInfo.deserialize(info);
    const delay = retry === undefined ? undefined : retryInfo.deserialize(retry).retry_delay;
    return { reason, domain, metadata, retryAfterMs: delay ? delay.seconds * 1_000 + delay.nanos / 1e6 : undefined };
  } catch {
    return undefined; // Bytes of another meaning: the status itself is still right.
  }
}

/** Statuses with which a server that answers says that it is not well. */
const UNWELL: ReadonlySet<status> = new Set([
  status.UNAVAILABLE,
  status.RESOURCE_EXHAUSTED,
  status.INTERNAL,
  status.UNKNOWN,
  status.DATA_LOSS,
]);

/**
 * What a status says about the server.
 * @param isHeard Whether anything of the server arrived before it: then it is the server's own.
 */
export function verdictOn(code: status, isHeard: boolean): Verdict {
  if (code === status.DEADLINE_EXCEEDED || (code === status.UNAVAILABLE && !isHeard)) return "failure";
  return UNWELL.has(code) ? "degraded" : "none";
}

/** A status that a call ended with, as it is reported to its guard. */
export class StatusFailure extends Error {
  readonly verdict: Verdict;

  constructor(cause: Error, verdict: Verdict) {
    super(cause.message, { cause });
    this.verdict = verdict;
  }
}

/** What the end of a call says about the server. */
export function judge(error: unknown): Verdict {
  if (isStewardError(error, "GRPC_PLAINTEXT_REFUSED")) return "none"; // our own
  return error instanceof StatusFailure ? error.verdict : usualVerdict(error);
}

/** What grpc-js says where a connection broke. Once headers have come, a server says its own without metadata too. */
const BROKEN = /^(?:Connection dropped$|(?:read|write) E[A-Z]+$|Write (?:error|failed)\b)/;
/** What it says of a call that the server has not looked at. */
const REFUSED = "Stream refused by server";

/**
 * Whether the connection broke under a call that was on it, or its server stopped, so that its outcome is unknown. A status
 * that a server sent without an answer before it has metadata, at least that of HTTP; what grpc-js makes itself has none.
 *
 * @param isHeard Whether anything of the server arrived before it.
 */
export function isCutOff({ code, details, metadata }: StatusObject, isHeard: boolean): boolean {
  if (code !== status.UNAVAILABLE) return false;
  if (Object.keys(metadata.getMap()).length > 0) return detailsIn(metadata)?.reason === "OUTCOME_UNKNOWN";
  return isHeard ? BROKEN.test(details) : details !== REFUSED;
}

/** The error of a call whose outcome is unknown so. */
export function cutOff(resource: string, { details }: StatusObject, retryable: boolean): StewardError {
  return outcomeUnknown(resource, `no answer came: ${details}`, { retryable });
}

/** What a status of a server is for the code above: a server that is not there, or too slow, is known by its code. */
export function causeOfStatus(resource: string, { code, details }: StatusObject): Error {
  const known = code === status.UNAVAILABLE ? "RESOURCE_UNAVAILABLE" : "DEADLINE_EXCEEDED";
  if (code !== status.UNAVAILABLE && code !== status.DEADLINE_EXCEEDED) return new Error(details);
  return new StewardError(known, `${resource}: ${details}`, { resource, retryable: true });
}
