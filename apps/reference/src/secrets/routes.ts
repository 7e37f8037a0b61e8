import type { FastifyInstance } from "fastify";
import { withNeeds, type Entrance } from "../glue.ts";
import { ApiError } from "../problem.ts";
import { secrets } from "./secrets.ts";

const name = { type: "string", minLength: 1, maxLength: 200, pattern: "\\S", description: "more than spaces" } as const;
const value = { type: "string", minLength: 1, maxLength: 10_000 } as const;

const newSecret = {
  type: "object",
  additionalProperties: false,
  required: ["name", "value"],
  properties: { name, value },
} as const;

const byName = { type: "object", additionalProperties: false, properties: { name } } as const;
const byValue = { type: "object", additionalProperties: false, required: ["value"], properties: { value } } as const;

const byId = {
  type: "object",
  properties: {
    id: { type: "string", pattern: "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$", description: "a UUID" },
  },
} as const;

const PATH = "/api/v1/secrets";

/** `POST` and `GET /api/v1/secrets`, `GET /api/v1/secrets/:id`, `POST /api/v1/secrets/search`. */
export function secretRoutes(app: FastifyInstance, way: Entrance): void {
  app.addHook("onRequest", async ({ url }, reply) => {
    if (url.startsWith(PATH)) reply.header("cache-control", "no-store");
  });

  app.post(PATH, {
    schema: { body: newSecret },
    handler: withNeeds(way, { secrets }, async ({ secrets }, request, reply) => {
      const added = await secrets.add(request.body as { name: string; value: string }); // the schema says so
      reply.code(201).header("location", `${PATH}/${added.id}`);
      return added;
    }),
  });

  app.get(PATH, {
    schema: { querystring: byName },
    handler: withNeeds(way, { secrets }, async ({ secrets }, request) => {
      const { name } = request.query as { name?: string }; // the schema says so
      return { items: await (name === undefined ? secrets.list() : secrets.with("name", name)) };
    }),
  });

  // A value in a URL would end up in the logs of everything on the way.
  app.post(`${PATH}/search`, {
    schema: { body: byValue },
    handler: withNeeds(way, { secrets }, async ({ secrets }, request) => {
      const { value } = request.body as { value: string }; // the schema says so
      return { items: await secrets.with("value", value) };
    }),
  });

  app.get(`${PATH}/:id`, {
    schema: { params: byId },
    handler: withNeeds(way, { secrets }, async ({ secrets }, request) => {
      const { id } = request.params as { id: string }; // the schema says so
      const found = await secrets.find(id);
      if (found === undefined) throw new ApiError(404, `there is no secret ${id}`);
      return found;
    }),
  });
}
