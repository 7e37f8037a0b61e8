import { SECRET_PARAMETERS, urlMask } from "@steward/server";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

/** How requests are logged. */
export interface AccessLogOptions {
  /** Names of query parameters whose values are masked, in any case. Default: tokens, keys, passwords, signatures and codes. */
  readonly redact?: readonly string[];
  /** Requests that are logged at `debug` only. Default: those of the health endpoints and of metrics. */
  readonly quiet?: (request: FastifyRequest) => boolean;
}

/** Logs each request once, when it is over, through the app's logger: never headers or bodies, and no secrets of the query string. */
export function accessLog(
  app: FastifyInstance,
  { redact = SECRET_PARAMETERS, quiet }: AccessLogOptions,
  metricsPath: string,
): void {
  const isQuiet = quiet ?? ((request) => isHealth(request) || request.routeOptions.url === metricsPath);
  const masked = urlMask(redact);
  const write = (request: FastifyRequest, reply: FastifyReply, aborted: boolean): void => {
    const line = {
      method: request.method,
      url: masked(request.url),
      route: request.routeOptions.url,
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime * 10) / 10,
      ...(aborted ? { aborted } : {}),
    };
    if (isQuiet(request)) request.log.debug(line, "request");
    else request.log.info(line, "request");
  };
  app.addHook("onResponse", (request, reply, done) => {
    write(request, reply, false);
    done();
  });
  app.addHook("onRequestAbort", (request, done) => {
    request.log.info(
      {
        method: request.method,
        url: masked(request.url),
        route: request.routeOptions.url,
        aborted: true,
      },
      "request",
    );
    done();
  });
}

function isHealth({ url }: FastifyRequest): boolean {
  return (
    url.startsWith("/livez") || url.startsWith("/readyz") || url.startsWith("/startupz") || url.startsWith("/health")
  );
}
