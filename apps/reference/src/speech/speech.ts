import { buffer } from "node:stream/consumers";
import { isStewardError, resource } from "@steward/core";
import type { Database } from "@steward/database";
import type { HttpSession } from "@steward/http";
import { eq } from "drizzle-orm";
import { models, type Models } from "../models/models.ts";
import { downloads } from "../resources/http.ts";
import { db } from "../resources/stores.ts";
import type { ShownVideo } from "../videos/cached.ts";
import { media, type Media } from "../videos/media.ts";
import { likelihoods, segmentsOf, type Segment } from "./detect.ts";
import { speech as table } from "./table.ts";
import { Wav } from "./wav.ts";

/** Where in a video somebody speaks. */
export interface FoundSpeech {
  readonly durationMs: number;
  readonly segments: readonly Segment[];
}

const WAV_TYPES = /^audio\/(?:x-|vnd\.)?wave?\b/i;

/** Finds speech in the sound of videos: in WAV files of PCM, which were uploaded or are fetched. */
export class Speech {
  readonly #db: Database;
  readonly #media: Media;
  readonly #models: Models;
  readonly #downloads: HttpSession;

  constructor(database: Database, media: Media, models: Models, downloads: HttpSession) {
    this.#db = database;
    this.#media = media;
    this.#models = models;
    this.#downloads = downloads;
  }

  /** Listens to a video, where there is sound to listen to and an engine to do it. What it finds is kept once, however often. */
  async listen(video: Pick<ShownVideo, "id" | "sourceUrl">, signal: AbortSignal): Promise<void> {
    if (!this.#models.areInstalled) return;
    const content = await this.#contentOf(video, signal);
    const sound = content === undefined ? undefined : Wav.read(content);
    if (sound === undefined) return;
    const likely = await this.#models.use("voice", (voice) => likelihoods(voice, sound, signal));
    const { durationMs } = sound;
    const found = { durationMs, segments: [...segmentsOf(likely, durationMs)] };
    await this.#db
      .insert(table)
      .values({ videoId: video.id, ...found })
      .onConflictDoUpdate({ target: table.videoId, set: found });
  }

  /** What was found in a video; `undefined` where nothing was listened to. */
  async find(videoId: string): Promise<FoundSpeech | undefined> {
    const { durationMs, segments } = table;
    const [found] = await this.#db.select({ durationMs, segments }).from(table).where(eq(table.videoId, videoId));
    return found;
  }

  async #contentOf({ id, sourceUrl }: Pick<ShownVideo, "id" | "sourceUrl">, signal: AbortSignal) {
    if (sourceUrl.startsWith("/")) {
      const { type = "", size = 0 } = (await this.#media.find(id)) ?? {};
      return WAV_TYPES.test(type) ? buffer(this.#media.read(id, 0, size - 1)) : undefined;
    }
    try {
      const { statusCode, headers, body } = await this.#downloads.request(new URL(sourceUrl), { signal });
      if (statusCode === 200 && WAV_TYPES.test(String(headers["content-type"]))) return Buffer.from(await body.bytes());
      await body.dump();
    } catch (error) {
      // No one is asked who is not on the list, and no one is heard who talks too long.
      if (!isStewardError(error, "HTTP_ORIGIN_REFUSED") && !isStewardError(error, "HTTP_RESPONSE_TOO_LARGE"))
        throw error;
    }
    return undefined;
  }
}

/** What speech there is in videos. */
export const speech = resource("speech", {
  needs: { db, media, models, downloads },
  start: ({ db, media, models, downloads }) => new Speech(db, media, models, downloads),
});
