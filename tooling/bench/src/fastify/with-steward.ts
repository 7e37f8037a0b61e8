import { container } from "@steward/container";
import { handler, steward } from "@steward/fastify";
import type { FastifyInstance } from "fastify";
import { bareApp, type Form } from "./contender.ts";
import { graph, later, plain } from "./definitions.ts";
import * as does from "./graph.ts";

/** The graph as definitions. */
export async function withSteward(form: Form): Promise<FastifyInstance> {
  const app = bareApp();
  await app.register(steward, { container: container([]), timeoutMs: does.TIMEOUT_MS });
  const needs = graph(form === "plain" ? plain : later);
  app.get(
    "/di",
    handler(needs, ({ service, audit }): does.Answer => ({ items: service.list(), audit })),
  );
  return app;
}
