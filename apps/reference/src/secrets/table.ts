import { customType, index, pgTable, timestamp, uuid } from "drizzle-orm/pg-core";

/** A column of bytes. */
export const bytes = customType<{ data: Buffer; driverData: Buffer }>({ dataType: () => "bytea" });

/** The secrets that Clips keeps. Nothing of them is in clear: texts are encrypted, and found by keyed hashes. */
export const secrets = pgTable(
  "secrets",
  {
    id: uuid("id").primaryKey(),
    name: bytes("name").notNull(),
    nameHash: bytes("name_hash").notNull(),
    value: bytes("value").notNull(),
    valueHash: bytes("value_hash").notNull(),
    createdAt: timestamp("created_at", { precision: 3, withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [
    index("secrets_by_name").on(table.nameHash),
    index("secrets_by_value").on(table.valueHash),
    index("secrets_newest_first").on(table.createdAt.desc().nullsFirst()),
  ],
);

/** A secret as it is stored. */
export type StoredSecret = typeof secrets.$inferSelect;
