import { randomUUID } from "node:crypto";
import type { Cache } from "@steward/cache";
import { resource } from "@steward/core";
import type { Database } from "@steward/database";
import { eq } from "drizzle-orm";
import { db } from "../resources/stores.ts";
import { answers, PAGES } from "./cached.ts";
import { media as table, videos, type Video } from "./table.ts";

/** What somebody has uploaded. */
export interface Upload {
  readonly title: string;
  /** Such as `audio/wav`. */
  readonly type: string;
  readonly content: Buffer;
}

/** Where the bytes of an uploaded video are. */
export function mediaPath(videoId: string): string {
  return `/api/v1/videos/${videoId}/media`;
}

/** What was uploaded: rows in Postgres, so that every instance has them. */
export class Media {
  readonly #db: Database;
  readonly #answers: Pick<Cache<never>, "invalidate">;

  constructor(database: Database, answers: Pick<Cache<never>, "invalidate">) {
    this.#db = database;
    this.#answers = answers;
  }

  /** A new video and its bytes: both or neither. */
  async add({ title, type, content }: Upload): Promise<Video> {
    const id = randomUUID();
    const video = await this.#db.transaction(async (tx) => {
      const [added] = await tx
        .insert(videos)
        .values({ id, title, sourceUrl: mediaPath(id) })
        .returning();
      await tx.insert(table).values({ videoId: id, type, content });
      return added;
    });
    if (video === undefined) throw new Error("the database returned no row for a new video");
    await this.#answers.invalidate(PAGES); // the rows are committed
    return video;
  }

  async find(videoId: string): Promise<Pick<Upload, "type" | "content"> | undefined> {
    const { type, content } = table;
    const [found] = await this.#db.select({ type, content }).from(table).where(eq(table.videoId, videoId));
    return found;
  }
}

/** What was uploaded to Clips. */
export const media = resource("media", {
  needs: { db, answers },
  start: ({ db, answers }) => new Media(db, answers),
});
