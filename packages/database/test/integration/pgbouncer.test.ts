import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { failure, until } from "@steward/testing";
import { findPgBouncer, startPgBouncer, startPostgres } from "@steward/launchers";
import postgres from "postgres";
import t from "tap";
import { begin, DatabasePoolManager, pubSub, type DatabaseInput } from "../../src/index.ts";

const isThere = findPgBouncer() !== undefined || process.env["CI"] === "true";
if (isThere) await throughPgBouncer();
else t.test("PgBouncer", { skip: "skipped: no PgBouncer here (neither on PATH nor in /usr/sbin)" }, () => {});

async function throughPgBouncer(): Promise<void> {
  const server = await startPostgres();
  const pooler = await startPgBouncer({ target: server.url, poolSize: 3 });
  const observer = postgres(server.url, { max: 1, onnotice() {} });
  t.teardown(async () => {
    await observer.end({ timeout: 2 });
    await pooler.stop();
    await server.stop();
  });

  function open(options: DatabaseInput = {}): Promise<DatabasePoolManager> {
    return new DatabasePoolManager({ url: pooler.url, ...options }, { name: "films" }).start();
  }

  t.test(
    "20 connections share 3 backends: tagged queries with parameters, transactions, cursors, all at once",
    async (t) => {
      await using manager = await open({ maxConnections: 20 });
      const { $client } = manager.client;
      const work = Array.from({ length: 60 }, async (_, i) => {
        const [row] = await $client`select ${i}::int + 1 as n, ${"x"}::text as x`; // is prepared where it can be
        await $client.begin(async (tx) => {
          const [first] = await tx`select pg_backend_pid() as pid, set_config('app.tenant', ${`${i}`}, true)`;
          const [second] = await tx`select pg_backend_pid() as pid, current_setting('app.tenant') as tenant`;
          t.match(second, { pid: first?.["pid"], tenant: `${i}` });
        });
        const portions: number[] = [];
        for await (const rows of $client`select generate_series(1, 5)`.cursor(2)) portions.push(rows.length);
        t.same([row?.["n"], portions], [i + 1, [2, 2, 1]]);
      });
      await Promise.all(work);
      const [seen] = await observer`select count(*)::int as n from pg_stat_activity where application_name = 'steward'`;
      t.ok(seen?.["n"] <= 3, `${seen?.["n"]} backends`);
    },
  );

  t.test("prepared statements are asked for by name only: then a pooler that keeps none makes them fail", async (t) => {
    await using manager = await open({ maxConnections: 1, prepare: true });
    await using other = await open({ maxConnections: 1 });
    const ask = async (): Promise<unknown> =>
      manager.client.$client.begin(async (tx) => (await tx`select 7 as n`)[0]?.["n"]);
    t.equal(await ask(), 7);
    await other.client.$client.begin(async (tx) => {
      await tx`select 1`; // the pooler gives out the backend that was free last: the one that knows the statement
      t.equal((await failure(ask())).code, "26000");
    });
  });

  t.test("what a statement leaves behind does not reach the next one", async (t) => {
    await using manager = await open({ maxConnections: 2 });
    const { $client } = manager.client;
    t.match(await failure($client.unsafe("begin")), { code: "DATABASE_TRANSACTION_LEFT_OPEN" });
    t.match(await failure($client`select 1 / (5 - n) from generate_series(1, 10) as n`), { code: "22012" });
    const work = Array.from({ length: 20 }, async (_, i) => [...(await $client`select ${i}::int as n`)]);
    t.same(
      await Promise.all(work),
      Array.from({ length: 20 }, (_, i) => [{ n: i }]),
    );
    const [seen] = await observer`select count(*)::int as n from pg_stat_activity where state like 'idle in %'`;
    t.equal(seen?.["n"], 0);
  });

  t.test("settings of a transaction are its own, though backends are shared", async (t) => {
    await using manager = await open({ maxConnections: 1 });
    {
      await using tx = await begin(manager.client, { settings: { "app.tenant": "one" } });
      await tx.commit();
    }
    const [row] = await manager.client.$client`select coalesce(current_setting('app.tenant', true), '') as tenant`;
    t.equal(row?.["tenant"], "");
  });

  t.test("a query that takes too long is cancelled at the server", async (t) => {
    await using manager = await open({ timeoutMs: 300 });
    t.match(await failure(manager.client.$client`select pg_sleep(60) as in_vain`), { code: "DEADLINE_EXCEEDED" });
    const atWork = async (): Promise<number> =>
      (
        await observer`select 1 from pg_stat_activity where query like '%pg_sleep(60)%' and state = 'active' and pid <> pg_backend_pid()`
      ).length;
    await until(async () => (await atWork()) === 0, "its end at the server");
  });

  t.test("a long query is silent, and left alone: the server cannot be asked about it", async (t) => {
    await using manager = await open({ silenceMs: 50 });
    t.equal((await manager.client.$client`select 5 as n, pg_sleep(0.5)`)[0]?.["n"], 5);
    t.equal(manager.stats()["retired"], 0);
  });

  t.test("listening is refused where nothing would be heard, and publishing is not", async (t) => {
    await using manager = await open();
    const { $client } = manager.client;
    const refused = {
      code: "DATABASE_SESSION_REQUIRED",
      retryable: false,
      message: /films: listen\(\) needs a session/,
    };
    t.match(await failure($client.listen("news", () => {})), refused);
    t.match(await failure(pubSub(manager.client).subscribe("news", () => {})), refused);
    t.match(await failure($client.subscribe("*", () => {})), { ...refused, message: /subscribe\(\) needs a session/ });
    const heard: string[] = [];
    await using direct = await open({ url: server.url });
    await direct.client.$client.listen("news", (payload) => void heard.push(payload));
    await pubSub(manager.client).publish("news", "hello");
    await until(() => heard.length === 1, "the message");
  });

  t.test("in session mode a listener is heard", async () => {
    await using sessions = await startPgBouncer({ target: server.url, mode: "session" });
    await using manager = await open({ url: sessions.url, maxConnections: 1 });
    const heard: string[] = [];
    await manager.client.$client.listen("news", (payload) => void heard.push(payload));
    await manager.client.$client.notify("news", "hello");
    await until(() => heard.length === 1, "the message");
  });

  t.test("a listener whose pooler takes it, but not the message that it is to hear, tries again", async () => {
    await using sessions = await startPgBouncer({ target: server.url, mode: "session" });
    const word = decodeURIComponent(new URL(sessions.url).password);
    let logins = 0;
    const password = (): string => {
      if (++logins === 5) throw new Error("the vault is busy");
      return word;
    };
    const url = Object.assign(new URL(sessions.url), { password: "" }).href;
    await using manager = await open({ url, password, maxConnections: 1, applicationName: "again" });
    const heard: string[] = [];
    await manager.client.$client.listen("news", (payload) => void heard.push(payload));
    logins = 3; // of the pool, of the listener, and of what sent it a message: the latter's next one is the fifth
    await observer`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'again'`;
    await until(() => logins >= 7, "the second attempt");
    await until(async () => {
      await observer`select pg_notify('news', 'hello')`;
      return heard.length > 0;
    }, "the message");
  });

  t.test("settings of a session are refused at the start, with what to do", async (t) => {
    for (const options of [{ statementTimeoutMs: 1_000 }, { idleInTransactionTimeoutMs: 1_000 }])
      t.match(await failure(open(options)), {
        code: "DATABASE_CONNECT_FAILED",
        retryable: false,
        message:
          /unsupported startup parameter.*; a pooler takes no settings of a session: leave it out here, and set it for the role/,
      });
    const wrong = Object.assign(new URL(pooler.url), { password: "hunter2" }).href;
    t.match(await failure(open({ url: wrong })), { code: "DATABASE_CONNECT_FAILED", retryable: false });
  });

  t.test("of instances that start at once one migrates, and none keeps a lock", async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "steward-migrations-"));
    t.teardown(() => rm(folder, { recursive: true }));
    await mkdir(join(folder, "meta"));
    const entries = [{ idx: 0, version: "7", when: 1_700_000_000_000, tag: "0_films", breakpoints: true }];
    await writeFile(
      join(folder, "meta/_journal.json"),
      JSON.stringify({ version: "7", dialect: "postgresql", entries }),
    );
    await writeFile(
      join(folder, "0_films.sql"),
      "create table films (id int);\n--> statement-breakpoint\ninsert into films select 1 from pg_sleep(0.2);",
    );
    const all = Array.from(
      { length: 4 },
      () => new DatabasePoolManager({ url: pooler.url, migrations: folder, environment: "test" }),
    );
    await Promise.all(all.map((manager) => manager.start()));
    t.same(await observer`select id from films`, [{ id: 1 }]);
    t.equal((await observer`select 1 from pg_locks where locktype = 'advisory'`).length, 0);
    await Promise.all(all.map((manager) => manager.stop()));
  });

  t.test("a pooler that is killed and comes back costs calls that were under way, and no others", async (t) => {
    await using manager = await open({ maxConnections: 2, breaker: false });
    const { $client } = manager.client;
    const under = failure($client`select pg_sleep(30)`);
    await until(() => manager.stats()["inUse"] === 1);
    await pooler.kill();
    t.match(await under, { code: "OUTCOME_UNKNOWN" });
    const waiting = $client`select 1 as one`.execute();
    await pooler.restart();
    t.same([...(await waiting)], [{ one: 1 }]);
  });
}
