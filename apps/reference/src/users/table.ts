import { boolean, pgTable, text, timestamp, uuid } from "drizzle-orm/pg-core";

/** Who may sign in to Clips. */
export const users = pgTable("users", {
  id: uuid("id").primaryKey().defaultRandom(),
  /** In small letters, so that a name is one name. */
  login: text("login").notNull().unique(),
  roles: text("roles").array().notNull(),
  passwordHash: text("password_hash").notNull(),
  isDisabled: boolean("is_disabled").notNull().default(false),
  createdAt: timestamp("created_at", { precision: 3, withTimezone: true }).notNull().defaultNow(),
});

/** A user as it is stored. */
export type User = typeof users.$inferSelect;
