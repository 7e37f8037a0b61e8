import { STATUS_CODES } from "node:http";
import { isStewardError, type StewardError } from "@steward/core";
import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";

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
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
}

/** An error that the caller of the API is told as it is. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string | undefined;
  readonly errors: Problem["errors"];

  constructor(
    status: number,
    detail: string,
    more: { readonly cause?: unknown; readonly code?: string; readonly errors?: Problem["errors"] } = {},
  ) {
    super(detail, { cause: more.cause });
    this.status = status;
    this.code = more.code;
    this.errors = more.errors;
  }
}

type Told = Pick<Problem, "status" | "detail"> & {
  readonly code?: string | undefined;
  readonly errors?: Problem["errors"] | undefined;
} & { readonly retryAfterMs?: number | undefined };

/** What callers are told of errors of resources: never hosts, statements or names of ours. */
const RESOURCE_ERRORS: Readonly<Record<string, Pick<Told, "status" | "detail">>> = {
  HTTP_ORIGIN_REFUSED: { status: 403, detail: "this origin is not on the allow list (ALLOWED_ORIGINS)" },
  HTTP_RESPONSE_TOO_LARGE: { status: 502, detail: "the other service answered with more than 1 MiB" },
  DEADLINE_EXCEEDED: { status: 504, detail: "it took too long; please try again" },
};

/** Codes of which a later attempt may know nothing. */
const UNAVAILABLE = new Set([
  "RESOURCE_UNAVAILABLE",
  "OVERLOADED",
  "CONTAINER_CLOSED",
  "DATABASE_CONNECT_FAILED",
  "DATABASE_CONNECTION_LOST",
  "CRYPTO_STORE_UNAVAILABLE",
  "CRYPTO_STORE_CONFLICT",
]);
const RETRY_AFTER_MS = 2_000;

/** Answers with the problem that an error is; what is our fault is logged in full. */
export function sendProblem(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  const told = tell(error);
  if (told.status >= 500) request.log.error({ err: error }, "request failed");
  if (told.retryAfterMs !== undefined) reply.header("retry-after", Math.ceil(told.retryAfterMs / 1_000));
  reply.code(told.status).type("application/problem+json").send(problem(told, request.id));
}

/** The body of a problem. */
export function problem({ status, detail, code, errors }: Omit<Told, "retryAfterMs">, requestId: string): Problem {
  return {
    type: "about:blank",
    title: STATUS_CODES[status] ?? "Error",
    status,
    detail,
    requestId,
    ...(code === undefined ? {} : { code }),
    ...(errors === undefined ? {} : { errors }),
  };
}

function tell(error: FastifyError): Told {
  if (error instanceof ApiError) {
    const { status, message: detail, code, errors } = error;
    return { status, detail, code, errors };
  }
  if (error.validation !== undefined)
    return {
      status: 400,
      detail: "the input is not valid",
      errors: error.validation.map((issue) => invalid(issue, error.validationContext)),
    };
  const ours = stewardErrorIn(error);
  if (ours !== undefined) return ofResource(ours);
  const { statusCode = 500 } = error;
  return statusCode >= 400 && statusCode < 500
    ? { status: statusCode, detail: error.message }
    : { status: 500, detail: "something went wrong on our side" };
}

/** The error of a resource, also where a driver has wrapped it. */
function stewardErrorIn(error: unknown): StewardError | undefined {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth++)
    if (isStewardError(cause)) return cause;
  return undefined;
}

function ofResource({ code, retryAfterMs }: StewardError): Told {
  const known = RESOURCE_ERRORS[code];
  if (known !== undefined) return known;
  if (UNAVAILABLE.has(code))
    return {
      status: 503,
      detail: "a part of Clips is not available now; please try again",
      retryAfterMs: retryAfterMs ?? RETRY_AFTER_MS,
    };
  return { status: 500, detail: "something went wrong on our side" };
}

type Issue = NonNullable<FastifyError["validation"]>[number];

type DescribedIssue = Issue & { readonly parentSchema?: { readonly description?: string } };

function invalid(issue: Issue, context = "body"): { path: string; message: string } {
  const { instancePath, keyword, message, params } = issue;
  const path = `${context}${instancePath.replaceAll("/", ".")}`;
  const unknown: unknown = params["additionalProperty"];
  if (keyword === "additionalProperties")
    return { path: `${path}.${String(unknown)}`, message: "is not a known field" };
  const missing: unknown = params["missingProperty"];
  if (keyword === "required") return { path: `${path}.${String(missing)}`, message: "is missing" };
  const described = (issue as DescribedIssue).parentSchema?.description; // the validator runs with `verbose`
  return {
    path,
    message: keyword === "pattern" && described !== undefined ? `must be ${described}` : (message ?? "is not valid"),
  };
}
