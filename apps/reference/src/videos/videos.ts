import { optional, resource } from "@steward/core";
import type { Database } from "@steward/database";
import type { RedisClient } from "@steward/redis";
import { desc, eq, sql } from "drizzle-orm";
import { cache, db } from "../resources.ts";
import { videos as table, type NewVideo, type Video } from "./table.ts";

const CACHE_SECONDS = 60;

/** Where a video was found: in the cache, or in the database because the cache had none, was down, or does not exist. */
export type FoundIn = "hit" | "miss" | "down" | "off";

/** A page of videos, newest first. */
export interface VideoPage {
  readonly items: readonly Video[];
  /** Asks for what comes after this page; `undefined` on the last one. */
  readonly next: string | undefined;
}

/** The videos of Clips: rows in Postgres, read through the cache one by one. */
export class Videos {
  readonly #db: Database;
  readonly #cache: RedisClient | undefined;

  constructor(database: Database, redis: RedisClient | undefined) {
    this.#db = database;
    this.#cache = redis;
  }

  async add(video: NewVideo): Promise<Video> {
    const [added] = await this.#db.insert(table).values(video).returning();
    if (added === undefined) throw new Error("the database returned no row for a new video");
    return added;
  }

  /** @returns `undefined` when the cursor is none of ours. */
  async list(limit: number, cursor: string | undefined): Promise<VideoPage | undefined> {
    const after = cursor === undefined ? undefined : readCursor(cursor);
    if (cursor !== undefined && after === undefined) return undefined;
    const older =
      after === undefined
        ? undefined
        : sql`(${table.createdAt}, ${table.id}) < (${after.createdAt}::timestamptz, ${after.id}::uuid)`;
    const rows = await this.#db
      .select()
      .from(table)
      .where(older)
      .orderBy(desc(table.createdAt), desc(table.id))
      .limit(limit + 1);
    const items = rows.slice(0, limit);
    const last = items.at(-1);
    return { items, next: rows.length > limit && last !== undefined ? writeCursor(last) : undefined };
  }

  async find(id: string): Promise<{ readonly video: Video | undefined; readonly foundIn: FoundIn }> {
    const kept = await this.#read(id);
    if (typeof kept === "object") return { video: kept, foundIn: "hit" };
    const [video] = await this.#db.select().from(table).where(eq(table.id, id));
    if (video !== undefined && kept === "miss") await this.#keep(video);
    return { video, foundIn: kept };
  }

  /** A cache that fails is no reason to fail. */
  async #read(id: string): Promise<Video | Exclude<FoundIn, "hit">> {
    if (this.#cache === undefined) return "off";
    try {
      const text = await this.#cache.get(keyOf(id));
      return text === null ? "miss" : revive(text);
    } catch {
      return "down";
    }
  }

  async #keep(video: Video): Promise<void> {
    try {
      await this.#cache?.set(keyOf(video.id), JSON.stringify(video), "EX", CACHE_SECONDS);
    } catch {
      // The next reader tries again.
    }
  }
}

function keyOf(id: string): string {
  return `video:${id.toLowerCase()}`;
}

function revive(text: string): Video {
  const kept = JSON.parse(text) as Omit<Video, "createdAt"> & { createdAt: string }; // only `#keep` writes here
  return { ...kept, createdAt: new Date(kept.createdAt) };
}

function writeCursor({ createdAt, id }: Video): string {
  return Buffer.from(`${createdAt.toISOString()} ${id}`).toString("base64url");
}

const CURSOR = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

function readCursor(text: string): { readonly createdAt: string; readonly id: string } | undefined {
  const [, createdAt, id] = CURSOR.exec(Buffer.from(text, "base64url").toString()) ?? [];
  if (createdAt === undefined || id === undefined || Number.isNaN(Date.parse(createdAt))) return undefined;
  return { createdAt, id };
}

/** The videos of this process. */
export const videos = resource("videos", {
  needs: { db, cache: optional(cache) },
  start: ({ db, cache }) => new Videos(db, cache),
});
