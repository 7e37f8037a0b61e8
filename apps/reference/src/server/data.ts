import { isStewardError } from "@steward/core";
import { from, handler, HttpError, InvalidInput } from "@steward/fastify";
import type { FastifyInstance } from "fastify";
import { http } from "../resources/http.ts";

const url = from.query(
  "url",
  { type: "string", maxLength: 2_000, pattern: "^https?://" },
  { description: "an http: or https: URL" },
);

const schema = { tags: ["data"], summary: "Fetches from an origin on the allow list" };

/** `GET /api/data?url=`: fetches from an origin on the allow list through the shared session. */
export function dataRoute(app: FastifyInstance): void {
  app.get(
    "/api/data",
    { schema },
    handler({ http, url }, async ({ http, url }) => {
      if (!URL.canParse(url))
        throw new InvalidInput([{ path: ["query", "url"], code: "url", message: "Input should be a valid URL" }]);
      try {
        const { statusCode, headers, body } = await http.request(new URL(url));
        return { url, status: statusCode, contentType: headers["content-type"], body: await body.text() };
      } catch (error) {
        throw isStewardError(error)
          ? error
          : new HttpError(502, "the other service could not be reached", { cause: error });
      }
    }),
  );
}
