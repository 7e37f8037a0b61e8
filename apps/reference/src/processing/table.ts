import { sql } from "drizzle-orm";
import { index, integer, pgTable, text, timestamp, uniqueIndex, uuid } from "drizzle-orm/pg-core";
import { bytes } from "../secrets/table.ts";
import { videos } from "../videos/table.ts";

const STATUSES = ["queued", "processing", "done", "failed"] as const;
const STAGES = ["DECODING", "ENCODING", "PACKAGING"] as const;

/** How it stands with a job. */
export type JobStatus = (typeof STATUSES)[number];

const instant = (name: string) => timestamp(name, { precision: 3, withTimezone: true }).notNull().defaultNow();

/** Each time somebody asked for a video to be processed, and what has become of it. */
export const jobs = pgTable(
  "processing_jobs",
  {
    id: uuid("id").primaryKey().defaultRandom(),
    videoId: uuid("video_id")
      .notNull()
      .references(() => videos.id, { onDelete: "cascade" }),
    status: text("status", { enum: STATUSES }).notNull().default("queued"),
    stage: text("stage", { enum: STAGES }),
    /** Whole percents. */
    progress: integer("progress").notNull().default(0),
    position: integer("position").notNull().default(0),
    /** What the renderer needs to go on from `position`. */
    checkpoint: bytes("checkpoint"),
    /** How often the renderer was asked. */
    attempt: integer("attempt").notNull().default(0),
    /** How often that failed since the last step that was done. */
    failures: integer("failures").notNull().default(0),
    error: text("error"),
    /** Whose work it is: made anew whenever somebody takes the job. */
    holder: uuid("holder"),
    /** When somebody may take it: a queued one after its pause, one that is being processed when its lease has run out. */
    dueAt: timestamp("due_at", { withTimezone: true }).notNull().defaultNow(),
    /** W3C `traceparent` of the request that asked for it: the work belongs to its trace, at whichever instance. */
    trace: text("trace"),
    createdAt: instant("created_at"),
    updatedAt: instant("updated_at"),
  },
  (table) => [
    uniqueIndex("processing_jobs_open")
      .on(table.videoId)
      .where(sql`status in ('queued', 'processing')`),
    index("processing_jobs_due")
      .on(table.dueAt)
      .where(sql`status in ('queued', 'processing')`),
    index("processing_jobs_latest").on(table.videoId, table.createdAt.desc().nullsFirst()),
  ],
);

/** A job as it is stored. */
export type StoredJob = typeof jobs.$inferSelect;
