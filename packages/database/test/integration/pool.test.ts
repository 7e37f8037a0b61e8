import { readFileSync } from "node:fs";
import { isStewardError, runWithContext, Secret } from "@steward/core";
import type { ManagerContext } from "@steward/core/driver";
import {
  Alarm,
  compareMembers,
  documentedMembers,
  failure,
  FakeClock,
  startFaultProxy,
  trackHandles,
  until,
} from "@steward/testing";
import { sql } from "drizzle-orm";
import { pgTable, serial, text, timestamp, json } from "drizzle-orm/pg-core";
import postgres from "postgres";
import t from "tap";
import { DATABASE_CHANNELS, DatabasePoolManager, type DatabaseInput } from "../../src/index.ts";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { openConnections, testServer, unlessPooled } from "./server.ts";

const place = await testServer();
t.teardown(() => place[Symbol.asyncDispose]());

const films = pgTable("films", {
  id: serial().primaryKey(),
  title: text().notNull(),
  seenAt: timestamp({ withTimezone: true }),
  tags: text().array(),
  extra: json().$type<{ stars: number }>(),
});

function open(options: DatabaseInput = {}, context: ManagerContext = {}): Promise<DatabasePoolManager> {
  return new DatabasePoolManager({ url: place.url, ...options }, { name: "films", ...context }).start();
}

/** Connections of one application name, as the server sees them. */
async function seen(name: string): Promise<readonly postgres.Row[]> {
  return place.observer`select pid, state, query, backend_start from pg_stat_activity where application_name = ${name}`;
}

t.test("member by member the raw client is one of postgres.js, but for what the README lists", async (t) => {
  const raw = postgres(place.url, { max: 7 });
  t.teardown(() => raw.end());
  await raw`select 1`;
  await using manager = await open({ maxConnections: 7 });
  const { $client } = manager.client;
  await $client`select 1`;
  const { compared, replaced, different } = compareMembers(raw, $client, Function.prototype);
  t.ok(compared > 15, `${compared} members`);
  const documented = documentedMembers(readFileSync("README.md", "utf8"), "Differences to postgres.js");
  t.same([...replaced, ...different].sort(), documented);
  const { host, port, user, database, path, max } = raw.options;
  t.match($client.options, { host, port, user, database, path, max, pass: null }, "it says where it leads");
});

t.test("gives dates as Date to the raw client and to drizzle alike, over one pool", async (t) => {
  await using manager = await new DatabasePoolManager({ url: place.url, maxConnections: 1, schema: { films } }).start();
  const db = manager.client;
  await db.$client`create table films (id serial primary key, title text not null, "seenAt" timestamptz, tags text[], extra json)`;
  const at = new Date("2026-01-02T03:04:05.678Z");
  await db.insert(films).values({ title: "drizzle", seenAt: at, tags: ["a", 'b"'], extra: { stars: 5 } });
  await db.$client`insert into films ${db.$client({ title: "raw", seenAt: at, tags: ["c"], extra: db.$client.json({ stars: 4 }) })}`;
  for (const round of [1, 2]) {
    const raw = await db.$client`select title, "seenAt", tags, extra, array["seenAt"] as dates from films order by id`;
    t.same(
      raw.map((r) => r["seenAt"]),
      [at, at],
      `raw rows hold Dates, round ${round}`,
    );
    t.same(
      raw.map((r) => r["dates"]),
      [[at], [at]],
      "in arrays too",
    );
    const rows = await db.select().from(films).orderBy(films.id);
    t.same(
      rows.map((r) => r.seenAt),
      [at, at],
      "rows of drizzle too",
    );
    t.same(
      rows.map((r) => [r.tags, r.extra]),
      [
        [["a", 'b"'], { stars: 5 }],
        [["c"], { stars: 4 }],
      ],
    );
    t.same((await db.query.films.findFirst({ where: (f, { eq }) => eq(f.title, "raw") }))?.seenAt, at);
  }
});

