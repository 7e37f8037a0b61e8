import type { Socket } from "node:net";
import { assertShape } from "@steward/core/driver";
import { refuseConnection, type ProblemOptions } from "@steward/server";
import type { FastifyServerOptions } from "fastify";
import { refusalsShape } from "../options.ts";
import { errorHandler } from "./error-handler.ts";

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
    clientErrorHandler: (error, socket) => refuseConnection(error, socket as Socket, requestId), // Fastify's type leaves open what sockets are
  };
}
