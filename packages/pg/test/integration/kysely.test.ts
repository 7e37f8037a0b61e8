import { CompiledQuery, Kysely, PostgresDialect, sql } from "kysely";
import t from "tap";
import { manage, proxyTo, serverFor, survivesHalfOpen } from "../setup.ts";

interface Tables {
  readonly kysely_films: { readonly title: string };
}

const { url } = await serverFor(t);

t.test("Kysely runs queries and transactions on it", async (t) => {
  const manager = await manage(t, { url });
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: manager.client }) });
  await db.schema.createTable("kysely_films").addColumn("title", "text").execute();
  const add = (title: string, then: () => void) =>
    db.transaction().execute(async (tx) => {
      await tx.insertInto("kysely_films").values({ title }).execute();
      then();
    });
  await add("Metropolis", () => {});
  const no = (): never => {
    throw new Error("no");
  };
  await t.rejects(add("Nosferatu", no), { message: "no" });
  t.same(await db.selectFrom("kysely_films").selectAll().execute(), [{ title: "Metropolis" }]);
  await db.schema.dropTable("kysely_films").execute();
  t.equal(manager.stats()["inUse"], 0);
  await t.rejects(db.destroy(), { code: "LIFECYCLE_CONFLICT" }, "the pool is not Kysely's to end");
  t.equal((await manager.client.query("select 1 as n")).rows[0].n, 1);
});

t.test("Kysely answers again within 3 s of connections that went half-open", async (t) => {
  const proxy = await proxyTo(t, url);
  const manager = await manage(t, { url: proxy.url });
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: manager.client }) });
  await survivesHalfOpen(t, manager, proxy, {
    call: () => sql`select 1`.execute(db),
    transaction: () => db.transaction().execute((tx) => tx.executeQuery(CompiledQuery.raw("select 1"))),
  });
});
