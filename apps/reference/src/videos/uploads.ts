import { from, handler, HttpError, stream } from "@steward/fastify";
import type { FastifyInstance } from "fastify";
import { uploadLimit } from "../resources/limits.ts";
import { permitted } from "../users/auth.ts";
import { title as titleSchema, video, videoId as id } from "./input.ts";
import { media } from "./media.ts";
import { isKnown, partOf } from "./range.ts";
import { MOST_MEDIA_BYTES } from "./table.ts";
import { videos } from "./videos.ts";

/** What browsers play and never show as a page, as they would what ends in +xml. */
const TYPE = /^(audio|video)\/[a-z0-9][a-z0-9.-]{0,60}$/;

const title = from.form("title", titleSchema);
const file = from.file("file", { maxBytes: MOST_MEDIA_BYTES, description: "audio or video, of 16 MiB at most" });

const PATH = "/api/v1/uploads";
const tags = ["videos"];

/** A stranger's bytes are played, and nothing else whatever they hold. */
const OF_STRANGERS = {
  "x-content-type-options": "nosniff",
  "content-security-policy": "default-src 'none'; sandbox",
  "cache-control": "private, max-age=3600",
};

/** `POST` and `GET /api/v1/uploads`, `GET /api/v1/videos/:id/media`, `DELETE /api/v1/videos/:id`. */
export function uploadRoutes(app: FastifyInstance): void {
  app.post(
    PATH,
    {
      schema: {
        tags,
        summary: "Uploads a video or sound, as a form",
        response: { 201: { description: "the new video" } },
      },
    },
    handler(
      { limit: uploadLimit, me: permitted("videos:upload"), media, title, file },
      async ({ me, media, title, file: { mimetype, content } }, _request, reply) => {
        const type = mimetype.toLowerCase();
        if (!TYPE.test(type)) throw new HttpError(415, "a file of a type audio/... or video/... is expected");
        if (content.length === 0) throw new HttpError(422, "the file is empty");
        const added = await media.add({ owner: me.subject, title, type, content });
        reply.code(201).header("location", `/api/v1/videos/${added.id}`);
        return added;
      },
    ),
  );

  app.get(
    PATH,
    { schema: { tags, summary: "The ids of the videos that you have uploaded, which you may delete" } },
    handler({ me: permitted("videos:upload"), media }, async ({ me, media }) => ({
      items: await media.of(me.subject),
    })),
  );

  mediaRoute(app);

  app.delete(
    "/api/v1/videos/:id",
    {
      schema: {
        tags,
        summary: "Deletes a video that you have uploaded, with all that belongs to it; its processing ends",
        response: { 204: { description: "it is gone" } },
      },
    },
    handler(
      { me: permitted("videos:upload"), video, media, videos },
      async ({ me, video, media, videos }, _request, reply) => {
        const uploaded = await media.find(video.id);
        if (uploaded?.owner !== me.subject) throw new HttpError(403, "only who has uploaded a video may delete it");
        await videos.remove(video.id);
        reply.code(204);
      },
    ),
  );
}

function mediaRoute(app: FastifyInstance): void {
  app.get(
    "/api/v1/videos/:id/media",
    { schema: { tags, summary: "What was uploaded, or the part of it that a Range header names" } },
    handler({ media, id }, async ({ media, id }, { method, headers }, reply) => {
      const found = await media.find(id);
      if (found === undefined) throw new HttpError(404, `nothing was uploaded for a video ${id}`);
      const { type, size } = found;
      const etag = `"${id.toLowerCase()}"`; // another upload is another video
      reply.headers({ ...OF_STRANGERS, etag, "accept-ranges": "bytes" });
      if (isKnown(headers["if-none-match"], etag)) return void reply.code(304);
      const { range, "if-range": ifRange = etag } = headers;
      const part = method === "GET" && ifRange === etag ? partOf(range, size) : undefined;
      const { start, end } = part ?? { start: 0, end: size - 1 };
      reply.header("content-length", end - start + 1).type(type);
      const whole = stream(media.read(id, start, end), { contentType: type });
      if (part === undefined) return whole;
      reply.header("content-range", `bytes ${start}-${end}/${size}`);
      return new Response(whole.body, { status: 206, headers: whole.headers });
    }),
  );
}
