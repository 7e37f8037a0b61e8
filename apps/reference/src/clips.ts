import { container } from "@steward/container";
import { limiter } from "./resources/limits.ts";
import { socketEnds } from "./processing/hub.ts";
import { jobs } from "./processing/jobs.ts";
import { processor } from "./processing/processor.ts";
import { crypto } from "./crypto/backend.ts";
import { http } from "./resources/http.ts";
import { cache } from "./resources/stores.ts";
import { mail } from "./resources/mail.ts";
import { models } from "./models/models.ts";
import { audit, secrets } from "./secrets/secrets.ts";
import { server } from "./server/server.ts";
import { speech } from "./speech/speech.ts";
import { trainingJobs } from "./training/jobs.ts";
import { demoUser } from "./users/demo.ts";
import { media } from "./videos/media.ts";
import { videos } from "./videos/videos.ts";

/** The first start makes a Postgres, in ms; a deployment waits longer than this. */
export const START_TIMEOUT_MS = 90_000;

/** Clips, all of it: the server, what its routes need, what works in the background, and what these need. */
export const clips = container(
  [
    server,
    videos,
    media,
    jobs,
    processor,
    secrets,
    cache,
    limiter,
    http,
    crypto,
    audit,
    demoUser,
    mail,
    socketEnds,
    trainingJobs,
    models,
    speech,
  ],
  {
    name: "clips",
    startTimeoutMs: START_TIMEOUT_MS,
  },
);
