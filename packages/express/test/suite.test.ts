import assert from "node:assert/strict";
import { container } from "@steward/container";
import { memoryIdempotency } from "@steward/server";
import { serverContract, type ServerAdapter } from "@steward/testing/server";
import express from "express";
import t from "tap";
import {
  expressServer,
  from,
  handler,
  HttpError,
  problems,
  steward,
  stream,
  cookieSession,
  csrf,
  principal,
  sessionPrincipal,
  security,
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
    expressServer("server", {
      requestTimeoutMs,
      listen: () => ({ port: 0 }),
      app: (_values, running) => {
        const app = express();
        steward(app, { ...settings, running });
        for (const { method, path, needs, answer, options } of routes)
          app[method === "GET" ? "get" : "post"](path, handler(needs as {}, answer as () => unknown, options));
        return app.use(problems());
      },
    }),
};

serverContract({ test: (name, fn) => t.test(name, fn), assert, comment: (text) => t.comment(text) }, adapter);
