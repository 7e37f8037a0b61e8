import { from, HttpError, perRequest } from "@steward/fastify";
import { videos } from "./videos.ts";

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
