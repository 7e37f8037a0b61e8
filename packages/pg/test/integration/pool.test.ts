import { readFileSync } from "node:fs";
import { container } from "@steward/container";
import { compareMembers, documentedMembers, failure, FakeClock, operationsOf, until } from "@steward/testing";
import pg from "pg";
import Cursor from "pg-cursor";
import t from "tap";
import { pgPool, PgPoolManager } from "../../src/index.ts";
import { manage, proxyTo, serverFor } from "../setup.ts";

const { url } = await serverFor(t);

t.test("is a pg.Pool: promises, callbacks, parameters, errors of SQL, events, counts", async (t) => {
  const { client } = await manage(t, { url, applicationName: "clips" });
  t.ok(client instanceof pg.Pool);
  const events: string[] = [];
  for (const event of ["connect", "acquire", "release"] as const) client.on(event, () => events.push(event));
  const { rows } = await client.query("select $1::int + 1 as n, current_setting('application_name') as name", [41]);
  t.same(rows, [{ n: 42, name: "clips" }]);
  t.same((await client.query({ text: "select 1, 2", rowMode: "array" })).rows, [[1, 2]]);
  const row = await new Promise((resolve) =>
    client.query("select 7 as n", (_error, result) => resolve(result.rows[0])),
  );
  t.same(row, { n: 7 });
  await t.rejects(client.query("select nothing"), { code: "42703", severity: "ERROR" });
  t.same(events.slice(0, 3), ["connect", "acquire", "release"]);
  t.match(
    { total: client.totalCount, idle: client.idleCount, waiting: client.waitingCount },
    { total: 1, idle: 1, waiting: 0 },
  );
  await t.rejects(client.end(), { code: "LIFECYCLE_CONFLICT" });
  const cursor = { submit: () => {} } as unknown as string; // as those of pg-cursor and pg-query-stream have it
  await t.rejects(client.query(cursor), { code: "OPTIONS_INVALID", message: /takes no cursor/ });
});

t.test("member by member it is a pg.Pool, but for what the README lists", async (t) => {
  const raw = new pg.Pool({ connectionString: url });
  t.teardown(() => raw.end());
  await raw.query("select 1");
  const { client } = await manage(t, { url });
  await client.query("select 1");
  const { replaced, different } = compareMembers(raw, client);
  const documented = documentedMembers(readFileSync("README.md", "utf8"), "Differences to pg.Pool");
  t.same([...replaced, ...different].sort(), ["connect", "end", "query"]);
  for (const name of [...replaced, ...different]) t.ok(documented.includes(name), name);
});

t.test("events of calls name what a statement does, without what is in it", async (t) => {
  const { client } = await manage(t, { url });
  const operations = await operationsOf(async () => {
    await client.query("/* s3cret */ select 1");
    await client.query({ text: "with x as (select 1) select * from x" });
    (await client.connect()).release();
    await client.query("");
  });
  t.same(operations, ["SELECT", "WITH", "lease", undefined]);
});

t.test("a held connection is one, and twice given back is the driver's error", async (t) => {
  const manager = await manage(t, { url });
  const held = await manager.client.connect();
  await held.query("begin");
  await held.query("create temporary table x (n int) on commit drop");
  await held.query("insert into x values (1)");
  t.match(manager.stats(), { inUse: 1, size: 1, idle: 0 });
  t.same((await held.query("select n from x")).rows, [{ n: 1 }]);
  await held.query("rollback");
  held.release();
  t.throws(() => held.release(), /already been released/);
  const done = await new Promise<(() => void) | undefined>((resolve) => {
    manager.client.connect((_error, _client, release) => resolve(release));
  });
  t.match(manager.stats(), { inUse: 1 });
  done?.();
  await until(() => manager.stats()["inUse"] === 0);
});

t.test("waiting for a connection is bounded, in numbers and in time", async (t) => {
  const clock = new FakeClock();
  const { client } = await manage(t, { url, maxConnections: 1, maxPending: 1, acquireTimeoutMs: 300 }, { clock });
  const held = await client.connect();
  const waiting = failure(client.query("select 1"));
  t.match(await failure(client.query("select 2")), { code: "OVERLOADED", message: /1 of 1/ });
  await clock.advance(308);
  t.match(await waiting, { code: "DEADLINE_EXCEEDED", message: /pg/ });
  held.release();
  t.equal((await client.query("select 1 as n")).rows[0].n, 1);
});

