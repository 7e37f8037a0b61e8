import { STATUS_CODES } from "node:http";
import { httpStatusOf, publicError, type StewardError } from "@steward/core";
import { stewardErrorIn } from "@steward/core/driver";
import { HttpError, InvalidInput } from "../errors.ts";
import { MEDIA_TYPE, type Issue } from "../inputs/issue.ts";

/** How errors are answered. */
export interface ProblemOptions {
  /** `problem` (default): `application/problem+json` with `errors[]`. `fastapi`: FastAPI's `{ "detail": ... }`. */
  readonly shape?: "problem" | "fastapi";
  /** Status of input that is not valid. Default 422. */
  readonly invalidStatus?: 400 | 422;
  /**
   * What an error is for clients, where you know better; `undefined`: the server decides. It is
   * given the error of the resource also where a driver has wrapped it. It must not name hosts, statements or internals.
   */
  readonly toHttpError?: (error: unknown) => HttpError | undefined;
}

/** An answer that says what went wrong, as RFC 9457 has it. */
export interface Problem {
  readonly type: "about:blank";
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly requestId: string;
  /** What went wrong, for programs; where there is more to say than the status. */
  readonly code?: string;
  /** What is wrong with the input, one by one. */
  readonly errors?: readonly ProblemError[];
  /** What an `HttpError` adds. */
  readonly [member: string]: unknown;
}

/** One thing that is wrong with the input. */
export interface ProblemError {
  readonly path: string;
  readonly code: string;
  readonly message: string;
  /** The limit that was not kept, such as `{ "minimum": 1 }`. */
  readonly limit?: Readonly<Record<string, unknown>>;
}

