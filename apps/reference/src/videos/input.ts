import { from, HttpError, perRequest } from "@steward/fastify";
import { videos } from "./videos.ts";

/** What a video may be called: Postgres refuses the character 0 in a text. */
export const title = {
  type: "string",
  minLength: 1,
  maxLength: 200,
  pattern: "^[^\\u0000]*[^\\s\\u0000][^\\u0000]*$",
  description: "more than spaces, without U+0000",
} as const;

/** Which video a path is about. */
export const videoId = from.path("id", { type: "string", format: "uuid", maxLength: 36 });

/** The video that a path is about; 404 where there is none. */
export const video = perRequest("video", { videos, id: videoId }, async ({ videos, id }) => {
  const found = await videos.find(id);
  if (found === undefined) throw noVideo(id);
  return found;
});

/** What somebody learns who asks for a video that is not there, or no more. */
export function noVideo(id: string): HttpError {
  return new HttpError(404, `there is no video ${id}`);
}