t.test("has every way of the driver to run a query", async (t) => {
  await using manager = await open({ maxConnections: 2 });
  const { $client } = manager.client;
  t.same(
    [...(await $client`select ${1}::int as one where ${$client`true`} and ${"x"} in ${$client(["x", "y"])}`)],
    [{ one: 1 }],
    "fragments and helpers",
  );
  t.same(await $client`select 1 as a, 2 as b`.values(), [[1, 2]]);
  t.same((await $client.unsafe("select $1::int as n", [7]))[0], { n: 7 });
  t.equal((await $client`select 1`.simple()).length, 1);
  t.equal((await $client.unsafe("select 1; select 2")).length, 2, "several statements at once");
  t.equal((await $client`select 1 as x`.describe()).columns.length, 1);
  const portions: number[] = [];
  for await (const rows of $client`select generate_series(1, 5) as n`.cursor(2)) portions.push(rows.length);
  t.same(portions, [2, 2, 1]);
  const seenRows: unknown[] = [];
  await $client`select generate_series(1, 3) as n`.forEach((row) => void seenRows.push(row["n"]));
  t.same(seenRows, [1, 2, 3]);
  await $client`create temporary table copied (n int)`.catch(() => {});
  const reading = await $client`copy (select generate_series(1, 3)) to stdout`.readable();
  let copied = "";
  for await (const chunk of reading) copied += String(chunk);
  t.equal(copied, "1\n2\n3\n");
  await until(() => manager.stats()["inUse"] === 0, "the copy gave its connection back");
  const large = await $client.largeObject();
  await large.write(Buffer.from("hello"));
  await large.close();
  await until(() => manager.stats()["inUse"] === 0, "the large object gave its connection back");
  t.equal((await failure($client`select * from nowhere`)).code, "42P01", "errors of the server are the driver's");
  t.same((await $client`select array[1, null]::int[] as n, ${["a", null]}::text[] as s, array[[1], [2]] as m`)[0], {
    n: [1, null],
    s: ["a", null],
    m: [[1], [2]],
  });
  t.equal((await failure($client`select ${undefined as never}`)).code, "UNDEFINED_VALUE");
  t.same([...(await $client`select 1 as still`)], [{ still: 1 }], "and the connection goes on");
  t.match(manager.stats(), { size: 1, inUse: 0, idle: 1, pending: 0, max: 2 });
});

t.test(
  "keeps its database through stop, start and renewal",
  unlessPooled("renewed connections may meet the same backends"),
  async (t) => {
    const manager = await open({ applicationName: "renewing" });
    const { client } = manager;
    const { $client } = client;
    const pid = async (): Promise<unknown> => (await $client`select pg_backend_pid() as pid`)[0]?.["pid"];
    const first = await pid();
    t.equal(await pid(), first);
    await manager.renew();
    t.not(await pid(), first, "a renewal replaces the connections");
    const reserved = await $client.reserve();
    await manager.renew();
    await reserved`select 1`;
    reserved.release();
    await until(async () => (await seen("renewing")).length <= 1, "a connection in use is replaced when it comes back");
    await manager.stop();
    t.equal((await failure($client`select 1`)).code, "RESOURCE_UNAVAILABLE");
    t.equal(
      (await failure($client.reserve())).code,
      "RESOURCE_UNAVAILABLE",
      "an ended pool does not come back to life",
    );
    t.equal((await failure($client.begin(() => []))).code, "RESOURCE_UNAVAILABLE");
    t.equal((await seen("renewing")).length, 0, "nothing is left at the server");
    await manager.start();
    t.equal(manager.client, client);
    t.type(await pid(), "number");
    t.equal((await failure($client.end())).code, "LIFECYCLE_CONFLICT", "who started it stops it");
    await manager.stop();
  },
);