t.test("a query that takes too long ends in time, and at the server too", async (t) => {
  const { client } = await manage(t, { url, timeoutMs: 300 });
  const { client: observer } = await manage(t, { url }); // which may take longer on a busy machine
  await t.rejects(client.query("select pg_sleep(60) as sleeps_in_vain"), { code: "DEADLINE_EXCEEDED" });
  const atWork = async (): Promise<number> => {
    const text =
      "select count(*)::int as n from pg_stat_activity where query like '%sleeps_in_' || 'vain' and state = 'active'";
    return (await observer.query(text)).rows[0].n;
  };
  await until(async () => (await atWork()) === 0);
});

t.test("a connection that is held too long is closed, which rolls back, and ends nothing else", async (t) => {
  const clock = new FakeClock();
  const manager = await manage(t, { url, transactionTimeoutMs: 200 }, { clock });
  const held = await manager.client.connect();
  const ended = failure(held.query("select pg_sleep(60)"));
  await clock.advance(208);
  t.match(await ended, { code: "PG_LEASE_ENDED", message: /more than 200 ms/ });
  await until(() => manager.stats()["inUse"] === 0);
  t.equal((await manager.client.query("select 1 as n")).rows[0].n, 1);
  t.doesNotThrow(() => held.release());
});

t.test("a connection that its holder has forgotten is made anew once its time is over", async (t) => {
  const clock = new FakeClock();
  const manager = await manage(t, { url, maxConnections: 1, transactionTimeoutMs: 100 }, { clock });
  const forgotten = await manager.client.connect();
  const waiting = manager.client.query("select 1 as n");
  await clock.advance(108);
  t.equal((await waiting).rows[0].n, 1);
  t.doesNotThrow(() => forgotten.release());
  t.doesNotThrow(() => forgotten.release(), "nor is anything done to whoever has its place now");
  t.equal((await manager.client.query("select 2 as n")).rows[0].n, 2);
});

t.test("half-open connections are found while a long statement is left alone", async (t) => {
  const proxy = await proxyTo(t, url);
  const manager = await manage(t, { url: proxy.url, silenceMs: 100 });
  t.equal((await manager.client.query("select 5 as n, pg_sleep(1)")).rows[0].n, 5);
  const held = await Promise.all([1, 2, 3].map(() => manager.client.connect()));
  for (const one of held) one.release();
  proxy.halfOpen();
  await t.rejects(manager.client.query("select 1"), { code: "OUTCOME_UNKNOWN", message: /not at work for us/ });
  t.equal((await manager.client.query("select 6 as n")).rows[0].n, 6);
  t.equal(manager.stats()["retired"], 1);
});

t.test("a reader of a cursor may take its time, and is not taken for a dead connection", async (t) => {
  const manager = await manage(t, { url, silenceMs: 20 });
  const held = await manager.client.connect();
  const cursor = held.query(new Cursor("select generate_series(1, 1000) as n"));
  t.equal((await cursor.read(600)).length, 600);
  await manager.client.query("select pg_sleep(1)"); // longer than it takes to ask the server
  t.equal((await cursor.read(600)).length, 400);
  await cursor.close();
  held.release();
  t.equal(manager.stats()["retired"], 0);
});

t.test("a connection that breaks while it is held, or idle, ends no process", async (t) => {
  const proxy = await proxyTo(t, url);
  const { client } = await manage(t, { url: proxy.url });
  const held = await client.connect();
  await client.query("select 1");
  proxy.reset();
  await t.rejects(held.query("select 1"));
  held.release();
  await until(() =>
    client.query("select 1").then(
      () => true,
      () => false,
    ),
  );
});

t.test("a server that is away is said with the place, and never with the password", async (t) => {
  const proxy = await proxyTo(t, url);
  const { client } = await manage(t, { url: proxy.url, breaker: false });
  await proxy.refuse();
  proxy.reset();
  const { host, password } = new URL(proxy.url);
  await until(async () => (await failure(client.query("select 1"))).code === "PG_CONNECT_FAILED");
  const { message } = await failure(client.query("select 1"));
  t.match(message, `pg: no connection to ${host}: `);
  t.notMatch(message, password);
});

