import { failure, FakeClock, until } from "@steward/testing";
import { findPgBouncer, startPgBouncer, startPostgres } from "@steward/launchers";
import pg from "pg";
import t from "tap";
import { PgPoolManager } from "../../src/index.ts";
import { manage } from "../setup.ts";

const isThere = findPgBouncer() !== undefined || process.env["CI"] === "true";
if (isThere) await throughPgBouncer();
else t.test("PgBouncer", { skip: "skipped: no PgBouncer here (neither on PATH nor in /usr/sbin)" }, () => {});

async function throughPgBouncer(): Promise<void> {
  const server = await startPostgres();
  const pooler = await startPgBouncer({ target: server.url, poolSize: 3 });
  const observer = new pg.Pool({ connectionString: server.url, max: 1 });
  t.teardown(async () => {
    await observer.end();
    await pooler.stop();
    await server.stop();
  });
  const { url } = pooler;

  t.test("20 connections share 3 backends, in queries and transactions", async (t) => {
    const { client } = await manage(t, { url, maxConnections: 20, environment: "test" });
    const work = Array.from({ length: 60 }, async (_, i) => {
      t.equal((await client.query("select $1::int + 1 as n", [i])).rows[0].n, i + 1);
      const held = await client.connect();
      await held.query("begin");
      await held.query("select set_config('app.tenant', $1, true)", [`${i}`]);
      t.equal((await held.query("select current_setting('app.tenant') as tenant")).rows[0].tenant, `${i}`);
      await held.query("commit");
      held.release();
    });
    await Promise.all(work);
    const seen = await observer.query(
      "select count(*)::int as n from pg_stat_activity where application_name like 'steward%'",
    );
    t.ok(seen.rows[0].n <= 3, `${seen.rows[0].n} backends`);
  });

  t.test("a long query is silent, and left alone: the server cannot be asked about it", async (t) => {
    const manager = await manage(t, { url, silenceMs: 50 });
    t.equal((await manager.client.query("select 5 as n, pg_sleep(0.5)")).rows[0].n, 5);
    t.equal(manager.stats()["retired"], 0);
  });

  t.test("a query that takes too long is cancelled at the server, and its connection not used again", async (t) => {
    const clock = new FakeClock();
    const manager = await manage(t, { url, timeoutMs: 300, maxConnections: 1 }, { clock });
    const late = failure(manager.client.query("select pg_sleep(60) as sleeps_in_vain"));
    const text = "select 1 from pg_stat_activity where query like '%sleeps_in_' || 'vain' and state = 'active'";
    const isAtWork = async (): Promise<boolean> => (await observer.query(text)).rows.length > 0;
    await until(isAtWork, "the server has begun it");
    await clock.advance(308);
    t.match(await late, { code: "DEADLINE_EXCEEDED" });
    await until(async () => !(await isAtWork()), "its end at the server");
    t.equal((await manager.client.query("select 1 as n")).rows[0].n, 1);
  });

  t.test("settings of a session are refused at the start, with what to do", async (t) => {
    t.match(await failure(new PgPoolManager({ url, statementTimeoutMs: 1_000 }).start()), {
      code: "PG_CONNECT_FAILED",
      retryable: false,
      message: /unsupported startup parameter: statement_timeout.*; a pooler takes no settings of a session/,
    });
  });
}
