import { from, handler, HttpError } from "@steward/fastify";
import type { FastifyInstance } from "fastify";
import { uploadLimit } from "../resources/limits.ts";
import { permitted } from "../users/auth.ts";
import { videoId as id } from "./input.ts";
import { media } from "./media.ts";
import { MOST_MEDIA_BYTES } from "./table.ts";

/** What browsers play and never show as a page, as they would what ends in +xml. */
const TYPE = /^(audio|video)\/[a-z0-9][a-z0-9.-]{0,60}$/;

const title = from.form("title", {
  type: "string",
  minLength: 1,
  maxLength: 200,
  pattern: "^[^\\u0000]*[^\\s\\u0000][^\\u0000]*$",
  description: "more than spaces",
});
const file = from.file("file", { maxBytes: MOST_MEDIA_BYTES, description: "audio or video, of 16 MiB at most" });

const tags = ["videos"];

/** `POST /api/v1/uploads`, `GET /api/v1/videos/:id/media`. */
export function uploadRoutes(app: FastifyInstance): void {
  app.post(
    "/api/v1/uploads",
    {
      schema: {
        tags,
        summary: "Uploads a video or sound, as a form",
        response: { 201: { description: "the new video" } },
      },
    },
    handler(
      { limit: uploadLimit, me: permitted("videos:upload"), media, title, file },
      async ({ media, title, file: { mimetype, content } }, _request, reply) => {
        const type = mimetype.toLowerCase();
        if (!TYPE.test(type)) throw new HttpError(415, "a file of a type audio/... or video/... is expected");
        if (content.length === 0) throw new HttpError(422, "the file is empty");
        const added = await media.add({ title, type, content });
        reply.code(201).header("location", `/api/v1/videos/${added.id}`);
        return added;
      },
    ),
  );

  app.get(
    "/api/v1/videos/:id/media",
    { schema: { tags, summary: "What was uploaded" } },
    handler({ media, id }, async ({ media, id }, _request, reply) => {
      const found = await media.find(id);
      if (found === undefined) throw new HttpError(404, `nothing was uploaded for a video ${id}`);
      // A stranger's bytes are played, and nothing else whatever they hold.
      reply
        .type(found.type)
        .header("x-content-type-options", "nosniff")
        .header("cache-control", "private, max-age=3600");
      reply.header("content-security-policy", "default-src 'none'; sandbox");
      return found.content;
    }),
  );
}
