import type { ManagerContext } from "@steward/core/driver";
import { FakeClock, failure, startFaultProxy, until, Watch } from "@steward/testing";
import { drizzle } from "drizzle-orm/postgres-js";
import { Kysely, sql } from "kysely";
import postgres from "postgres";
import t from "tap";
import { DatabasePoolManager, type DatabaseInput } from "../../src/index.ts";
import { kysely } from "../../src/client/kysely/index.ts";
import { testServer, unlessPooled } from "./server.ts";

interface Tables {
  readonly films: { readonly title: string; readonly year: number };
}

const numbers = sql<{ n: number }>`(select generate_series(1, 1000) as n)`;

const server = await testServer();
t.teardown(() => server[Symbol.asyncDispose]());
await server.observer.unsafe("select 1");

async function managed(
  test: { teardown(end: () => unknown): unknown },
  options: DatabaseInput = {},
  context: ManagerContext = {},
) {
  const manager = await new DatabasePoolManager({ url: server.url, ...options }, context).start();
  test.teardown(() => manager.stop());
  return { manager, db: new Kysely<Tables>({ dialect: kysely(manager.client) }) };
}

t.test("runs queries, transactions, savepoints and streams on the pool, and destroy() leaves it alone", async (t) => {
  const { manager, db } = await managed(t);
  await db.schema.createTable("films").addColumn("title", "text").addColumn("year", "integer").execute();
  const made = await db
    .insertInto("films")
    .values([{ title: "M", year: 1931 }])
    .executeTakeFirst();
  t.equal(made.numInsertedOrUpdatedRows, 1n);
  await db
    .transaction()
    .setIsolationLevel("serializable")
    .execute(async (tx) => {
      await tx.insertInto("films").values({ title: "Metropolis", year: 1927 }).execute();
    });
  const failing = db.transaction().execute(async (tx) => {
    await tx.insertInto("films").values({ title: "Nosferatu", year: 1922 }).execute();
    throw new Error("no");
  });
  t.equal((await failure(failing)).message, "no");
  const steps = await db.startTransaction().execute();
  const inner = await steps.savepoint("before").execute();
  await inner.insertInto("films").values({ title: "Faust", year: 1926 }).execute();
  await inner.rollbackToSavepoint("before").execute();
  await steps.commit().execute();
  const titles = await db.selectFrom("films").select("title").orderBy("year").execute();
  t.strictSame(titles, [{ title: "Metropolis" }, { title: "M" }]);
  let seen = 0;
  const streamed = db.selectFrom(numbers.as("numbers")).selectAll().stream(100);
  for await (const { n } of streamed) if ((seen = n) === 250) break;
  t.equal(seen, 250, "a stream ends where its reader stops");
  await until(() => manager.stats()["inUse"] === 0, "the connection of the stream is back");
  await db.destroy();
  t.same(await manager.client.$client`select 1 as n`, [{ n: 1 }]);
});

t.test("a transaction that failed within is refused at commit, and the connection comes back clean", async (t) => {
  const { manager, db } = await managed(t, { maxConnections: 1 });
  const swallowing = db.transaction().execute(async (tx) => void (await failure(sql`select nothing`.execute(tx))));
  t.match(await failure(swallowing), /abort|rolled back/i);
  const { rows } = await sql<{ at: Date }>`select now() as at, pg_current_xact_id_if_assigned() as open`.execute(db);
  t.ok(rows[0]?.at instanceof Date);
  t.equal(manager.stats()["inUse"], 0);
});

t.test("its deadlines and its queue are those of the pool", async (t) => {
  const clock = new FakeClock();
  const times = { timeoutMs: 300, acquireTimeoutMs: 300 };
  const { manager, db } = await managed(t, { maxConnections: 1, maxPending: 1, ...times }, { clock });
  const slow = failure(sql`select pg_sleep(60)`.execute(db));
  const waiting = failure(sql`select 1`.execute(db));
  t.match(await failure(sql`select 2`.execute(db)), { code: "OVERLOADED" });
  await clock.advance(308);
  t.match(await slow, { code: "DEADLINE_EXCEEDED" });
  await waiting;
  await sql`select 1`.execute(db);
  t.equal(manager.stats()["inUse"], 0);
});

