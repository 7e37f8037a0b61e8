import type { Server } from "node:http";
import type { Socket } from "node:net";
import { assertShape } from "@steward/core/driver";
import { refuseConnection, type ProblemOptions } from "@steward/server";
import type { FastifyHttpOptions } from "fastify";
import { refusalsShape } from "../options.ts";
import { errorHandler } from "./error-handler.ts";

/** How long a request may take to arrive, in ms; Fastify has no bound, this is Node's. */
const REQUEST_TIMEOUT_MS = 300_000;
/** How often connections are looked at, in ms; Node does it every 30 s, and a request has that much longer. */
const CHECKING_MS = 2_000;

/**
 * What an app answers before there is a route, which Fastify wants to know when the app is made: paths that are none,
 * bytes that are not HTTP at all, and requests that do not arrive. These have 60 s for their headers and 300 s in all
 * (`requestTimeout`), looked at every 2 s. For HTTPS give `connectionsCheckingInterval` among the options of `https`.
 *
 * @param options As the plugin's `errors`. `requestId`, as the plugin's, names the header of the id.
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
): Pick<FastifyHttpOptions<Server>, "frameworkErrors" | "clientErrorHandler" | "requestTimeout" | "http"> {
  assertShape("refusals", refusalsShape, options);
  const { requestId = "x-request-id", ...errors } = options;
  const answer = errorHandler(errors);
  return {
    requestTimeout: REQUEST_TIMEOUT_MS,
    http: { connectionsCheckingInterval: CHECKING_MS },
    frameworkErrors: (error, request, reply) => {
      if (requestId !== false) reply.header(requestId, request.id); // no hook has run
      answer(error, request as never, reply as never); // of a route that could be any
    },
    clientErrorHandler: (error, socket) => refuseConnection(error, socket as Socket, requestId), // Fastify's type does not say what sockets are
  };
}
