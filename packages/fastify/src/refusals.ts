import type { Socket } from "node:net";
import { assertShape } from "@steward/core";
import type { FastifyServerOptions } from "fastify";
import { refusalsShape } from "./options.ts";
import { errorHandler, problemOf, type ProblemOptions } from "./problem.ts";
import { uuid7 } from "./request-id.ts";

const STATUSES: Readonly<Record<string, readonly [status: number, detail: string]>> = {
  HPE_HEADER_OVERFLOW: [431, "the headers are too large"],
  ERR_HTTP_REQUEST_TIMEOUT: [408, "the request timed out before it had arrived"],
};

/**
 * What an app answers before there is a route, which Fastify wants to know when the app is made: paths that are none,
 * and bytes that are not HTTP at all.
 *
 * @param options As the plugin's `errors`. `requestId`, as the plugin's, names the header that tells the id.
 *
 * @example
 * ```ts
 * import { fastify } from "fastify";
 * import { refusals } from "@steward/fastify";
 * const app = fastify({ ...refusals(), bodyLimit: 64 * 1024 });
 * console.log((await app.inject("/%zz")).headers["content-type"]); // => application/problem+json; charset=utf-8
 * ```
 */
export function refusals(
  options: ProblemOptions & { readonly requestId?: string | false } = {},
): Pick<FastifyServerOptions, "frameworkErrors" | "clientErrorHandler"> {
  assertShape("refusals", refusalsShape, options);
  const { requestId = "x-request-id", ...errors } = options;
  const answer = errorHandler(errors);
  return {
    frameworkErrors: (error, request, reply) => {
      if (requestId !== false) reply.header(requestId, request.id); // no hook has run
      answer(error, request as never, reply as never); // of a route that could be any
    },
    clientErrorHandler: (error, socket) => refuse(error, socket as Socket, requestId), // Fastify's type leaves open what sockets are
  };
}

/** There is no request to speak of, so the answer is written by hand. */
function refuse({ code }: { readonly code?: string }, socket: Socket, header: string | false): void {
  if (code === "ECONNRESET" || !socket.writable) return void socket.destroy();
  const [status, detail] = STATUSES[code ?? ""] ?? [400, "malformed request"];
  const id = uuid7();
  const problem = problemOf({ status, detail }, id);
  const body = JSON.stringify(problem);
  const head = [
    `HTTP/1.1 ${status} ${problem.title}`,
    "content-type: application/problem+json; charset=utf-8",
    `content-length: ${Buffer.byteLength(body)}`,
    ...(header === false ? [] : [`${header}: ${id}`]),
    "connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
  // A peer that ignores the end would keep the descriptor for ever: Node no longer counts its time.
  socket.destroySoon();
}
