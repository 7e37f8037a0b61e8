import { integer, jsonb, pgTable, timestamp, uuid } from "drizzle-orm/pg-core";
import { videos } from "../videos/table.ts";
import type { Segment } from "./detect.ts";

/** Where in a video somebody speaks. */
export const speech = pgTable("speech", {
  videoId: uuid("video_id")
    .primaryKey()
    .references(() => videos.id, { onDelete: "cascade" }),
  durationMs: integer("duration_ms").notNull(),
  segments: jsonb("segments").$type<readonly Segment[]>().notNull(),
  createdAt: timestamp("created_at", { precision: 3, withTimezone: true }).notNull().defaultNow(),
});
