import { randomUUID } from "node:crypto";
import type { Cache } from "@steward/cache";
import { resource } from "@steward/core";
import type { Database } from "@steward/database";
import { HttpError } from "@steward/fastify";
import { count, eq, sql } from "drizzle-orm";
import { db } from "../resources/stores.ts";
import { settings, type Settings } from "../settings.ts";
import { users } from "../users/table.ts";
import { answers, PAGES } from "./cached.ts";
import { media as table, videos, type Video } from "./table.ts";

/** What somebody uploads. */
export interface Upload {
  /** Whose quota it counts for. */
  readonly owner: string;
  readonly title: string;
  /** Such as `audio/wav`. */
  readonly type: string;
  readonly content: Buffer;
}

/** What was uploaded, without its bytes. */
export interface StoredMedia extends Pick<Upload, "type"> {
  /** `null` where its user is gone. */
  readonly owner: string | null;
  /** In bytes. */
  readonly size: number;
}

/** Bytes that are read, and sent, at a time. */
const PIECE = 256 * 1024;
const size = sql`octet_length(${table.content})`;

/** Where the bytes of an uploaded video are. */
function mediaPath(videoId: string): string {
  return `/api/v1/videos/${videoId}/media`;
}

/** What was uploaded: rows in Postgres, so that every instance has them. */
export class Media {
  readonly #db: Database;
  readonly #answers: Pick<Cache<never>, "invalidate">;
  readonly #quota: Settings["quota"];

  constructor(database: Database, answers: Pick<Cache<never>, "invalidate">, quota: Settings["quota"]) {
    this.#db = database;
    this.#answers = answers;
    this.#quota = quota;
  }

  /** A new video and its bytes: both or neither. @throws {HttpError} 413 where its owner has no room for it. */
  async add({ owner, title, type, content }: Upload): Promise<Video> {
    const id = randomUUID();
    const video = await this.#db.transaction(async (tx) => {
      await this.#makeSureOfRoom(tx, owner, content.length);
      const [added] = await tx
        .insert(videos)
        .values({ id, title, sourceUrl: mediaPath(id) })
        .returning();
      await tx.insert(table).values({ videoId: id, owner, type, content });
      return added;
    });
    if (video === undefined) throw new Error("the database returned no row for a new video");
    await this.#answers.invalidate(PAGES); // the rows are committed
    return video;
  }

  /** Until the transaction ends no other upload of the same user is counted, at whichever instance. */
  async #makeSureOfRoom(tx: Pick<Database, "select">, owner: string, bytes: number): Promise<void> {
    await tx.select({ id: users.id }).from(users).where(eq(users.id, owner)).for("no key update");
    const sum = sql`coalesce(sum(${size}), 0)`.mapWith(Number);
    const [held = { uploads: 0, sum: 0 }] = await tx
      .select({ uploads: count(), sum })
      .from(table)
      .where(eq(table.owner, owner));
    const { uploads, bytes: most } = this.#quota;
    if (held.uploads >= uploads)
      throw noRoom(`you have uploaded ${held.uploads} files, of ${uploads}: UPLOADS_PER_USER`);
    if (held.sum + bytes > most)
      throw noRoom(
        `this file has ${bytes} bytes, and you have ${most - held.sum} left of ${most}: UPLOAD_BYTES_PER_USER`,
      );
  }

  async find(videoId: string): Promise<StoredMedia | undefined> {
    const { owner, type } = table;
    const [found] = await this.#db
      .select({ owner, type, size: size.mapWith(Number) })
      .from(table)
      .where(eq(table.videoId, videoId));
    return found;
  }

  /** The ids of the videos that somebody has uploaded. */
  async of(owner: string): Promise<string[]> {
    const rows = await this.#db.select({ id: table.videoId }).from(table).where(eq(table.owner, owner));
    return rows.map(({ id }) => id);
  }

  /** Its bytes from `start` to `end`, both included, piece by piece: no more than one is in memory. */
  async *read(videoId: string, start: number, end: number): AsyncGenerator<Buffer, void, void> {
    for (let at = start; at <= end; at += PIECE) {
      const piece = sql`substr(${table.content}, ${at + 1}, ${Math.min(PIECE, end - at + 1)})`.mapWith(table.content);
      const [found] = await this.#db.select({ piece }).from(table).where(eq(table.videoId, videoId));
      if (found === undefined) throw new Error(`the upload of video ${videoId} has gone`);
      yield found.piece;
    }
  }
}

function noRoom(why: string): HttpError {
  return new HttpError(413, `${why}, which an operator may raise; a video that you delete makes room too`, {
    code: "UPLOAD_QUOTA_EXCEEDED",
  });
}

/** What was uploaded to Clips. */
export const media = resource("media", {
  needs: { db, answers, settings },
  start: ({ db, answers, settings }) => new Media(db, answers, settings.quota),
});