t.test(
  "runs as many at once as there are connections, the others in their order, and refuses past the bound",
  async (t) => {
    await using manager = await open({ maxConnections: 4, maxPending: 996 });
    const { $client } = manager.client;
    const served = new Map<number, number[]>();
    const all = Array.from({ length: 1_000 }, async (_, i) => {
      const [row] = await $client<
        [{ i: number; pid: number }]
      >`select ${i}::int as i, pg_backend_pid() as pid`.execute();
      served.set(row.pid, [...(served.get(row.pid) ?? []), row.i]);
    });
    const refused = await failure($client`select 1`);
    t.equal(refused.code, "OVERLOADED");
    t.match(refused.message, "in use 4 of 4, pending 996 of 996");
    await Promise.all(all);
    for (const order of served.values())
      t.same(
        order,
        [...order].sort((a, b) => a - b),
        "each connection serves in the order of asking",
      );
    t.match(manager.stats(), { size: 4, opened: 4, started: 1_000, succeeded: 1_000, overloaded: 1 });
  },
);

t.test("bounds the wait for a connection, for queries, reservations and transactions alike", async (t) => {
  await using manager = await open({ maxConnections: 1, acquireTimeoutMs: 100 });
  const { $client } = manager.client;
  const held = await $client.reserve();
  using alarm = new Alarm(1_000);
  const waiting = [
    $client`select 1`,
    $client.reserve(),
    $client.begin((s) => s`select 1`),
    manager.client.execute(sql`select 1`),
  ];
  for (const error of await Promise.all(waiting.map(failure)))
    t.ok(isStewardError(isStewardError(error) ? error : error.cause, "DEADLINE_EXCEEDED"));
  t.notOk(alarm.hasRung);
  t.equal((await held`select 1 as x`)[0]?.["x"], 1);
  held.release();
  t.equal((await $client`select 2 as x`)[0]?.["x"], 2);
});

t.test("cancels at the server what ran out of time, and the connection goes on", async (t) => {
  const clock = new FakeClock();
  await using manager = await open({ maxConnections: 1, timeoutMs: 150, applicationName: "slow" }, { clock });
  const { $client } = manager.client;
  const late = failure($client`select pg_sleep(30)`);
  await until(async () => (await seen("slow")).some((row) => row["state"] === "active"), "the server has begun it");
  await clock.advance(158);
  t.equal((await late).code, "DEADLINE_EXCEEDED");
  await until(async () => (await seen("slow")).every((row) => row["state"] === "idle"), "the server stopped it");
  const [pid] = await seen("slow");
  t.equal((await $client`select pg_backend_pid() as pid`)[0]?.["pid"], pid?.["pid"], "on the same connection");
  const inContext = runWithContext({ deadline: clock.now() + 60 }, () => failure($client`select pg_sleep(30)`));
  await clock.advance(68);
  t.equal((await inContext).code, "DEADLINE_EXCEEDED", "the deadline of the request counts too");
  await $client`select 1`;
});

t.test("cancels a query whose caller wants it no longer, queued or running", async (t) => {
  await using manager = await open({ maxConnections: 1, applicationName: "cancelling" });
  const { $client } = manager.client;
  const running = $client`select pg_sleep(30)`.execute();
  const queued = $client`select 1`.execute();
  await until(() => manager.stats()["pending"] === 1, "one runs, one waits");
  const sleeps = async (): Promise<boolean> =>
    (await seen("cancelling")).some(({ state, query }) => state === "active" && String(query).includes("pg_sleep"));
  await until(sleeps, "the server has begun it, so there is something to cancel");
  queued.cancel();
  t.equal((await failure(queued)).code, "57014");
  running.cancel();
  t.equal((await failure(running)).code, "57014");
  t.equal((await $client`select 1 as x`)[0]?.["x"], 1);
});

t.test("never lets a slow query delay a fast one while a connection is free", async (t) => {
  await using manager = await open({ maxConnections: 4 });
  const { $client } = manager.client;
  const slow = $client`select pg_sleep(60)`.execute();
  await Promise.all(Array.from({ length: 40 }, () => $client`select 1`));
  t.equal(manager.stats()["inUse"], 1, "40 fast ones went by");
  slow.cancel();
  t.equal((await failure(slow)).code, "57014");
});

