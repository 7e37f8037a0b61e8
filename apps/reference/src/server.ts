import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { healthEndpoints } from "@steward/container";
import { resource } from "@steward/core";
import {
  fastify,
  LogController,
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from "fastify";
import { cryptoRoutes } from "./crypto/routes.ts";
import { dataRoute } from "./data.ts";
import { entrance, FastifyServer, type Entrance } from "./glue.ts";
import { log } from "./log.ts";
import { frontPage } from "./page/route.ts";
import { ApiError, problem, sendProblem } from "./problem.ts";
import { secretRoutes } from "./secrets/routes.ts";
import { settings, type Settings } from "./settings.ts";
import { videoRoutes } from "./videos/routes.ts";

const BODY_BYTES = 64 * 1024;
const REQUEST_ID = /^[\w.:-]{1,128}$/;

function requestIdOf(incoming: { readonly headers: IncomingMessage["headers"] }): string {
  const given = incoming.headers["x-request-id"];
  return typeof given === "string" && REQUEST_ID.test(given) ? given : randomUUID();
}

/** The app of Fastify, not listening yet. */
export function makeApp(logger: FastifyBaseLogger, way: Entrance, { host }: Pick<Settings, "host">): FastifyInstance {
  const app: FastifyInstance = fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: "requestId" }),
    genReqId: requestIdOf,
    bodyLimit: BODY_BYTES,
    requestTimeout: 30_000,
    // Input is refused, not bent into shape.
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false, allErrors: true, verbose: true } },
    frameworkErrors: (error, request, reply) => {
      reply.header("x-request-id", request.id);
      sendProblem(error, request, reply);
    },
    clientErrorHandler: refuseGarbage,
  });
  app.addHook("onRequest", async (request, reply) => void reply.header("x-request-id", request.id));
  app.addHook("onResponse", async (request, reply) => logRequest(request, reply));
  app.addHook("onRequestAbort", async (request) =>
    request.log.info({ method: request.method, path: pathOf(request) }, "aborted by the client"),
  );
  app.removeContentTypeParser("text/plain");
  const routes = knownRoutes(app);
  app.setErrorHandler(sendProblem);
  app.setNotFoundHandler(async (request) => {
    throw new ApiError(404, `there is no ${pathOf(request)}`);
  });
  // Why something is not well may name hosts; only this machine is told.
  const details = isLocal(host);
  healthRoutes(app, way, details);
  frontPage(app, way, details);
  videoRoutes(app, way);
  dataRoute(app, way);
  cryptoRoutes(app, way);
  secretRoutes(app, way);
  refuseOtherMethods(app, routes);
  return app;
}

/** The methods of each path, filled as routes are added. */
function knownRoutes(app: FastifyInstance): Map<string, Set<string>> {
  const routes = new Map<string, Set<string>>();
  app.addHook("onRoute", ({ url, method }) => {
    const methods = routes.get(url) ?? new Set<string>();
    for (const one of [method].flat()) methods.add(one);
    routes.set(url, methods);
  });
  return routes;
}

function refuseOtherMethods(app: FastifyInstance, routes: ReadonlyMap<string, ReadonlySet<string>>): void {
  for (const [url, known] of routes) {
    const allow = [...known].sort().join(", ");
    const method = app.supportedMethods.filter((one) => !known.has(one));
    app.route({
      method,
      url,
      handler: async (request, reply) => {
        reply.header("allow", allow);
        throw new ApiError(405, `${request.method} is not possible here; possible: ${allow}`);
      },
    });
  }
}

function pathOf(request: FastifyRequest): string {
  return request.url.replace(/\?.*$/s, "");
}

function isHealthPath(path: string): boolean {
  return /^\/(?:livez|readyz|startupz|health(?:\/.*)?)$/.test(path);
}

function logRequest(request: FastifyRequest, reply: FastifyReply): void {
  const path = pathOf(request);
  const line = { method: request.method, path, status: reply.statusCode, ms: Math.round(reply.elapsedTime * 10) / 10 };
  // Probes come every few seconds and would drown the rest.
  if (isHealthPath(path)) request.log.debug(line, "request");
  else request.log.info(line, "request");
}

/** Health answers are plain data; here they are sent. */
function healthRoutes(app: FastifyInstance, way: Entrance, details: boolean): void {
  const answerTo = healthEndpoints(() => way.running, { details });
  for (const path of ["/livez", "/readyz", "/startupz", "/health", "/health/*"]) {
    app.route({
      method: ["GET", "HEAD"],
      url: path,
      handler: async (request, reply) => {
        const answer = answerTo(request.method, request.url, request.headers);
        if (answer === undefined) return reply.callNotFound();
        return reply.code(answer.status).headers(answer.headers).send(answer.body);
      },
    });
  }
}

function isLocal(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}

/** Answers what is not HTTP at all; there is no request to speak of. */
function refuseGarbage(error: Error & { readonly code?: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) return void socket.destroy();
  const status = error.code === "HPE_HEADER_OVERFLOW" ? 431 : error.code === "ERR_HTTP_REQUEST_TIMEOUT" ? 408 : 400;
  const requestId = randomUUID();
  const body = JSON.stringify(problem({ status, detail: "this is not a request that HTTP knows" }, requestId));
  const head = [
    `HTTP/1.1 ${status} Refused`,
    "content-type: application/problem+json",
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${requestId}`,
    "connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
}

/** The HTTP server. It needs nothing that takes time, so it answers probes while the rest starts. */
export const server = resource("server", {
  needs: { settings, log, entrance },
  restart: "stop-first",
  start: ({ settings, log, entrance }) => FastifyServer.listen(makeApp(log, entrance, settings), settings),
  drain: (server) => server.drain(),
  stop: (server) => server.stop(),
});
