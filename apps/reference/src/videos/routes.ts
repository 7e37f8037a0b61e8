import { from, handler, InvalidInput, stream } from "@steward/fastify";
import { leadsInside } from "@steward/http";
import type { FastifyInstance } from "fastify";
import { uploadLimit } from "../resources/limits.ts";
import { jobs } from "../processing/jobs.ts";
import { answers, PAGES } from "./cached.ts";
import { title, video } from "./input.ts";
import type { NewVideo } from "./table.ts";
import { videos, type Videos } from "./videos.ts";

const newVideo = from.body("video", {
  type: "object",
  additionalProperties: false,
  required: ["title", "sourceUrl"],
  properties: {
    title,
    description: { type: "string", maxLength: 5_000, pattern: "^[^\\u0000]*$", description: "text without U+0000" },
    sourceUrl: {
      type: "string",
      maxLength: 2_000,
      pattern: "^https?://[^\\s/\\u0000][^\\u0000]*$",
      description: "an http: or https: URL",
    },
    durationMs: { type: "integer", minimum: 1, maximum: 2_147_483_647 },
    process: { type: "boolean", description: "has it processed too" },
  },
});

/** A video as callers post it. */
type PostedVideo = NewVideo & { readonly process?: boolean };

const limit = from.query("limit", { type: "integer", minimum: 1, maximum: 100, default: 20 });
const cursor = from.query(
  "cursor",
  { type: "string", maxLength: 200 },
  { required: false, description: "`next` of the page before" },
);

const PATH = "/api/v1/videos";
const tags = ["videos"];

const PAGE = 100;

/** All videos, newest first, each as a line; no more than a page of them is in memory. */
async function* linesOf(videos: Videos): AsyncGenerator<string, void, void> {
  for (let cursor: string | undefined, isFirst = true; isFirst || cursor !== undefined; isFirst = false) {
    const page = await videos.list(PAGE, cursor);
    for (const video of page?.items ?? []) yield `${JSON.stringify(video)}\n`;
    cursor = page?.next;
  }
}

/** `POST` and `GET /api/v1/videos`, `GET /api/v1/videos/export`, `GET /api/v1/videos/:id`. */
export function videoRoutes(app: FastifyInstance): void {
  app.post(
    PATH,
    { schema: { tags, summary: "Adds a video", response: { 201: { description: "the new video" } } } },
    handler({ limit: uploadLimit, videos, jobs, newVideo }, async ({ videos, jobs, newVideo }, _request, reply) => {
      const { process = false, ...video } = fromOutside(newVideo);
      const added = await videos.add(video, async (id, within) => process && jobs.queue(id, within));
      if (process) jobs.wake();
      reply.code(201).header("location", `${PATH}/${added.id}`);
      return added;
    }),
  );

  app.get(
    PATH,
    { schema: { tags, summary: "Videos, newest first" } },
    handler(
      { videos, limit, cursor },
      async ({ videos, limit, cursor }) => {
        const found = await videos.list(limit, cursor);
        if (found === undefined)
          throw new InvalidInput([
            { path: ["query", "cursor"], code: "cursor", message: "Input should be a cursor that this API gave" },
          ]);
        return found;
      },
      { cacheResponse: { cache: answers, shared: true, tags: [PAGES] } },
    ),
  );

  app.get(
    `${PATH}/export`,
    { schema: { tags, summary: "All videos, newest first: a stream of JSON, one in each line" } },
    handler({ videos }, ({ videos }) => stream(linesOf(videos), { contentType: "application/x-ndjson" })),
  );

  app.get(
    `${PATH}/:id`,
    { schema: { tags, summary: "One video, read through the cache" } },
    handler({ video }, ({ video }) => video),
  );
}

/** A renderer fetches it later, from inside. */
function fromOutside(video: PostedVideo): PostedVideo {
  if (!leadsInside(video.sourceUrl)) return video;
  throw new InvalidInput([
    { path: ["body", "sourceUrl"], code: "address", message: "URL should lead to a public address" },
  ]);
}