t.test("a connection is used once onConnect is done with it, and where that fails its call does", async (t) => {
  let isBroken = false;
  const onConnect = async (client: pg.ClientBase): Promise<void> => {
    await client.query("select 1");
    if (isBroken) throw new Error("no role for this one");
    await client.query("set application_name = 'prepared'");
  };
  const { client } = await manage(t, { url, onConnect, maxConnections: 1 });
  const asked = await client.query("select current_setting('application_name') as name");
  t.same(asked.rows, [{ name: "prepared" }]);
  isBroken = true;
  const held = await client.connect();
  held.release(true); // the next one is new
  await t.rejects(client.query("select 1"), /no role for this one/);
  isBroken = false;
  t.equal((await client.query("select 1")).rowCount, 1, "and takes no place with it");
});

t.test("a password is asked for at each connect", async (t) => {
  const { password } = new URL(url);
  let [asked, given] = [0, password];
  const bare = Object.assign(new URL(url), { password: "" }).href;
  const manager = await manage(t, { url: bare, password: () => (asked++, given), breaker: false });
  const before = asked;
  await manager.renew();
  await manager.client.query("select 1");
  t.ok(asked > before, "once, or more often where a connection was made anew");
  given = "another";
  await manager.renew();
  t.match(await failure(manager.client.query("select 1")), {
    code: "PG_CONNECT_FAILED",
    message: /password authentication failed/,
  });
});

t.test("renewals at the same time, one of them overtaken by a stop, end each connection once", async (t) => {
  let late: ((url: string) => void) | undefined;
  let isSlow = false;
  const source = (): string | Promise<string> => (isSlow ? new Promise((resolve) => (late = resolve)) : url);
  const manager = await manage(t, { url: source });
  await Promise.all([manager.renew(), manager.renew()]);
  t.equal((await manager.client.query("select 1 as n")).rows[0].n, 1);
  isSlow = true;
  const renewing = manager.renew();
  await until(() => late !== undefined);
  isSlow = false;
  await manager.renew();
  await manager.client.query("select 1");
  await manager.stop();
  late?.(url);
  await renewing;
  t.match(manager.stats(), { phase: "stopped", size: 0 });
});

t.test("is a resource of a container, and refuses calls once that has stopped", async (t) => {
  const pool = pgPool("pool", { url });
  const running = await container([pool]).start();
  const held = running.get(pool);
  t.equal((await held.query("select 1 as n")).rows[0].n, 1);
  await running.stop();
  await t.rejects(held.query("select 1"), { code: "RESOURCE_UNAVAILABLE" });
  await t.rejects(held.connect(), { code: "RESOURCE_UNAVAILABLE" });
});

t.test("a pool of one's own is guarded, and never ended", async (t) => {
  const own = new pg.Pool({ connectionString: url, max: 2 });
  t.teardown(() => own.end());
  const manager = await manage(t, { client: own });
  t.equal((await manager.client.query("select 1 as n")).rows[0].n, 1);
  await manager.stop();
  t.equal((await own.query("select 2 as n")).rows[0].n, 2);
});

t.test("a database of another environment refuses the start, also that of a pool of the user's", async (t) => {
  const { client: observer } = await manage(t, { url });
  const name = `steward_environment_${process.pid}`;
  await observer.query(`create database ${name}`);
  t.teardown(async () => {
    const { client } = await manage(t, { url });
    await client.query(`drop database ${name} with (force)`);
  });
  const marked = Object.assign(new URL(url), { pathname: `/${name}` }).href;
  const { client } = await manage(t, { url: marked, environment: "production", applicationName: "clips" });
  const { rows } = await client.query(
    "select current_setting('application_name') as name, (select environment from steward_environment)",
  );
  t.same(rows, [{ name: "clips/production", environment: "production" }]);
  const refused = { code: "ENVIRONMENT_MISMATCH", message: /marked for environment "production", and this is "test"/ };
  t.match(await failure(new PgPoolManager({ url: marked, environment: "test" }).start()), refused);
  t.match(await failure(new PgPoolManager({ client, environment: "test" }).start()), refused);
  t.throws(() => new PgPoolManager({ applicationName: "x".repeat(60), environment: "test" }), {
    message: /applicationName: must have at most 63 characters together with environment/,
  });
});
