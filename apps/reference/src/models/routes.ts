import { from, handler } from "@steward/fastify";
import type { FastifyInstance } from "fastify";
import { SCORE } from "../training/score.ts";
import type { ShownVideo } from "../videos/cached.ts";
import { video } from "../videos/input.ts";
import { MODEL_NAMES, models, type ModelName } from "./models.ts";

const PATH = "/api/v1/models";
const tags = ["models"];
const name = from.path("name", { type: "string", enum: [...MODEL_NAMES] });

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
    handler({ models, video }, ({ models, video }) =>
      models.use("score", async (model) => {
        const { version } = model;
        const data = featuresOf(video);
        const { score } = await model.run({ features: { type: "float32", shape: [1, SCORE.inputs], data } });
        return { score: Number(score?.data[0]), version: Number(version) };
      }),
    ),
  );
}

const USUAL_MINUTES = 10;
const USUAL_TITLE = 40;

/** A video as the numbers that the score model learned from, each from -1 to 1. */
function featuresOf({ durationMs, title, description, createdAt }: ShownVideo): Float32Array {
  const minutes = durationMs === null ? 0 : within(durationMs / 60_000 / USUAL_MINUTES - 1);
  const hour = (new Date(createdAt).getUTCHours() / 24) * 2 * Math.PI;
  const features = [minutes, within(title.length / USUAL_TITLE - 1), description === null ? 0 : 1, Math.sin(hour)];
  return Float32Array.from({ length: SCORE.inputs }, (_, at) => [...features, Math.cos(hour), 0][at] ?? 0);
}

function within(value: number): number {
  return Math.min(1, Math.max(-1, value));
}
