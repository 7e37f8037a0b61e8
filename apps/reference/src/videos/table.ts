import { index, integer, pgTable, text, timestamp, uuid } from "drizzle-orm/pg-core";

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
