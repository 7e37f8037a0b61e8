import { from, handler, HttpError } from "@steward/fastify";
import type { FastifyInstance } from "fastify";
import { permitted } from "../users/auth.ts";
import { secrets } from "./secrets.ts";

const text = { type: "string", minLength: 1, maxLength: 200, pattern: "\\S", description: "more than spaces" } as const;
const whole = { pattern: "^[^\\ud800-\\udfff]*$", description: "text without half a character" } as const;
const value = { type: "string", minLength: 1, maxLength: 10_000, ...whole } as const;

const newSecret = from.body("secret", {
  type: "object",
  additionalProperties: false,
  required: ["name", "value"],
  properties: { name: text, value },
});

const search = from.body("search", {
  type: "object",
  additionalProperties: false,
  required: ["value"],
  properties: { value },
});

const name = from.query("name", text, { required: false });
const id = from.path("id", { type: "string", format: "uuid", maxLength: 36 });

const PATH = "/api/v1/secrets";
const tags = ["secrets"];

/** `POST` and `GET /api/v1/secrets`, `GET /api/v1/secrets/:id`, `POST /api/v1/secrets/search`. */
export async function secretRoutes(app: FastifyInstance): Promise<void> {
  app.addHook("onRequest", async (_request, reply) => void reply.header("cache-control", "no-store"));

  app.post(
    PATH,
    {
      schema: { tags, summary: "Keeps a secret", response: { 201: { description: "the secret, without its value" } } },
    },
    handler({ me: permitted("secrets:write"), secrets, newSecret }, async ({ secrets, newSecret }, _request, reply) => {
      const added = await secrets.add(newSecret);
      reply.code(201).header("location", `${PATH}/${added.id}`);
      return added;
    }),
  );

  app.get(
    PATH,
    { schema: { tags, summary: "Secrets without their values, newest first" } },
    handler({ me: permitted("secrets:list"), secrets, name }, async ({ secrets, name }) => ({
      items: await (name === undefined ? secrets.list() : secrets.with("name", name)),
    })),
  );

  // A value in a URL would end up in the logs of everything on the way.
  app.post(
    `${PATH}/search`,
    { schema: { tags, summary: "Which secrets have that value" } },
    handler({ me: permitted("secrets:read"), secrets, search }, async ({ secrets, search }) => ({
      items: await secrets.with("value", search.value),
    })),
  );

  app.get(
    `${PATH}/:id`,
    { schema: { tags, summary: "One secret with its value" } },
    handler({ me: permitted("secrets:read"), secrets, id }, async ({ secrets, id }) => {
      const found = await secrets.find(id);
      if (found === undefined) throw new HttpError(404, `there is no secret ${id}`);
      return found;
    }),
  );
}