t.test(
  "closes what is idle for long and replaces what is old",
  unlessPooled("the server sees the pooler's connections"),
  async (t) => {
    await using manager = await open({ maxConnections: 3, idleConnectionTimeoutMs: 200, applicationName: "ageing" });
    await openConnections(manager.client, 3);
    t.match(manager.stats(), { opened: 3 });
    await until(async () => (await seen("ageing")).length === 0, "idle connections are closed");
    await using old = await open({ maxConnections: 1, maxLifetimeMs: 150, applicationName: "old" });
    const pid = async (): Promise<unknown> => (await old.client.$client`select pg_backend_pid() as pid`)[0]?.["pid"];
    const first = await pid();
    await until(async () => (await pid()) !== first, "another connection");
  },
);

t.test("tells the server its name and its limits", unlessPooled("limits of a session are refused"), async (t) => {
  await using manager = await open({
    applicationName: "limited",
    statementTimeoutMs: 40_000,
    idleInTransactionTimeoutMs: 7_000,
  });
  const { $client } = manager.client;
  const setting = async (name: string): Promise<unknown> =>
    (await $client`select current_setting(${name}) as value`)[0]?.["value"];
  t.equal(await setting("application_name"), "limited");
  t.equal(await setting("statement_timeout"), "40s");
  t.equal(await setting("idle_in_transaction_session_timeout"), "7s");
});

t.test("connects by parts, with a password that is a function asked at each connect", async (t) => {
  const url = new URL(place.url);
  let asked = 0;
  const password = (): Promise<string> => {
    asked++;
    return Promise.resolve(decodeURIComponent(url.password));
  };
  const manager = new DatabasePoolManager({
    host: url.hostname,
    port: Number(url.port),
    user: url.username,
    password,
    database: url.pathname.slice(1),
    maxConnections: 2,
    silenceMs: 60_000, // where the machine stands still, the server is asked over one more
  });
  await manager.start();
  await openConnections(manager.client, 2);
  t.equal(asked, 2, "once for each connection");
  await manager.stop();
  await using other = await new DatabasePoolManager({ url: new Secret(() => Promise.resolve(place.url)) }).start();
  await other.client.$client`select 1`;
});

t.test("refuses to start with what cannot work, and says why", unlessPooled("every refusal is 08P01"), async (t) => {
  const wrong = Object.assign(new URL(place.url), { password: "hunter2" }).href;
  const nowhere = Object.assign(new URL(place.url), { pathname: "/no_such_database" }).href;
  const unreachable = "postgres://app:hunter2@127.0.0.1:1/app";
  for (const [url, why] of [
    [wrong, "28P01"],
    [nowhere, "3D000"],
    [unreachable, "ECONNREFUSED"],
  ] as const) {
    const error = await failure(new DatabasePoolManager({ url }, { name: "films" }).start());
    t.equal(error.code, "DATABASE_CONNECT_FAILED");
    t.match(error.message, why);
    t.notMatch(JSON.stringify(error) + error.message + String(error.stack), "hunter2");
  }
});

t.test("looks after a client of yours and never closes it", async (t) => {
  const yours = postgres(place.url, { max: 2 });
  const manager = await new DatabasePoolManager({ client: yours, acquireTimeoutMs: 1_000 }).start();
  t.equal((await manager.client.execute(sql`select 1 as one`))[0]?.["one"], 1);
  await manager.client.$client.begin((s) => s`select 1`);
  const held = await Promise.all([manager.client.$client.reserve(), manager.client.$client.reserve()]);
  t.equal((await failure(manager.client.$client`select 1`)).code, "DEADLINE_EXCEEDED");
  for (const one of held) one.release();
  await manager.probe();
  await manager.stop();
  t.equal((await yours`select 1 as still`)[0]?.["still"], 1);
  await yours.end();
});

t.test("reports a reservation that is held for long, with the place that made it", async (t) => {
  const events: unknown[] = [];
  const hear = (event: unknown): void => void events.push(event);
  subscribe(DATABASE_CHANNELS.leak, hear);
  t.teardown(() => unsubscribe(DATABASE_CHANNELS.leak, hear));
  await using manager = await open({ leakThresholdMs: 50 });
  async function forgetful(): Promise<postgres.ReservedSql> {
    return manager.client.$client.reserve();
  }
  const held = await forgetful();
  await until(() => events.length > 0, "a report");
  t.match(events[0], { resource: "films", heldMs: 50, stack: /pool\.test/ });
  const overdue = (): unknown =>
    [...manager.metrics()].find(({ name }) => name === "steward.database.overdue_leases")?.value;
  t.equal(overdue(), 1);
  held.release();
  await until(() => overdue() === 0, "the end of the lease");
});

