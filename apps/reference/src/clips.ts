import { container } from "@steward/container";
import { cache, crypto, http } from "./resources.ts";
import { secrets } from "./secrets/secrets.ts";
import { server } from "./server.ts";
import { videos } from "./videos/videos.ts";

/** Clips, all of it: the server, what its routes need, and what that needs. */
export const clips = container([server, videos, secrets, cache, http, crypto], {
  name: "clips",
  startTimeoutMs: 90_000,
});
