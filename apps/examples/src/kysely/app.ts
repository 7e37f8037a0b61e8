import { container } from "@steward/container";
import { resource } from "@steward/core";
import { databasePool } from "@steward/database";
import { kysely } from "@steward/database/kysely";
import { type Generated, Kysely } from "kysely";
import { environment } from "../environment.ts";

interface Tables {
  readonly films: { readonly id: Generated<number>; readonly title: string };
}

const pool = databasePool("pool", {
  needs: { environment },
  options: ({ environment }) => ({ url: environment.DATABASE_URL ?? "" }),
});

/** Kysely over connections that are looked after: deadlines, a breaker, health and metrics are those of the pool. */
export const db = resource("db", {
  needs: { pool },
  start: ({ pool }) => new Kysely<Tables>({ dialect: kysely(pool) }),
});

/** Films, newest first. */
export const films = resource("films", {
  needs: { db },
  start: async ({ db }) => {
    await db.schema
      .createTable("films")
      .ifNotExists()
      .addColumn("id", "integer", (column) => column.primaryKey().generatedAlwaysAsIdentity())
      .addColumn("title", "text", (column) => column.notNull())
      .execute();
    return {
      add: (title: string) => db.transaction().execute((tx) => tx.insertInto("films").values({ title }).execute()),
      all: () => db.selectFrom("films").select("title").orderBy("id", "desc").execute(),
    };
  },
});

export const app = container([films], { name: "kysely" });
