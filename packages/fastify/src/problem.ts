import { STATUS_CODES } from "node:http";
import { isStewardError, type StewardError } from "@steward/core";
import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import { HttpError, InvalidInput } from "./errors.ts";
import type { Issue } from "./inputs/issue.ts";

/** How errors are told to clients. */
export interface ProblemOptions {
  /** `problem` (default): `application/problem+json` with `errors[]`. `fastapi`: FastAPI's `{ "detail": ... }`. */
  readonly shape?: "problem" | "fastapi";
  /** Status of input that is not valid. Default 422. */
  readonly invalidStatus?: 400 | 422;
  /**
   * What an error is for clients, where you know better than the plugin; `undefined` leaves it to the plugin. It is
   * given the error of the resource also where a driver has wrapped it. Never tell hosts, statements or names of yours.
   */
  readonly tell?: (error: unknown) => HttpError | undefined;
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
  readonly errors?: readonly { readonly path: string; readonly code: string; readonly message: string }[];
}

/** What clients are told of an error. */
export interface Told {
  readonly status: number;
  readonly detail: string;
  readonly code?: string | undefined;
  readonly issues?: readonly Issue[] | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** Codes of which a later attempt may know nothing. */
const UNAVAILABLE = new Set([
  "RESOURCE_UNAVAILABLE",
  "OVERLOADED",
  "CIRCUIT_OPEN",
  "CONTAINER_CLOSED",
  "SESSION_LIMIT",
]);
const RETRY_AFTER_MS = 2_000;
const OURS = "something went wrong on our side";

/** Answers with what an error is for the client; what is our fault is logged in full and told in no detail. */
export function errorHandler({
  shape = "problem",
  invalidStatus = 422,
  tell: ask = () => undefined,
}: ProblemOptions): (error: unknown, request: FastifyRequest, reply: FastifyReply) => void {
  return (error, request, reply) => {
    const told = tell(ask(stewardErrorIn(error) ?? error) ?? error, invalidStatus);
    if (told.status >= 500) request.log.error({ err: error }, "request failed");
    reply.code(told.status).headers(told.headers ?? {});
    if (shape === "fastapi")
      reply.type("application/json").send({ detail: told.issues?.map(asFastApi) ?? told.detail });
    else reply.type("application/problem+json").send(problemOf(told, request.id));
  };
}

/** The body of a problem. */
export function problemOf({ status, detail, code: named, issues }: Told, requestId: string): Problem {
  const errors = issues?.map(({ path, code, message }) => ({ path: path.join("."), code, message }));
  return {
    type: "about:blank",
    title: STATUS_CODES[status] ?? "Error",
    status,
    detail,
    requestId,
    ...(named === undefined ? {} : { code: named }),
    ...(errors === undefined ? {} : { errors }),
  };
}

function asFastApi({ path, code, message, input }: Issue): Readonly<Record<string, unknown>> {
  return { type: code, loc: path, msg: message, input: input ?? null };
}

function tell(error: unknown, invalidStatus: number): Told {
  if (error instanceof HttpError)
    return { status: error.statusCode, detail: error.message, code: error.code, headers: error.headers };
  if (error instanceof InvalidInput)
    return { status: invalidStatus, detail: "the input is not valid", issues: error.issues };
  const ours = stewardErrorIn(error);
  if (ours !== undefined) return ofResource(ours);
  return error instanceof Error ? ofFastify(error, invalidStatus) : { status: 500, detail: OURS };
}

/** Errors of Fastify and its plugins say their status. */
function ofFastify(error: Partial<FastifyError> & Error, invalidStatus: number): Told {
  const { statusCode = 500, validation, validationContext = "body", code } = error;
  if (validation !== undefined)
    return {
      status: invalidStatus,
      detail: "the input is not valid",
      issues: validation.map((issue) => ofSchema(issue, validationContext)),
    };
  if (code === "FST_ERR_CTP_INVALID_JSON_BODY" || (error instanceof SyntaxError && statusCode === 400))
    return malformed(error, invalidStatus);
  if (code === "FST_ERR_CTP_EMPTY_JSON_BODY")
    return {
      status: invalidStatus,
      detail: "the input is not valid",
      issues: [{ path: ["body"], code: "missing", message: "Field required", input: null }],
    };
  if (statusCode >= 400 && statusCode < 500) return { status: statusCode, detail: error.message };
  return statusCode === 503
    ? { status: 503, detail: "it took too long; please try again" }
    : { status: 500, detail: OURS };
}

function malformed(error: Error, status: number): Told {
  return {
    status,
    detail: "the input is not valid",
    issues: [{ path: ["body"], code: "json_invalid", message: `JSON decode error: ${error.message}` }],
  };
}

type SchemaIssue = NonNullable<FastifyError["validation"]>[number];

/** A problem that Fastify itself found, by a schema of the route. */
function ofSchema({ instancePath, keyword, params, message = "is not valid" }: SchemaIssue, context: string): Issue {
  const own = params["missingProperty"] ?? params["additionalProperty"];
  const place = { querystring: "query", params: "path", headers: "header" }[context] ?? context;
  const path = [place, ...instancePath.split("/").slice(1), ...(own === undefined ? [] : [String(own)])];
  return {
    path,
    code: keyword === "required" ? "missing" : keyword,
    message: keyword === "required" ? "Field required" : message,
  };
}

/** The error of a resource, also where a driver has wrapped it. */
function stewardErrorIn(error: unknown): StewardError | undefined {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth++)
    if (isStewardError(cause)) return cause;
  return undefined;
}

function ofResource({ code, retryAfterMs }: StewardError): Told {
  if (code === "DEADLINE_EXCEEDED") return { status: 504, detail: "it took too long; please try again" };
  if (code === "CALL_ABORTED") return { status: 499, detail: "the request was given up" };
  if (!UNAVAILABLE.has(code)) return { status: 500, detail: OURS };
  const seconds = Math.max(1, Math.ceil((retryAfterMs ?? RETRY_AFTER_MS) / 1_000));
  return {
    status: 503,
    detail: "a part of the service is not available now; please try again",
    headers: { "retry-after": String(seconds) },
  };
}
