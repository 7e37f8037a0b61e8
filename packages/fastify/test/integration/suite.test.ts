import assert from "node:assert/strict";
import { container } from "@steward/container";
import { resource } from "@steward/core";
import { timeoutsOf } from "@steward/server/node";
import { memoryIdempotency } from "@steward/server";
import { serverContract, type ServerAdapter } from "@steward/testing/server";
import { fastify } from "fastify";
import t from "tap";
import {
  fastifyServer,
  from,
  handler,
  HttpError,
  refusals,
  steward,
  stream,
  cookieSession,
  csrf,
  principal,
  sessionPrincipal,
  security,
} from "../../src/index.ts";

const adapter: ServerAdapter = {
  container: container as never, // of definitions of any type
  from: from as never,
  HttpError,
  stream,
  security: security as never, // of definitions of any type
  principal: principal as never,
  cookieSession: cookieSession as never,
  sessionPrincipal: sessionPrincipal as never,
  csrf: csrf as never,
  idempotency: memoryIdempotency,
  nature: { document: "/openapi.json" },
  server(routes, { requestTimeoutMs, maxBodyBytes, ...settings }) {
    const server = fastifyServer("fastify", {
      listen: () => ({ port: 0 }),
      app: async (_values, running) => {
        const app = fastify({
          ...refusals(),
          bodyLimit: maxBodyBytes,
          requestTimeout: requestTimeoutMs,
          http: timeoutsOf({ requestTimeoutMs }),
        });
        await app.register(steward, {
          running,
          ...settings,
          openapi: { title: "suite", version: "1", docs: false },
        });
        for (const { method, path, needs, answer, options } of routes)
          app.route({ method, url: path, handler: handler(needs as {}, answer as () => unknown, options) });
        return app;
      },
    });
    return resource("server", {
      needs: { server },
      start: ({ server: { url, app } }) => ({ url, server: app.server, stats: () => app.steward.stats() }),
    });
  },
};

serverContract({ test: (name, fn) => t.test(name, fn), assert, comment: (text) => t.comment(text) }, adapter);
