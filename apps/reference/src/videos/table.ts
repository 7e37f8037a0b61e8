import { index, integer, pgTable, text, timestamp, uuid } from "drizzle-orm/pg-core";
import { bytes } from "../secrets/table.ts";
import { users } from "../users/table.ts";

/** The videos that Clips knows. */
export const videos = pgTable(
  "videos",
  {
    id: uuid("id").primaryKey().defaultRandom(),
    title: text("title").notNull(),
    description: text("description"),
    sourceUrl: text("source_url").notNull(),
    durationMs: integer("duration_ms"),
    // A cursor holds this time, and JavaScript has no microseconds.
    createdAt: timestamp("created_at", { precision: 3, withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [index("videos_newest_first").on(table.createdAt.desc().nullsFirst(), table.id.desc().nullsFirst())],
);

/** Longest video that is taken, in bytes. */
export const MOST_MEDIA_BYTES: number = 16 * 1024 * 1024;

/** The bytes of videos, and of sound, that somebody has uploaded. */
export const media = pgTable(
  "media",
  {
    videoId: uuid("video_id")
      .primaryKey()
      .references(() => videos.id, { onDelete: "cascade" }),
    owner: uuid("owner").references(() => users.id, { onDelete: "set null" }),
    /** Such as `audio/wav`. */
    type: text("type").notNull(),
    /** Stored as it is (a migration says so): what plays a part of it reads that alone. */
    content: bytes("content").notNull(),
  },
  (table) => [index("media_by_owner").on(table.owner)],
);

/** A video as it is stored. */
export type Video = typeof videos.$inferSelect;

/** What somebody says of a new video. */
export interface NewVideo {
  readonly title: string;
  readonly description?: string;
  readonly sourceUrl: string;
  /** Length in ms. */
  readonly durationMs?: number;
}
