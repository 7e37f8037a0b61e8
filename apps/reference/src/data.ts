import { isStewardError } from "@steward/core";
import type { FastifyInstance } from "fastify";
import { withNeeds, type Entrance } from "./glue.ts";
import { ApiError } from "./problem.ts";
import { http } from "./resources.ts";

const query = {
  type: "object",
  additionalProperties: false,
  required: ["url"],
  properties: {
    url: { type: "string", maxLength: 2_000, pattern: "^https?://", description: "an http: or https: URL" },
  },
} as const;

/** `GET /api/data?url=`: fetches from an origin on the allow list through the shared session. */
export function dataRoute(app: FastifyInstance, way: Entrance): void {
  app.get("/api/data", {
    schema: { querystring: query },
    handler: withNeeds(way, { http }, async ({ http }, request) => {
      const { url } = request.query as { url: string }; // the schema says so
      if (!URL.canParse(url)) throw new ApiError(400, "url is not a URL");
      try {
        const { statusCode, headers, body } = await http.request(new URL(url));
        return { url, status: statusCode, contentType: headers["content-type"], body: await body.text() };
      } catch (error) {
        throw isStewardError(error)
          ? error
          : new ApiError(502, "the other service could not be reached", { cause: error });
      }
    }),
  });
}
