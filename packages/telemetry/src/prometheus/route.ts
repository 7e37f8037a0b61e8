import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { assertShape } from "@steward/core/driver";
import type { Sources } from "../gather.ts";
import { readShape, type ReadOptions } from "../options.ts";
import { prometheusText } from "./text.ts";

/** Answers a request with the current series. Resolves when the answer is out or its client has gone. */
export type MetricsRoute = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

const HEAD = {
  "content-type": "text/plain; version=0.0.4; charset=utf-8",
  "cache-control": "no-store",
  vary: "accept-encoding",
};

/**
 * Serves series to Prometheus, compressed where the client takes that: a route for `serveManagement` of
 * `@steward/container` (`routes: { "/metrics": metricsRoute(running) }`), or for any server of `node:http`.
 */
export function metricsRoute(sources: Sources, options: ReadOptions = {}): MetricsRoute {
  assertShape("metricsRoute", readShape, options);
  return async (request, response) => {
    if (request.method === "HEAD") return void response.writeHead(200, HEAD).end();
    if (request.method !== "GET") return void response.writeHead(405, { allow: "GET, HEAD" }).end();
    const text = Readable.from(prometheusText(sources, options));
    try {
      if (!takesGzip(request)) await pipeline(text, response.writeHead(200, HEAD));
      else
        await pipeline(
          text,
          createGzip({ level: 1 }),
          response.writeHead(200, { ...HEAD, "content-encoding": "gzip" }),
        );
    } catch {
      response.destroy(); // the client has gone; sources that fail do not get here
    }
  };
}

function takesGzip({ headers }: IncomingMessage): boolean {
  return /\bgzip\b(?!\s*;\s*q=0(?:\.0*)?(?:\s*,|\s*$))/.test(String(headers["accept-encoding"] ?? ""));
}
