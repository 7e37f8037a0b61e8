import assert from "node:assert/strict";
import { container } from "@steward/container";
import { serverContract, type ServerAdapter } from "@steward/testing/server";
import t from "tap";
import {
  HttpError,
  memoryIdempotency,
  stream,
  cookieSession,
  csrf,
  principal,
  security,
  sessionPrincipal,
} from "../../src/index.ts";
import { from, handler, serve } from "../../src/node/index.ts";

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
  server: (routes, settings) =>
    serve("web", {
      ...settings,
      listen: () => ({ port: 0 }),
      routes: routes.map(({ needs, answer, options, ...route }) => ({
        ...route,
        handler: handler(needs as {}, answer as () => unknown, options),
      })),
    }),
};

serverContract({ test: (name, fn) => t.test(name, fn), assert, comment: (text) => t.comment(text) }, adapter);

t.test("serve: a part of a path may be as long as a head", async (t) => {
  const path = { method: "GET", path: "/:id", handler: handler({ id: from.path("id") }, ({ id }) => id.length) };
  const web = serve("web", { listen: () => ({ port: 0 }), routes: [path] });
  await using running = await container([web]).start();
  const answer = await fetch(`${running.get(web).url}/${"a".repeat(8_000)}`, { headers: { connection: "close" } });
  t.strictSame([answer.status, await answer.json()], [200, 8_000]);
});
