import { isStewardError } from "@steward/core";
import { from, handler, HttpError } from "@steward/fastify";
import type { FastifyInstance } from "fastify";
import { uploadLimit } from "../resources/limits.ts";
import { permitted } from "../users/auth.ts";
import { trainingJobs, type TrainingJob } from "./jobs.ts";

const wish = from.body("wish", {
  type: "object",
  additionalProperties: false,
  properties: {
    epochs: { type: "integer", minimum: 1, maximum: 200, description: "how often all videos are seen" },
    seed: { type: "integer", minimum: 0, maximum: 4_294_967_294, description: "where its chance comes from" },
  },
});
const id = from.path("id", { type: "string", pattern: "^[a-z0-9][a-z0-9-]*$", maxLength: 80 });

const PATH = "/api/v1/training-jobs";
const tags = ["training"];
const me = permitted("training:run");

/** `POST` and `GET /api/v1/training-jobs`, `GET` and `DELETE /api/v1/training-jobs/:id`. */
export function trainingRoutes(app: FastifyInstance): void {
  app.post(
    PATH,
    {
      schema: {
        tags,
        summary: "Trains the score model in the background; while that goes on, asking again gives the same job",
        response: { 202: { description: "the job" } },
      },
    },
    handler({ limit: uploadLimit, me, jobs: trainingJobs, wish }, async ({ jobs, wish }, _request, reply) => {
      const job = await jobs.open(wish).catch(unavailable);
      reply.code(202).header("location", `${PATH}/${job.id}`);
      return job;
    }),
  );

  app.get(
    PATH,
    { schema: { tags, summary: "The last hundred trainings, newest first" } },
    handler({ me, jobs: trainingJobs }, async ({ jobs }) => ({ items: await jobs.list() })),
  );

  app.get(
    `${PATH}/:id`,
    { schema: { tags, summary: "How a training goes, or went" } },
    handler({ me, jobs: trainingJobs, id }, async ({ jobs, id }) => known(id, await jobs.find(id))),
  );

  app.delete(
    `${PATH}/:id`,
    {
      schema: {
        tags,
        summary: "Cancels a training, which ends after its step; forgets one that is over",
        response: { 202: { description: "the job, which was open" }, 204: { description: "it is forgotten" } },
      },
    },
    handler({ me, jobs: trainingJobs, id }, async ({ jobs, id }, _request, reply) => {
      if (await jobs.remove(id)) return void reply.code(204);
      reply.code(202);
      return known(id, await jobs.cancel(id));
    }),
  );
}

function known(id: string, job: TrainingJob | undefined): TrainingJob {
  if (job === undefined) throw new HttpError(404, `there is no training ${id}`);
  return job;
}

/** The rest of Clips works without the engine, which is optional. */
function unavailable(error: unknown): never {
  if (!isStewardError(error, "TRAINING_ENGINE_MISSING")) throw error;
  const detail = "models cannot be trained here: the engine that does it is not installed";
  throw new HttpError(503, detail, { cause: error, code: error.code });
}
