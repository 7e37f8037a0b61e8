import type { Cache, Wrapped } from "@steward/cache";
import { resource } from "@steward/core";
import { transaction, type Database } from "@steward/database";
import { desc, eq, sql } from "drizzle-orm";
import { db } from "../resources/stores.ts";
import { answers, PAGES, videoCache, type ShownVideo } from "./cached.ts";
import { videos as table, type NewVideo, type Video } from "./table.ts";

/** A page of videos, newest first. */
export interface VideoPage {
  readonly items: readonly Video[];
  /** Asks for what comes after this page; `undefined` on the last one. */
  readonly next: string | undefined;
}

/** What inserts rows, such as a transaction. */
type Inserts = Pick<Database, "insert">;

/** The videos of Clips: rows in Postgres, read through a cache one by one. */
export class Videos {
  readonly #db: Database;
  readonly #answers: Pick<Cache<never>, "invalidate">;
  /** One video; `undefined` where there is none of that id. */
  readonly find: Wrapped<[id: string], ShownVideo | undefined>;

  constructor(database: Database, cache: Cache<ShownVideo>, answers: Pick<Cache<never>, "invalidate">) {
    this.#db = database;
    this.#answers = answers;
    this.find = cache.wrap((id: string) => this.#select(id), {
      key: (id) => ["video", id.toLowerCase()],
      tags: ["videos"],
      absentMs: 1_000,
    });
  }

  /** @param withIt What else belongs to it, in the same transaction. */
  async add(
    video: NewVideo,
    withIt: (id: string, within: Inserts) => Promise<unknown> = async () => {},
  ): Promise<Video> {
    const added = await transaction(this.#db, async (open) => {
      const [row] = await open.insert(table).values(video).returning();
      if (row === undefined) throw new Error("the database returned no row for a new video");
      await withIt(row.id, open);
      return row;
    });
    await this.#answers.invalidate(PAGES); // the row is committed
    return added;
  }

  /** Removes a video with all that belongs to it. Who processes it finds its job gone, at the next step. */
  async remove(id: string): Promise<void> {
    await this.#db.delete(table).where(eq(table.id, id));
    await Promise.all([this.find.delete(id), this.#answers.invalidate(PAGES)]); // the row is gone
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

  async #select(id: string): Promise<ShownVideo | undefined> {
    const [video] = await this.#db.select().from(table).where(eq(table.id, id));
    return video === undefined ? undefined : { ...video, createdAt: video.createdAt.toISOString() };
  }
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
  needs: { db, cache: videoCache, answers },
  start: ({ db, cache, answers }) => new Videos(db, cache, answers),
});
