import type { FastifyInstance } from "fastify";
import { withNeeds, type Entrance } from "../glue.ts";
import { ApiError } from "../problem.ts";
import type { NewVideo } from "./table.ts";
import { videos } from "./videos.ts";

const newVideo = {
  type: "object",
  additionalProperties: false,
  required: ["title", "sourceUrl"],
  properties: {
    title: { type: "string", minLength: 1, maxLength: 200, pattern: "\\S", description: "more than spaces" },
    description: { type: "string", maxLength: 5_000 },
    sourceUrl: {
      type: "string",
      maxLength: 2_000,
      pattern: "^https?://[^\\s/]",
      description: "an http: or https: URL",
    },
    durationMs: { type: "integer", minimum: 1, maximum: 2_147_483_647 },
  },
} as const;

const page = {
  type: "object",
  additionalProperties: false,
  properties: {
    limit: { type: "string", pattern: "^([1-9]\\d?|100)$", default: "20", description: "a whole number from 1 to 100" },
    cursor: { type: "string", maxLength: 200 },
  },
} as const;

const byId = {
  type: "object",
  properties: {
    id: { type: "string", pattern: "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$", description: "a UUID" },
  },
} as const;

const PATH = "/api/v1/videos";

/** `POST` and `GET /api/v1/videos`, `GET /api/v1/videos/:id`. */
export function videoRoutes(app: FastifyInstance, way: Entrance): void {
  app.post(PATH, {
    schema: { body: newVideo },
    handler: withNeeds(way, { videos }, async ({ videos }, request, reply) => {
      const added = await videos.add(withoutNul(request.body as NewVideo)); // the schema says so
      reply.code(201).header("location", `${PATH}/${added.id}`);
      return added;
    }),
  });

  app.get(PATH, {
    schema: { querystring: page },
    handler: withNeeds(way, { videos }, async ({ videos }, request) => {
      const { limit, cursor } = request.query as { limit: string; cursor?: string }; // the schema says so
      const found = await videos.list(Number(limit), cursor);
      if (found === undefined) throw new ApiError(400, "the cursor is not one that this API gave");
      return found;
    }),
  });

  app.get(`${PATH}/:id`, {
    schema: { params: byId },
    handler: withNeeds(way, { videos }, async ({ videos }, request, reply) => {
      const { id } = request.params as { id: string }; // the schema says so
      const { video, foundIn } = await videos.find(id);
      if (video === undefined) throw new ApiError(404, `there is no video ${id}`);
      reply.header("x-cache", foundIn);
      return video;
    }),
  });
}

/** Postgres refuses the character 0 in a text. */
function withoutNul(video: NewVideo): NewVideo {
  for (const text of [video.title, video.description, video.sourceUrl])
    if (text?.includes("\0") === true) throw new ApiError(400, "texts must not hold the character U+0000");
  return video;
}
