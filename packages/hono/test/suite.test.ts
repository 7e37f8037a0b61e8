import assert from "node:assert/strict";
import { container } from "@steward/container";
import { memoryIdempotency } from "@steward/server";
import { serverContract, type ServerAdapter } from "@steward/testing/server";
import { Hono } from "hono";
import t from "tap";
import {
  honoServer,
  from,
  handler,
  HttpError,
  steward,
  stream,
  cookieSession,
  csrf,
  principal,
  security,
  sessionPrincipal,
} from "../src/index.ts";

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
  server: (routes, { requestTimeoutMs, ...settings }) =>
    honoServer("server", {
      requestTimeoutMs,
      listen: () => ({ port: 0 }),
      app: (_values, running) => {
        const app = new Hono();
        steward(app, { ...settings, running });
        for (const { method, path, needs, answer, options } of routes)
          app[method === "GET" ? "get" : "post"](path, handler(needs as {}, answer as () => unknown, options));
        return app;
      },
    }),
};

serverContract({ test: (name, fn) => t.test(name, fn), assert, comment: (text) => t.comment(text) }, adapter);
