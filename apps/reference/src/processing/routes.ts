import { from, handler, HttpError } from "@steward/fastify";
import type { FastifyInstance } from "fastify";
import { uploadLimit } from "../resources/limits.ts";
import { video, videoId as id } from "../videos/input.ts";
import { speech } from "../speech/speech.ts";
import { jobs, publicJob } from "./jobs.ts";

const PATH = "/api/v1/videos/:id/process";
const tags = ["processing"];

const ids = from.query("video", {
  type: "array",
  minItems: 1,
  maxItems: 100,
  items: { type: "string", format: "uuid", maxLength: 36 },
});

/** `POST` and `GET /api/v1/videos/:id/process`, `GET /api/v1/processing-jobs`. */
export function processingRoutes(app: FastifyInstance): void {
  app.post(
    PATH,
    {
      schema: {
        tags,
        summary: "Has a video processed; while that goes on, asking again changes nothing",
        response: { 202: { description: "the job" } },
      },
    },
    handler({ limit: uploadLimit, video, jobs }, async ({ video, jobs }, _request, reply) => {
      reply.code(202).header("location", PATH.replace(":id", video.id));
      return publicJob(await jobs.open(video.id));
    }),
  );

  app.get(
    PATH,
    { schema: { tags, summary: "How the processing of a video goes, or went the last time" } },
    handler({ jobs, speech, id }, async ({ jobs, speech, id }) => {
      const job = await jobs.last(id);
      if (job === undefined) throw new HttpError(404, `no one has had a video ${id} processed`);
      const found = job.status === "done" ? await speech.find(id) : undefined;
      return found === undefined ? publicJob(job) : { ...publicJob(job), speech: found };
    }),
  );

  app.get(
    "/api/v1/processing-jobs",
    { schema: { tags, summary: "The last job of each of these videos that has one: what a list of videos shows" } },
    handler({ jobs, ids }, async ({ jobs, ids }) => ({ items: (await jobs.lastOf(ids as string[])).map(publicJob) })),
  );
}
