import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

/** How requests are logged. */
export interface AccessLogOptions {
  /** Names of query parameters whose values are masked, in any case. Default: tokens, keys, passwords, signatures and codes. */
  readonly redact?: readonly string[];
  /** Requests that are logged at `debug` only. Default: those of the health endpoints and of metrics. */
  readonly quiet?: (request: FastifyRequest) => boolean;
}

/** Query parameters that carry secrets. */
export const SECRET_PARAMETERS: readonly string[] = [
  "access_token",
  "api_key",
  "apikey",
  "auth",
  "code",
  "key",
  "password",
  "secret",
  "sig",
  "signature",
  "token",
];

/** Logs each request once, when it is over, through the app's logger: never headers or bodies, and no secrets of the query string. */
export function accessLog(
  app: FastifyInstance,
  { redact = SECRET_PARAMETERS, quiet }: AccessLogOptions,
  metricsPath: string,
): void {
  const isQuiet = quiet ?? ((request) => isHealth(request) || request.routeOptions.url === metricsPath);
  const secret = new Set(redact.map((name) => name.toLowerCase()));
  const hint = new RegExp(["%", ...redact.map((name) => name.replaceAll(/\W/g, "."))].join("|"), "i"); // most URLs hold none
  const write = (request: FastifyRequest, reply: FastifyReply, aborted: boolean): void => {
    const line = {
      method: request.method,
      url: withoutSecrets(request.url, secret, hint),
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
        url: withoutSecrets(request.url, secret, hint),
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

/** A URL whose secret query values are masked. */
export function withoutSecrets(url: string, secret: ReadonlySet<string>, hint?: RegExp): string {
  const at = url.indexOf("?");
  if (at < 0 || hint?.test(url) === false) return url;
  const masked = url
    .slice(at + 1)
    .split("&")
    .map((pair) => {
      const [name = ""] = pair.split("=", 1);
      return secret.has(decoded(name).toLowerCase()) ? `${name}=***` : pair;
    });
  return `${url.slice(0, at)}?${masked.join("&")}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