t.test("ends a reservation that takes too long, and tells its holder", async (t) => {
  await using manager = await open({ maxConnections: 1, transactionTimeoutMs: 100 });
  const held = await manager.client.$client.reserve();
  await until(
    async () =>
      await held`select 1`.then(
        () => false,
        () => true,
      ),
    "the end of it",
  );
  t.equal((await failure(held`select 1`)).code, "DATABASE_LEASE_ENDED");
  t.equal((await manager.client.$client`select 1 as x`)[0]?.["x"], 1, "its place is free again");
  held.release();
});

t.test("warns when all instances together may open more connections than the server has", async (t) => {
  const events: unknown[] = [];
  const hear = (event: unknown): void => void events.push(event);
  subscribe(DATABASE_CHANNELS.overcommit, hear);
  t.teardown(() => unsubscribe(DATABASE_CHANNELS.overcommit, hear));
  await (await open({ maxConnections: 5, instances: 2 })).stop();
  t.same(events, []);
  await (await open({ maxConnections: 50, instances: 3 })).stop();
  t.match(events, [{ resource: "films", wanted: 150, allowed: Number }]);
});

t.test("leaves no handle behind", unlessPooled("listen() is refused"), async (t) => {
  const handles = trackHandles();
  const manager = await open({ maxConnections: 4 });
  await Promise.all(Array.from({ length: 8 }, () => manager.client.$client`select 1`));
  await manager.client.$client.listen("x", () => {});
  await manager.stop();
  await handles.assertNoLeaks();
  t.pass("all released");
});

t.test(
  "a breaker refuses queries at once while the server is gone, and errors that it replies do not open it",
  async (t) => {
    const proxy = await startFaultProxy({ target: place.url });
    t.teardown(() => proxy.stop());
    const url = Object.assign(new URL(place.url), { hostname: "127.0.0.1", port: String(proxy.port) }).href;
    const clock = new FakeClock();
    const breaker = { consecutiveFailures: 3, breakDurationMs: 60_000 };
    await using manager = await open({ url, timeoutMs: 200, breaker }, { clock });
    const { $client } = manager.client;
    for (let i = 0; i < 5; i++) await t.rejects($client`select * from nothing_of_that_name`, { code: "42P01" });
    t.equal(manager.passive.failingRatio, 0);
    proxy.blackhole();
    const failures = [];
    for (let i = 0; i < 4; i++) failures.push(await clock.runUntil(failure($client`select 1`)));
    t.match(failures.at(-1), { code: "CIRCUIT_OPEN" });
    t.equal(manager.passive.failingRatio, 1);
    await clock.runUntil(manager.stop());
  },
);

t.test(
  "whoever waits for a connection learns at once that it can have none, when the server lets the user in no more",
  unlessPooled("the pooler lets the user in"),
  async (t) => {
    const role = `steward_guest_${process.pid}`;
    await place.observer.unsafe(`create role ${role} login password 'guest'`);
    t.teardown(() => place.observer.unsafe(`drop role if exists ${role}`).then(() => undefined));
    const url = Object.assign(new URL(place.url), { username: role, password: "guest" }).href;
    await using manager = await open({ url, maxConnections: 1, acquireTimeoutMs: 20_000 });
    await place.observer.unsafe(`alter role ${role} nologin`);
    await place.observer`select pg_terminate_backend(pid) from pg_stat_activity where usename = ${role}`;
    await until(() => manager.stats()["idle"] === 0, "the connection is gone");
    const since = performance.now();
    const error = await failure(manager.client.$client`select 1`.execute());
    t.match(error, { code: "DATABASE_CONNECT_FAILED", retryable: false });
    t.ok(performance.now() - since < 10_000, "it did not sit out its 20 s");
  },
);
