import { resource } from "@steward/core";
import { count, desc, eq } from "drizzle-orm";
import { integer, pgTable, text, timestamp } from "drizzle-orm/pg-core";
import { counts, db } from "./stores.ts";

/** The table, as `migrations` makes it. */
export const table = pgTable("notes", {
  id: integer().primaryKey().generatedAlwaysAsIdentity(),
  text: text().notNull(),
  createdAt: timestamp("created_at", { withTimezone: true }).notNull().defaultNow(),
});

/** Reads notes. */
export const notes = resource("notes", {
  needs: { db, counts },
  start: ({ db, counts }) => ({
    newest: () => db.select().from(table).orderBy(desc(table.id)).limit(100),
    find: async (id: number) => (await db.select().from(table).where(eq(table.id, id)))[0],
    count: counts.wrap(async () => (await db.select({ n: count() }).from(table))[0]?.n ?? 0, { key: () => ["notes"] }),
  }),
});