t.test(
  "answers again within 3 s of connections that went half-open",
  unlessPooled("the server cannot be asked about a backend"),
  async (t) => {
    const proxy = await startFaultProxy({ target: server.url });
    t.teardown(() => proxy.stop());
    const { manager, db } = await managed(t, { url: proxy.url });
    const call = () => sql`select 1`.execute(db);
    const transaction = () => db.transaction().execute((tx) => sql`select 1`.execute(tx));
    await Promise.all([call(), transaction(), call()]);
    using watch = new Watch();
    const at = performance.now();
    proxy.halfOpen();
    const ends = await Promise.allSettled([call(), transaction(), call()]);
    const errors = ends.flatMap((end) => (end.status === "rejected" ? [end.reason] : []));
    t.ok(errors.length > 0);
    for (const error of errors) t.match(error, { code: "OUTCOME_UNKNOWN" });
    await call();
    await transaction();
    const outageMs = watch.elapsed(at);
    t.comment(`answers again after ${Math.round(outageMs)} ms`);
    t.ok(outageMs <= 3_000, `${outageMs} ms`);
    t.equal(manager.stats()["inUse"], 0);
  },
);

t.test("a commit that was given is not followed by a rollback", async (t) => {
  const notices: unknown[] = [];
  const { db } = await managed(t, { maxConnections: 1, onNotice: (notice) => notices.push(notice["message"]) });
  await db.transaction().execute((tx) => sql`select 1`.execute(tx));
  await sql`select 1`.execute(db);
  t.strictSame(notices, []);
});

t.test("a database that is not looked after is refused", async (t) => {
  const own = postgres(server.url, { max: 1 });
  t.teardown(() => own.end());
  t.throws(() => kysely(drizzle(own)), { code: "DATABASE_NOT_MANAGED" });
});

/** Ends the backends that read numbers, and waits until their connections are gone. */
async function endReaders(manager: DatabasePoolManager): Promise<void> {
  const readers = "from pg_stat_activity where query like '%generate_series%' and pid <> pg_backend_pid()";
  await server.observer.unsafe(`select pg_terminate_backend(pid) ${readers}`);
  await until(() => manager.stats()["size"] === 0);
}

t.test("a reader of a stream may take its time, and is not taken for a dead connection", async (t) => {
  const { manager, db } = await managed(t, { silenceMs: 20 });
  let seen = 0;
  for await (const { n } of db.selectFrom(numbers.as("numbers")).selectAll().stream(600)) {
    seen++;
    if (n % 600 === 0) await sql`select pg_sleep(1)`.execute(db); // longer than it takes to ask the server
  }
  t.equal(seen, 1000);
  t.equal(manager.stats()["retired"], 0);
});

t.test(
  "a stream whose connection breaks while its rows are read fails, and ends neither early nor the process",
  async (t) => {
    const { manager, db } = await managed(t);
    const read = async (): Promise<void> => {
      for await (const { n } of db.selectFrom(numbers.as("numbers")).selectAll().stream(100))
        if (n === 150) await endReaders(manager);
    };
    t.match(await failure(read()), { code: "OUTCOME_UNKNOWN" });
    const portions = async (): Promise<void> => {
      const numbersOfOurs = manager.client.$client`select generate_series(1, 1000) as n`;
      await numbersOfOurs.cursor(100, async () => {
        await endReaders(manager);
      });
    };
    t.match(await failure(portions()), { code: "OUTCOME_UNKNOWN" });
    t.same(await manager.client.$client`select 1 as n`, [{ n: 1 }]);
  },
);
