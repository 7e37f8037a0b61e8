import type { Pool } from "pg";
import t from "tap";
import { DataSource, EntitySchema } from "typeorm";
import { manage, proxyTo, serverFor, survivesHalfOpen } from "../setup.ts";

interface Film {
  readonly id?: number;
  readonly title: string;
}

const films = new EntitySchema<Film>({
  name: "typeorm_films",
  columns: { id: { type: Number, primary: true, generated: true }, title: { type: String } },
});

const { url } = await serverFor(t);

/** TypeORM makes its pool itself, of the driver that it is given: here one whose `new Pool()` is ours. */
function over(pool: Pool): DataSource {
  const driver = {
    Pool: function () {
      return pool;
    },
  };
  return new DataSource({ type: "postgres", driver, entities: [films] });
}

t.test("TypeORM runs queries and transactions on it", async (t) => {
  const manager = await manage(t, { url });
  const source = await over(manager.client).initialize();
  await source.synchronize();
  await source.transaction((inner) => inner.save(films, { title: "Metropolis" }));
  const failing = source.transaction(async (inner) => {
    await inner.save(films, { title: "Nosferatu" });
    throw new Error("no");
  });
  await t.rejects(failing, { message: "no" });
  t.match(await source.getRepository(films).find(), [{ title: "Metropolis" }]);
  t.same(await source.query("select count(*)::int as n from typeorm_films where title = $1", ["Nosferatu"]), [
    { n: 0 },
  ]);
  await source.query("drop table typeorm_films");
  t.equal(manager.stats()["inUse"], 0);
  await t.rejects(source.destroy(), { code: "LIFECYCLE_CONFLICT" }, "the pool is not TypeORM's to end");
  t.equal((await manager.client.query("select 1 as n")).rows[0].n, 1);
});

t.test("TypeORM answers again within 3 s of connections that went half-open", async (t) => {
  const proxy = await proxyTo(t, url);
  const manager = await manage(t, { url: proxy.url });
  const source = await over(manager.client).initialize();
  await survivesHalfOpen(t, manager, proxy, {
    call: () => source.query("select 1"),
    transaction: () => source.transaction((inner) => inner.query("select 1")),
  });
});
