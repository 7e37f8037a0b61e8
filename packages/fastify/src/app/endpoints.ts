import { Readable } from "node:stream";
import {
  healthEndpoints,
  type HealthAnswer,
  type HealthEndpointOptions,
  type RunningContainer,
} from "@steward/container";
import { bearerCheck } from "@steward/core/driver";
import type { FastifyInstance, FastifyReply } from "fastify";
import { HIDDEN } from "../document/documents.ts";
import { unauthenticated } from "@steward/server";

/** Where metrics are served and who renders them. */
export interface MetricsRoute {
  /** Default `/metrics`. */
  readonly path?: string;
  /** Default `text/plain; version=0.0.4; charset=utf-8`. */
  readonly contentType?: string;
  /** Shows them only to clients that send `authorization: Bearer <token>`. Default: to everybody. */
  readonly token?: string;
  /** Gives the text, or its parts one after the other, such as `prometheusText([app.steward, running])` of `@steward/telemetry`. */
  readonly render: () => string | Promise<string> | Iterable<string> | AsyncIterable<string>;
}

/** Default path of metrics. */
export const METRICS_PATH = "/metrics";

/** Health answers are plain data; here they are sent. */
export function healthRoutes(
  app: FastifyInstance,
  running: () => RunningContainer | undefined,
  options: HealthEndpointOptions,
): void {
  const answer = healthEndpoints(running, options);
  const { prefix = "" } = options;
  for (const path of ["/livez", "/readyz", "/startupz", "/health", "/health/*"]) {
    app.route({
      method: ["GET", "HEAD"],
      url: `${prefix}${path}`,
      schema: HIDDEN,
      handler: (request, reply) => {
        const found = answer(request.method, request.url, request.headers);
        return found === undefined ? reply.callNotFound() : sent(reply, found);
      },
    });
  }
}

function sent(reply: FastifyReply, { status, headers, body }: HealthAnswer): FastifyReply {
  return reply.code(status).headers(headers).send(body);
}

/** Serves metrics. */
export function metricsRoute(
  app: FastifyInstance,
  { path = METRICS_PATH, contentType = "text/plain; version=0.0.4; charset=utf-8", token, render }: MetricsRoute,
): void {
  const isAllowed = token === undefined ? () => true : bearerCheck(token);
  app.get(path, { schema: HIDDEN }, async (request, reply) => {
    if (!isAllowed(request.headers.authorization)) throw unauthenticated("Bearer");
    const text = await render();
    return reply.type(contentType).send(typeof text === "string" ? text : Readable.from(text));
  });
}
