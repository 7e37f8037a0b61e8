import { publishUnhandled } from "@steward/core/driver";
import {
  answerTo,
  bodyOf,
  clientStatusOf,
  INTERNAL,
  loggable,
  OF_SUCCESS,
  type Issue,
  type ProblemOptions,
  type ErrorAnswer,
  type ErrorBody,
} from "@steward/server";
import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import { answerPlainly } from "./plain-answer.ts";

/**
 * Answers with what an error is for the client; what is our fault is logged in full and answered in no detail. What fails
 * while that is sent, such as a hook that throws again, is answered without hooks: Fastify would answer with its text.
 */
export function errorHandler(
  options: ProblemOptions,
): (error: unknown, request: FastifyRequest, reply: FastifyReply) => void {
  return (error, request, reply) => {
    const { answer, type, body } = bodyFor(error, request, options);
    for (const name of OF_SUCCESS) reply.removeHeader(name);
    const send = reply.send.bind(reply) as FastifyReply["send"]; // it is the reply's
    reply.code(answer.status).headers(answer.headers ?? {});
    const headers = reply.getHeaders();
    reply.send = (again: unknown): FastifyReply => {
      if (reply.sent) return send(again); // it only warns
      reply.hijack();
      answerPlainly(reply.raw, bodyFor(again, request, options), headers);
      return reply;
    };
    reply.type(type);
    send(body);
  };
}

function bodyFor(error: unknown, request: FastifyRequest, options: ProblemOptions): ErrorBody {
  const found = answerTo(error, options, ofFastifyOrPlugin);
  const made = bodyOf(error, found, options.shape, request.id);
  const { status } = made.answer;
  if (status >= 500) request.log.error({ err: loggable(made.failure) }, "request failed");
  if (status === 500) publishUnhandled("request", made.failure, { requestId: request.id });
  return made;
}

function ofFastifyOrPlugin(error: unknown, invalidStatus: number): ErrorAnswer | undefined {
  return isForClients(error) ? ofFastify(error, invalidStatus) : undefined;
}

type PluginError = Error & Partial<FastifyError> & { readonly expose?: unknown };

/** Whether the text of an error was written for clients: by Fastify, a plugin of its, or `http-errors`. */
function isForClients(error: unknown): error is PluginError {
  if (!(error instanceof Error)) return false;
  const { code, validation, expose }: PluginError = error;
  if (String(code).startsWith("FST_") || validation !== undefined) return true;
  return clientStatusOf(error) !== undefined && (expose === true || error instanceof SyntaxError);
}

/** Errors of Fastify and its plugins say their status. */
function ofFastify(error: PluginError, invalidStatus: number): ErrorAnswer {
  const { statusCode = 500, validation, validationContext = "body", code } = error;
  if (validation !== undefined)
    return {
      status: invalidStatus,
      detail: "the input is not valid",
      issues: validation.map((issue) => ofSchema(issue, validationContext)),
    };
  if (code === "FST_ERR_BAD_URL") return { status: 400, detail: "malformed path" };
  if (code === "FST_ERR_CTP_INVALID_JSON_BODY" || (error instanceof SyntaxError && statusCode === 400))
    return malformed(error, invalidStatus);
  if (code === "FST_ERR_CTP_EMPTY_JSON_BODY")
    return {
      status: invalidStatus,
      detail: "the input is not valid",
      issues: [{ path: ["body"], code: "missing", message: "Field required", input: null }],
    };
  if (statusCode >= 400 && statusCode < 500) return { status: statusCode, detail: error.message };
  return statusCode === 503 ? { status: 503, detail: "the request timed out" } : INTERNAL;
}

function malformed(error: Error, status: number): ErrorAnswer {
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
