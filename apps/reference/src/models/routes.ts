import { from, handler, HttpError } from "@steward/fastify";
import type { FastifyInstance } from "fastify";
import { SCORE } from "../training/score.ts";
import { videos } from "../videos/videos.ts";
import { featuresOf } from "./features.ts";
import { MODEL_NAMES, models, type ModelName } from "./models.ts";

const PATH = "/api/v1/models";
const tags = ["models"];
const name = from.path("name", { type: "string", enum: [...MODEL_NAMES] });
const id = from.path("id", { type: "string", format: "uuid", maxLength: 36 });

/** `GET /api/v1/models`, `GET /api/v1/models/:name`, `GET /api/v1/videos/:id/score`. */
export function modelRoutes(app: FastifyInstance): void {
  app.get(
    PATH,
    { schema: { tags, summary: "The models of this instance: versions, device and health" } },
    handler({ models }, async ({ models }) => ({ items: await models.list() })),
  );

  app.get(
    `${PATH}/:name`,
    { schema: { tags, summary: "One model, after a run whose outputs are known; it is loaded where it is not" } },
    handler({ models, name }, ({ models, name }) => models.check(name as ModelName)), // the schema says so
  );

  app.get(
    "/api/v1/videos/:id/score",
    { schema: { tags, summary: "How likely a video is watched to its end, by the model that was trained last" } },
    handler({ models, videos, id }, async ({ models, videos, id }) => {
      const video = await videos.find(id);
      if (video === undefined) throw new HttpError(404, `there is no video ${id}`);
      return models.use("score", async (model) => {
        const { version } = model;
        const data = featuresOf(video);
        const { score } = await model.run({ features: { type: "float32", shape: [1, SCORE.inputs], data } });
        return { score: Number(score?.data[0]), version: Number(version) };
      });
    }),
  );
}