/** What clients read of an error. */
export interface ErrorAnswer {
  readonly status: number;
  /** A sentence, or what an `HttpError` has instead. */
  readonly detail: unknown;
  readonly members?: Readonly<Record<string, unknown>> | undefined;
  readonly code?: string | undefined;
  readonly issues?: readonly Issue[] | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

const RETRY_AFTER_MS = 2_000;
const OURS = publicError(undefined).message;

/** What else an adapter knows of errors: those of its framework. `undefined` for all others. */
export type ForeignErrors = (error: unknown, invalidStatus: number) => ErrorAnswer | undefined;

/** What an error is for the client. Errors whose properties throw are a failure of ours like any other. */
export function answerTo(
  error: unknown,
  { invalidStatus = 422, toHttpError = () => undefined }: ProblemOptions,
  foreign: ForeignErrors = () => undefined,
): ErrorAnswer {
  try {
    return answerOf(toHttpError(stewardErrorIn(error) ?? error) ?? error, invalidStatus, foreign);
  } catch {
    return INTERNAL;
  }
}

/** The answer to what is our fault. */
export const INTERNAL: ErrorAnswer = { status: 500, detail: OURS };

/** Headers that were set for an answer that has failed: an error is not to be cached, and signs in no client. */
export const OF_SUCCESS: readonly string[] = [
  "cache-control",
  "content-disposition",
  "content-encoding",
  "etag",
  "expires",
  "last-modified",
  "set-cookie",
];

/** An answer to an error as it is sent. */
export interface ErrorBody {
  readonly answer: ErrorAnswer;
  /** Media type of the body. */
  readonly type: string;
  /** Plain JSON. */
  readonly body: object;
  /** What is logged where the answer is 500. */
  readonly failure: unknown;
}

/** What is sent for an error. Where what it says is no JSON (a circle, a `toJSON` that throws), that is a failure of ours. */
export function bodyOf(
  error: unknown,
  answer: ErrorAnswer,
  shape: ProblemOptions["shape"],
  requestId: string,
): ErrorBody {
  const type = shape === "fastapi" ? "application/json" : "application/problem+json";
  const written = (one: ErrorAnswer): object => (shape === "fastapi" ? asDetail(one) : problemOf(one, requestId));
  try {
    return { answer, type, body: JSON.parse(JSON.stringify(written(answer))) as object, failure: error };
  } catch (failure) {
    return { answer: INTERNAL, type, body: written(INTERNAL), failure };
  }
}

function asDetail(answer: ErrorAnswer): object {
  return { detail: answer.issues?.map(asFastApi) ?? answer.detail, ...membersOf(answer) };
}

function membersOf({ code, members }: ErrorAnswer): Readonly<Record<string, unknown>> {
  return { ...members, ...(code === undefined ? {} : { code }) };
}

/** The body of a problem. A detail that is no sentence gives further members instead. */
export function problemOf(answer: ErrorAnswer, requestId: string): Problem {
  const { status, detail, issues } = answer;
  const title = STATUS_CODES[status] ?? "Error";
  const errors = issues?.map(({ path, code, message, limit }): ProblemError => {
    const error = { path: path.join("."), code, message };
    return limit === undefined ? error : { ...error, limit };
  });
  return {
    ...(typeof detail === "string" ? {} : structured(detail)),
    ...membersOf(answer),
    type: "about:blank",
    title,
    status,
    detail: typeof detail === "string" ? detail : title,
    requestId,
    ...(errors === undefined ? {} : { errors }),
  };
}

function structured(detail: unknown): Readonly<Record<string, unknown>> {
  return typeof detail === "object" && detail !== null && !Array.isArray(detail) ? { ...detail } : { details: detail };
}

function asFastApi({ path, code, message, input, limit }: Issue): Readonly<Record<string, unknown>> {
  const entry = { type: code, loc: path, msg: message, input: echoed(input) };
  return limit === undefined ? entry : { ...entry, ctx: limit };
}

/** Most of an input that is echoed, in characters and members. */
const MAX_ECHO = 1_000;

/** What an answer repeats of a wrong input: no file, and nothing large. */
function echoed(input: unknown): unknown {
  if (typeof input === "string") return input.length > MAX_ECHO ? `${input.slice(0, MAX_ECHO)}...` : input;
  return sizeOf(input, MAX_ECHO) > MAX_ECHO ? null : (input ?? null);
}

/** How much there is in a value, counted no further than to `most`. */
function sizeOf(value: unknown, most: number): number {
  if (typeof value === "string") return value.length;
  if (typeof value !== "object" || value === null) return 1;
  if (ArrayBuffer.isView(value)) return Number.POSITIVE_INFINITY;
  let size = 1;
  for (const [key, inner] of Object.entries(value)) {
    size += key.length + sizeOf(inner, most - size);
    if (size > most) break;
  }
  return size;
}

function answerOf(error: unknown, invalidStatus: number, foreign: ForeignErrors): ErrorAnswer {
  if (error instanceof HttpError)
    return {
      status: error.statusCode,
      detail: error.detail,
      code: error.code,
      members: error.members,
      headers: error.headers,
    };
  if (error instanceof InvalidInput) return ofInput(error, invalidStatus);
  const ours = stewardErrorIn(error);
  if (ours !== undefined) return ofResource(ours);
  return foreign(error, invalidStatus) ?? ofOthers(error);
}

/** Input of a type that the route does not take is 415, whatever else is wrong with it. */
function ofInput({ issues }: InvalidInput, invalidStatus: number): ErrorAnswer {
  const isOfType = issues.some(({ code }) => code === MEDIA_TYPE);
  return isOfType
    ? { status: 415, detail: "the body is of a type that this route does not take", issues }
    : { status: invalidStatus, detail: "the input is not valid", issues };
}

/** Errors of unknown origin may choose a status of the client's, as Fastify has it, but not what is said. */
function ofOthers(error: unknown): ErrorAnswer {
  const status = clientStatusOf(error) ?? 500;
  return { status, detail: status === 500 ? OURS : (STATUS_CODES[status] ?? "refused").toLowerCase() };
}

/** The status of the client's that an error names. */
export function clientStatusOf(error: unknown): number | undefined {
  const statusCode: unknown = error instanceof Error && "statusCode" in error ? error.statusCode : undefined;
  return typeof statusCode === "number" && statusCode >= 400 && statusCode < 500 ? statusCode : undefined;
}

/** The public part of an error that came from a resource. */
function ofResource(error: StewardError): ErrorAnswer {
  const { code, message: detail, retryAfterMs } = publicError(error);
  const status = httpStatusOf(error);
  const named = code === "INTERNAL" ? {} : { code };
  if (status === 401)
    return { status, detail, ...named, headers: { "www-authenticate": 'Bearer error="invalid_token"' } };
  if (status !== 503 && (status !== 429 || retryAfterMs === undefined)) return { status, detail, ...named };
  const seconds = Math.max(1, Math.ceil((retryAfterMs ?? RETRY_AFTER_MS) / 1_000));
  return { status, detail, ...named, headers: { "retry-after": String(seconds) } };
}
