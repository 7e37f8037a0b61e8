import { mkdtemp, mkdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { currentContext, runWithContext, systemClock } from "@steward/core";
import { FakeClock } from "@steward/core/testing";
import { Alarm, failure, startFaultProxy, until } from "@steward/testing";
import { startPostgres, type PostgresServer } from "@steward/launchers";
import postgres from "postgres";
import t from "tap";
import * as v from "valibot";
import { driverClient } from "../../src/connections/driver.ts";
import { endpointOf } from "../../src/connections/endpoint.ts";
import { Replica } from "../../src/direct/replica.ts";
import { DatabasePoolManager, migrate, pubSub, type DatabaseInput } from "../../src/index.ts";
import { databaseSchema } from "../../src/options.ts";
import { testServer, unlessPooled } from "./server.ts";

const place = await testServer();
const folder = await mkdtemp(join(tmpdir(), "steward-migrations-"));
t.teardown(async () => {
  await rm(folder, { recursive: true });
  await place[Symbol.asyncDispose]();
});

/**
 * What a busy machine may need from the end of the wait for a lock until the migration is rolled back and the next in the queue has its
 * lock. Less than the wait, so that waiting for two migrations in a row would be seen.
 */
const ROLLBACK_MS = 250;

let started: Promise<PostgresServer> | undefined;

/** A server of this file that replicates changes, with a table and its publication. */
function replicating(): Promise<PostgresServer> {
  return (started ??= (async () => {
    const server = await startPostgres({ settings: { wal_level: "logical" } });
    t.teardown(() => server.stop());
    const client = postgres(server.url, { max: 1 });
    await client.unsafe("create table films (id int primary key); create publication alltables for all tables");
    await client.end();
    return server;
  })());
}

/** What is thrown where nobody catches it, until the test ends. */
function uncaught(test: { teardown(end: () => void): unknown }): unknown[] {
  const thrown: unknown[] = [];
  const taken = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException").on("uncaughtException", (error) => thrown.push(error));
  test.teardown(() => {
    process.removeAllListeners("uncaughtException");
    for (const listener of taken) process.on("uncaughtException", listener);
  });
  return thrown;
}

/** A folder as drizzle-kit writes it. */
async function migrations(name: string, statements: readonly string[]): Promise<string> {
  const path = join(folder, name);
  await mkdir(join(path, "meta"), { recursive: true });
  const entries = statements.map((_, idx) => ({
    idx,
    version: "7",
    when: 1_700_000_000_000 + idx,
    tag: `${idx}_step`,
    breakpoints: true,
  }));
  await writeFile(join(path, "meta/_journal.json"), JSON.stringify({ version: "7", dialect: "postgresql", entries }));
  for (const [idx, statement] of statements.entries()) await writeFile(join(path, `${idx}_step.sql`), statement);
  return path;
}

t.test(
  "applies migrations once, however many instances start at the same time",
  unlessPooled("limits of a session are refused"),
  async (t) => {
    const url = await place.freshDatabase();
    const path = await migrations("many", [
      "create table films (id int);\n--> statement-breakpoint\ninsert into films select 1 from pg_sleep(0.3);",
      "insert into films values (2);",
    ]);
    const managers = Array.from(
      { length: 5 },
      () =>
        new DatabasePoolManager({
          url,
          migrations: path,
          maxConnections: 2,
          statementTimeoutMs: 100,
          timeoutMs: 100,
        }),
    );
    await Promise.all(managers.map((manager) => manager.start()));
    await Promise.all(managers.map((manager) => manager.stop()));
    await using later = await new DatabasePoolManager({
      url,
      migrations: { folder: path, table: "__drizzle_migrations", schema: "drizzle" },
    }).start();
    const films = await later.client.$client`select id from films order by id`.values();
    t.same(films, [[1], [2]], "nothing is applied twice");
    const locks = await later.client.$client`select 1 from pg_locks where locktype = 'advisory'`;
    t.equal(locks.length, 0, "the lock is given back");
  },
);

t.test(
  "a migration that has to wait for a lock gives way to traffic, at all of the instances that start",
  async (t) => {
    const url = await place.freshDatabase();
    const path = await migrations("waiting", ["create table films (id int);"]);
    await migrate({ url, migrations: path });
    const observer = postgres(url, { max: 3, onnotice() {} });
    await observer`create table others ()`;
    const reader = await observer.reserve();
    await reader`begin`;
    await reader`select * from films`; // holds a lock that the next migration has to wait for
    await migrations("waiting", ["create table films (id int);", "alter table films add column title text;"]);
    const lockTimeoutMs = 300;
    const folder = { folder: path, lockTimeoutMs };
    t.match(await failure(new DatabasePoolManager({ url, migrations: { ...folder, mode: "check" } }).start()), {
      code: "DATABASE_SCHEMA_BEHIND",
      retryable: true,
    });
    const waiting = new DatabasePoolManager({ url, migrations: { ...folder, mode: "wait" } });
    const replicas = [1, 2].map(() => new DatabasePoolManager({ url, migrations: folder })).concat(waiting);
    const starts = replicas.map((manager) => manager.start());
    // How long the server has had each query, once it has its lock: what the machine adds is seen at a table that no one alters.
    const slowest = { films: 0, others: 0 };
    const ask = async (table: keyof typeof slowest): Promise<void> => {
      const text = `select count(*), extract(epoch from clock_timestamp() - statement_timestamp())::float8 * 1000 as ms from ${table}`;
      const [row] = await observer.unsafe(text).simple(); // in one message, whose arrival is the time of the statement
      slowest[table] = Math.max(slowest[table], row?.["ms"]);
    };
    const someWaited = (): boolean => slowest.films > lockTimeoutMs / 2;
    for (const until = performance.now() + 1_200; performance.now() < until || !someWaited();)
      await Promise.all([ask("films"), ask("others")]);
    t.comment(`waited for at most ${Math.round(slowest.films)} ms, others ${Math.round(slowest.others)} ms`);
    t.ok(
      slowest.films < lockTimeoutMs + slowest.others + ROLLBACK_MS,
      `${slowest.films} ms, others ${slowest.others} ms`,
    );
    t.ok(replicas.every(({ phase }) => phase === "starting"));
    await reader`commit`;
    reader.release();
    await Promise.all(starts);
    const [row] = await observer`select count(*)::int as count from drizzle.__drizzle_migrations`;
    t.equal(row?.["count"], 2, "it was applied once");
    await using checked = await new DatabasePoolManager({ url, migrations: { ...folder, mode: "check" } }).start();
    t.equal(checked.phase, "ready");
    await Promise.all(replicas.map((manager) => manager.stop()));
    await observer.end();
  },
);

t.test(
  "a start passes over a host that takes no connection, and asks again for a password that was refused",
  async (t) => {
    const { username, password: right, host, pathname } = new URL(await place.freshDatabase());
    const url = `postgres://${username}@127.0.0.1:1,${host}${pathname}`;
    const path = await migrations("second-host", ["create table films (id int);"]);
    const said: string[] = [];
    const password = (): string => said.shift() ?? right;
    const manager = new DatabasePoolManager({ url, password, environment: "test", migrations: path });
    said.push("old", "old");
    await using _started = await manager.start();
    t.equal((await manager.client.$client`select count(*)::int as count from films`)[0]?.["count"], 0);
    said.push(...Array.from({ length: 9 }, () => "wrong"));
    t.match(await failure(new DatabasePoolManager({ url, password, environment: "test" }).start()), {
      code: "DATABASE_CONNECT_FAILED",
      retryable: false,
      message: /no connection to .*authentication failed/,
    });
    t.equal(said.length, 4, "no more than five times");
  },
);

t.test("names the migrations that fail, rolls them back, and lets the next start try again", async (t) => {
  const url = await place.freshDatabase();
  const path = await migrations("broken", ["create table fine (id int);", "create table broken (id nonsense);"]);
  const manager = new DatabasePoolManager(
    { url, migrations: { folder: path, table: "done", schema: "meta" } },
    { name: "films" },
  );
  const error = await failure(manager.start());
  t.equal(error.code, "DATABASE_MIGRATION_FAILED");
  t.match(error.message, /films: migrations of .*broken failed: type "nonsense" does not exist/);
  t.equal(manager.phase, "failed");
  await migrations("broken", ["create table fine (id int);", "create table broken (id int);"]);
  await manager.start();
  t.equal((await manager.client.$client`select * from meta.done`).length, 2, "in the table that was asked for");
  await manager.stop();
});

t.test("migrates over another URL where the first one is that of a pooler", async (t) => {
  const url = await place.freshDatabase();
  const proxy = await startFaultProxy({ target: url });
  const path = await migrations("direct", ["create table films (id int);"]);
  await using manager = await new DatabasePoolManager({
    url: proxy.url,
    maxConnections: 1,
    migrations: { folder: path, url },
  }).start();
  t.equal(proxy.stats().total, 1, "only the pool goes through the pooler");
  t.equal((await manager.client.$client`select * from films`).length, 0);
  await manager.stop();
  await proxy.stop();
});

t.test("a database of another environment refuses the start before anything is changed there", async (t) => {
  const [url, other] = [await place.freshDatabase(), await place.freshDatabase()];
  const path = await migrations("environment", ["create table films (id int);"]);
  const open = (options: DatabaseInput): Promise<DatabasePoolManager> =>
    new DatabasePoolManager({ url, maxConnections: 1, ...options }).start();
  const made = async (manager: DatabasePoolManager, name: string): Promise<boolean> =>
    (await manager.client.$client`select to_regclass(${name}) is not null as made`)[0]?.["made"];
  {
    await using unsaid = await open({});
    t.equal(await made(unsaid, "steward_environment"), false, "nothing is marked unless it is asked for");
    await using production = await open({ environment: "production", applicationName: "clips" });
    const [row] = await production.client.$client`select current_setting('application_name') as name`;
    t.equal(row?.["name"], "clips/production");
    await using second = await open({ environment: "production" });
    t.same(await second.client.$client`select environment from steward_environment`, [{ environment: "production" }]);
  }
  const refused = { code: "ENVIRONMENT_MISMATCH", message: /marked for environment "production", and this is "test"/ };
  t.match(await failure(open({ environment: "test", migrations: path })), refused);
  t.match(await failure(open({ url: other, environment: "test", migrations: { folder: path, url } })), refused);
  t.match(await failure(open({ url: undefined, client: postgres(url), environment: "test" })), refused);
  await using unsaid = await open({});
  t.equal(await made(unsaid, "films"), false);
});

t.test("of environments that mark a database at the same time one wins, and who may only read compares", async (t) => {
  const url = await place.freshDatabase();
  const environments = Array.from({ length: 12 }, (_, i) => (i % 2 === 0 ? "staging" : "production"));
  const managers = environments.map((environment) => new DatabasePoolManager({ url, environment, maxConnections: 1 }));
  const ends = await Promise.allSettled(managers.map((manager) => manager.start()));
  const winners = environments.filter((_, i) => ends[i]?.status === "fulfilled");
  t.equal(new Set(winners).size, 1);
  t.equal(winners.length, 6, "all of one environment");
  for (const end of ends) if (end.status === "rejected") t.equal(end.reason.code, "ENVIRONMENT_MISMATCH");
  await Promise.all(managers.map((manager) => manager.stop()));
  const reader = `reader_${process.pid}`;
  await using owner = await new DatabasePoolManager({ url, maxConnections: 1 }).start();
  const { $client } = owner.client;
  await $client.unsafe(`create role ${reader} login password 'reads-only'; revoke create on schema public from public`);
  t.teardown(() => place.observer.unsafe(`drop role ${reader}`));
  const read = Object.assign(new URL(url), { username: reader, password: "reads-only" }).href;
  const open = (): Promise<DatabasePoolManager> =>
    new DatabasePoolManager({ url: read, maxConnections: 1, environment: winners[0] }).start();
  t.match(await failure(open()), {
    code: "ENVIRONMENT_MISMATCH",
    message: /may not read or make the mark of the environment: .*42501/,
  });
  await $client.unsafe(`grant select on steward_environment to ${reader}`);
  await (await open()).stop();
  await $client.unsafe(`drop owned by ${reader}`);
});

t.test("gives up waiting for the migrations of another when its start is given up", async (t) => {
  const url = await place.freshDatabase();
  const path = await migrations("slow", ["select pg_sleep(30);"]);
  const first = new DatabasePoolManager({ url, migrations: path });
  const starting = first.start();
  await until(
    async () => (await place.observer`select 1 from pg_locks where locktype = 'advisory'`).length > 0,
    "the first migrates",
  );
  const second = new DatabasePoolManager({ url, migrations: path }, { startTimeoutMs: 300 });
  using alarm = new Alarm(10_000);
  t.equal((await failure(second.start())).code, "START_TIMEOUT");
  t.notOk(alarm.hasRung);
  await first.stop();
  t.equal((await failure(starting)).code, "START_ABORTED", "and a migration under way is cut off by a stop");
  await second.stop();
});

t.test(
  "publishes in order over many connections, and lets no more than 1,000 messages wait",
  unlessPooled("listen() is refused"),
  async (t) => {
    await using manager = await new DatabasePoolManager({ url: place.url, maxConnections: 8 }).start();
    const bus = pubSub(manager.client);
    const heard: string[] = [];
    await bus.subscribe("numbers", (payload) => heard.push(payload));
    const sent = Array.from({ length: 1_000 }, (_, i) => `${i}`);
    const publishing = sent.map((number) => bus.publish("numbers", number));
    t.equal((await failure(bus.publish("numbers", "one too many"))).code, "OVERLOADED");
    await Promise.all(publishing);
    await until(() => heard.length === sent.length, "all are heard");
    t.same(heard, sent);
    await failure(bus.publish("numbers", "x".repeat(8_000)));
    await bus.publish("numbers", "after a failure");
    await until(() => heard.length > sent.length, "one that fails holds nobody up");
    t.equal(heard.at(-1), "after a failure");
  },
);

t.test(
  "hears notifications, and again after its connection broke, and tells of the gap",
  unlessPooled("listen() is refused"),
  async (t) => {
    const proxy = await startFaultProxy({ target: place.url });
    await using manager = await new DatabasePoolManager({ url: proxy.url, maxConnections: 2 }).start();
    const { $client } = manager.client;
    const heard: string[] = [];
    let listened = 0;
    let gaps = 0;
    const bus = pubSub(manager.client);
    const stopGaps = bus.onGap?.(() => gaps++);
    const { unlisten } = await $client.listen(
      'films "new"',
      (payload) => heard.push(payload),
      () => listened++,
    );
    const unsubscribe = await bus.subscribe("other", (payload) => heard.push(`other ${payload}`));
    await $client.notify('films "new"', "one");
    await bus.publish("other", "two");
    await until(() => heard.length === 2, "both are heard");
    t.same(heard, ["one", "other two"]);
    t.same([listened, gaps], [1, 0]);
    proxy.reset();
    await until(() => gaps === 1, "it listens again");
    t.equal(listened, 2);
    await $client.notify('films "new"', "three");
    await bus.publish("other", "four");
    await until(() => heard.length === 4, "both are heard again");
    await unlisten();
    await unsubscribe();
    await $client.notify('films "new"', "five");
    stopGaps?.();
    t.same(heard, ["one", "other two", "three", "other four"]);
    t.equal(manager.stats()["max"], 2, "none of this takes a connection of the pool");
    const wrong = [
      $client.listen(undefined as never, () => {}),
      $client.listen("films", undefined as never),
      $client.subscribe(undefined as never, () => {}),
      $client.subscribe("*", undefined as never),
      bus.subscribe("é".repeat(32), () => {}), // 64 bytes, which publish() refuses too
    ];
    for (const refused of wrong) t.equal((await failure(refused)).code, "OPTIONS_INVALID");
    await manager.stop();
    t.equal((await failure(bus.subscribe("other", () => {}))).code, "RESOURCE_UNAVAILABLE");
    await proxy.stop();
  },
);

t.test("an onListen that throws fails its listen() alone", unlessPooled("listen() is refused"), async (t) => {
  const url = `${place.url}?application_name=throwing`;
  await using manager = await new DatabasePoolManager({ url }).start();
  const { $client } = manager.client;
  const wrong = new Error("wrong");
  const thrown = uncaught(t);
  let turns = 0;
  const connections = async (): Promise<readonly unknown[]> =>
    place.observer`select pid from pg_stat_activity where application_name = 'throwing' and query like 'listen%'`;
  const throwing = (): void => {
    throw wrong;
  };
  const later = (): void => {
    if (++turns > 1) throw wrong;
  };
  t.equal(await failure($client.listen("a", () => {}, throwing)), wrong);
  const heard: string[] = [];
  await $client.listen("b", (payload) => void heard.push(payload), later);
  await place.observer`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'throwing' and query like 'listen%'`;
  await until(() => turns === 2, "it listens again");
  const [now] = await connections();
  await $client.notify("b", "news");
  await until(() => heard.length === 1, "it hears");
  t.same(thrown, [wrong]);
  t.same(await connections(), [now], "over one connection, which is not made again");
});

t.test(
  "whoever listens to a further channel while the connection is broken silences no other channel",
  unlessPooled("listen() is refused"),
  async (t) => {
    const url = `${place.url}?application_name=further`;
    await using manager = await new DatabasePoolManager({ url }).start();
    const { $client } = manager.client;
    const [heard, gaps]: [string[], string[]] = [[], []];
    pubSub(manager.client).onGap?.(() => gaps.push("gap"));
    const listen = (channel: string): Promise<unknown> => $client.listen(channel, () => void heard.push(channel));
    await listen("first");
    await place.observer`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'further' and query like 'listen%'`;
    // Until one finds it broken. That one connects before the listener would do so by itself.
    for (let i = 0; i < 20; i++) await listen(`further${i}`).catch(() => {});
    await until(() => gaps.length === 1, "it listens again");
    await $client.notify("first", "");
    await $client.notify("further19", "");
    await until(() => heard.length === 2, "both are heard");
    t.same(heard, ["first", "further19"]);
    t.equal(gaps.length, 1);
  },
);

t.test(
  "what arrives on a channel is nothing that the request does which happened to listen first",
  unlessPooled("listen() is refused"),
  async (t) => {
    const passwords: unknown[] = [];
    const password = (): string => {
      passwords.push(currentContext());
      return decodeURIComponent(new URL(place.url).password);
    };
    const url = Object.assign(new URL(place.url), { password: "" }).href;
    await using manager = await new DatabasePoolManager({ url, password, maxConnections: 2 }).start();
    const { $client } = manager.client;
    const heard: unknown[] = [];
    await runWithContext({ requestId: "first", actor: "alice", deadline: systemClock.now() + 60_000 }, async () => {
      await $client.listen("contexts", () => void heard.push(currentContext()));
      const held = [await $client.reserve(), await $client.reserve()]; // one of them is made for it
      for (const connection of held) connection.release();
    });
    await $client.notify("contexts", "");
    await until(() => heard.length === 1, "it is heard");
    t.same(heard, [undefined]);
    t.same(passwords, [undefined, undefined, undefined], "nor is its deadline one of connections for all");
  },
);

t.test(
  "a listener that connects again does so with the URL that the last renewal was told",
  unlessPooled("listen() is refused"),
  async (t) => {
    let word = "first-url";
    const url = (): string => `${place.url}?application_name=${word}`;
    await using manager = await new DatabasePoolManager({ url }).start();
    const heard: string[] = [];
    await manager.client.$client.listen("renewed", (payload) => void heard.push(payload));
    word = "second-url";
    await manager.renew();
    await place.observer`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'first-url'`;
    await until(
      async () =>
        (await place.observer`select 1 from pg_stat_activity where application_name = ${word} and query like 'listen%'`)
          .length === 1,
      "it listens again",
    );
    await manager.client.$client.notify("renewed", "news");
    await until(() => heard.length > 0, "it hears");
    t.same(heard, ["news"]);
  },
);

t.test("a subscription follows its database to the host that takes over", async (t) => {
  const [first, second] = await Promise.all([1, 2].map(() => startPostgres({ settings: { wal_level: "logical" } })));
  if (first === undefined || second === undefined) throw new Error("no servers");
  t.teardown(() => Promise.all([first.stop(), second.stop()]));
  // Two servers with the same password and tables stand for a primary and what was its standby.
  const password = encodeURIComponent(first.password);
  const here = postgres(second.url, { max: 1, onnotice() {}, pass: () => accepted });
  t.teardown(() => here.end({ timeout: 2 }));
  let accepted = second.password;
  const schema = "create table films (id int primary key); create publication alltables for all tables";
  await here.unsafe(`${schema}; alter role postgres password '${first.password}'`);
  accepted = first.password;
  await second.kill();
  const url = `postgres://postgres:${password}@127.0.0.1:${first.port},127.0.0.1:${second.port}/postgres`;
  await using manager = await new DatabasePoolManager({ url, maxConnections: 1, breaker: false }).start();
  const { $client } = manager.client;
  await $client.unsafe(schema);
  const heard: unknown[] = [];
  let subscribed = 0;
  const { unsubscribe } = await $client.subscribe(
    "insert",
    (row) => void heard.push(row?.["id"]),
    () => subscribed++,
  );
  await $client`insert into films values (1)`;
  await until(() => heard.length === 1, "of the first");
  await first.kill();
  await second.restart();
  await until(() => subscribed === 2, "it subscribes at the other");
  await here`insert into films values (2)`;
  await until(() => heard.length === 2, "of the other");
  t.same(heard, [1, 2]);
  const others: unknown[] = [];
  await $client.subscribe("insert", (row) => void others.push(row?.["id"]));
  unsubscribe();
  await here`insert into films values (3)`;
  await until(() => others.length === 1, "of one who still listens");
  t.same(heard, [1, 2], "the handle of the first server ends it at the other");
});

t.test("a stop ends what is about to subscribe or to listen, and leaves nothing of it at the server", async (t) => {
  const { url } = await replicating();
  await using proxy = await startFaultProxy({ target: url });
  const observer = postgres(url, { max: 1 });
  t.teardown(() => observer.end({ timeout: 2 }));
  const slots = async (): Promise<number> => (await observer`select 1 from pg_replication_slots`).length;
  const manager = new DatabasePoolManager({ url: proxy.url, maxConnections: 1 });
  const { $client } = manager.client;
  const stopped = { code: "RESOURCE_UNAVAILABLE", message: /stopped/ };
  const heard: unknown[] = [];
  const begin = (): readonly Promise<Error>[] => [
    failure($client.subscribe("*", () => void heard.push("a change"))),
    failure($client.listen("early", () => {})),
  ];
  const atStop = async (reached: () => Promise<boolean>): Promise<void> => {
    await manager.start();
    const [subscribing, listening] = begin();
    await until(reached, "it is under way");
    await manager.stop();
    t.match(await subscribing, stopped);
    t.match(await listening, stopped);
    await until(async () => (await slots()) === 0, "the slot is gone");
  };
  await atStop(async () => true);
  await manager.start();
  await proxy.latency(50); // so that the server is ahead of what its client knows
  const subscribing = failure($client.subscribe("*", () => void heard.push("a change")));
  await until(async () => (await slots()) === 1, "there is a slot");
  await manager.stop();
  t.match(await subscribing, stopped);
  await until(async () => (await slots()) === 0, "the slot is gone");
  await observer`insert into films values (100)`;
  await until(async () => proxy.stats().open === 0, "no connection is left");
  t.same(heard, []);
});

t.test("what was listened and subscribed to before a stop is so again after the next start", async (t) => {
  const { url } = await replicating();
  await using manager = await new DatabasePoolManager({ url, maxConnections: 1 }).start();
  const { $client } = manager.client;
  const heard: string[] = [];
  const begun = { subscribe: 0, listen: 0, gaps: 0 };
  pubSub(manager.client).onGap?.(() => begun.gaps++);
  const subscription = await $client.subscribe(
    "insert",
    (row) => void heard.push(`row ${row?.["id"]}`),
    () => begun.subscribe++,
  );
  const { unlisten } = await $client.listen(
    "again",
    (payload) => void heard.push(payload),
    () => begun.listen++,
  );
  t.same(Object.keys(subscription), ["unsubscribe"], "without the driver's client, which knows the password");
  await manager.stop();
  await manager.start();
  await until(() => begun.subscribe === 2 && begun.listen === 2, "both begin again");
  t.equal(begun.gaps, 1, "what came in between is missing");
  await $client`insert into films values (200)`;
  await until(() => heard.length === 1, "the row");
  await $client.notify("again", "message");
  await until(() => heard.length === 2, "the message");
  t.same(heard, ["row 200", "message"], "each once");
  subscription.unsubscribe();
  await unlisten();
  await manager.stop();
  await manager.start();
  await $client`insert into films values (201)`;
  const others: unknown[] = [];
  await $client.subscribe("insert", (row) => void others.push(row?.["id"]));
  await $client`insert into films values (202)`;
  await until(() => others.length === 1, "of another subscription");
  t.same([begun.subscribe, begun.listen, heard.length], [2, 2, 2], "what was given back does not begin again");
});

t.test(
  "a subscription over a connection that is half open moves to a new one, unless the server is at work",
  async (t) => {
    const { url } = await replicating();
    await using proxy = await startFaultProxy({ target: url });
    const clock = new FakeClock();
    {
      const options = v.parse(databaseSchema, { url: proxy.url });
      const endpoint = endpointOf("db", options, proxy.url, driverClient({}));
      const counts = { asked: 0, lost: 0 };
      let waits = false;
      const isWaiting = async (): Promise<boolean> => (counts.asked++, waits);
      const replica = new Replica({ clock, endpoint, isWaiting, onLost: () => counts.lost++ });
      await replica.subscribe("*", () => {});
      proxy.halfOpen();
      await clock.advance(7_000);
      t.same(counts, { asked: 0, lost: 0 }, "it is asked for a sign of life");
      await clock.advance(1_600);
      t.same(counts, { asked: 1, lost: 0 }, "the server is at work");
      await clock.advance(1_000);
      t.same(counts, { asked: 1, lost: 0 }, "and is asked again after as long a silence");
      waits = true;
      while (counts.asked === 1) await clock.advance(100);
      t.equal(counts.lost, 0, "what was on its way then may still come");
      await clock.advance(200);
      t.same(counts, { asked: 2, lost: 1 });
    }
    await using manager = await new DatabasePoolManager(
      { url: proxy.url, maxConnections: 1, connectTimeoutMs: 60_000 },
      { clock },
    ).start();
    const { $client } = manager.client;
    const observer = postgres(url, { max: 1 });
    t.teardown(() => observer.end({ timeout: 2 }));
    const heard: unknown[] = [];
    let subscribed = 0;
    await $client.subscribe(
      "insert",
      (row) => void heard.push(row?.["id"]),
      () => subscribed++,
    );
    const walSender = async (): Promise<Record<string, unknown> | undefined> =>
      (await observer`select pid, reply_time from pg_stat_replication order by backend_start desc limit 1`)[0];
    const first = await walSender();
    const replied = async (): Promise<string> => String((await walSender())?.["reply_time"]);
    for (let round = 1; round <= 3; round++) {
      const before = await replied();
      let looks = 0;
      await until(async () => {
        if (looks++ % 50 === 0) await clock.advance(6_200);
        return (await replied()) !== before;
      }, "it gives signs of life while nothing changes");
    }
    t.equal((await walSender())?.["pid"], first?.["pid"]);
    t.equal(subscribed, 1);
    proxy.halfOpen();
    await until(async () => {
      await clock.advance(200);
      return subscribed === 2;
    }, "it subscribes again");
    await observer`insert into films values (300)`;
    await until(() => heard.length === 1, "it hears");
    t.same(heard, [300]);
    let isStopped = false;
    const stopping = manager.stop().then(() => (isStopped = true));
    await until(async () => {
      await clock.advance(250); // for the goodbye of connections that are half open
      return isStopped;
    }, "it stops");
    await stopping;
  },
);

t.test("bytes that were on their way when the server says that it waits save a subscription", async (t) => {
  const { url } = await replicating();
  await using proxy = await startFaultProxy({ target: url });
  const clock = new FakeClock();
  const endpoint = endpointOf("db", v.parse(databaseSchema, { url: proxy.url }), proxy.url, driverClient({}));
  const counts = { asked: 0, lost: 0 };
  const isWaiting = async (): Promise<boolean> => (counts.asked++, true);
  const replica = new Replica({ clock, endpoint, isWaiting, onLost: () => counts.lost++ });
  const heard: unknown[] = [];
  await replica.subscribe("insert", (row) => void heard.push(row?.["id"]));
  const observer = postgres(url, { max: 1 });
  t.teardown(() => observer.end({ timeout: 2 }));
  proxy.pauseReplies();
  await observer`insert into films values (400)`;
  while (counts.asked === 0) await clock.advance(100);
  await proxy.heal();
  await until(() => heard.length === 1, "it hears");
  await clock.advance(200);
  t.same(counts, { asked: 1, lost: 0 });
  replica.end();
  await clock.advance(250);
});

t.test("an error of a subscription's callback is an uncaught exception, and the stream goes on", async (t) => {
  const { url } = await replicating();
  await using manager = await new DatabasePoolManager({ url, maxConnections: 1 }).start();
  const { $client } = manager.client;
  const wrong = new Error("wrong");
  const thrown = uncaught(t);
  const heard: unknown[] = [];
  const counts = { subscribed: 0, errors: 0, late: 0 };
  await $client.subscribe(
    "insert",
    (row) => {
      heard.push(row?.["id"]);
      if (heard.length === 1) throw wrong;
    },
    () => counts.subscribed++,
    () => counts.errors++,
  );
  const { unsubscribe } = await $client.subscribe("insert", () => {
    counts.late++;
    unsubscribe();
  });
  await $client`insert into films values (500), (501)`;
  await until(() => heard.length === 2, "it hears both");
  t.same(heard, [500, 501]);
  t.same(thrown, [wrong]);
  t.same(counts, { subscribed: 1, errors: 0, late: 1 }, "over the same stream, and not after its end");
});

t.test("a subscription takes the host that is there, and outlives a restart of its server", async (t) => {
  const server = await replicating();
  const { host, hostname, port } = new URL(server.url);
  const url = server.url.replace(host, `127.0.0.1:1,${hostname}:${port}`);
  await using manager = await new DatabasePoolManager({ url, maxConnections: 1, breaker: false }).start();
  const { $client } = manager.client;
  await $client`truncate films`;
  const heard: unknown[] = [];
  let subscribed = 0;
  const subscribe = (): Promise<unknown> =>
    $client.subscribe(
      "insert",
      (row) => void heard.push(row?.["id"]),
      () => subscribed++,
    );
  await subscribe();
  await $client`insert into films values (1)`;
  await until(() => heard.length === 1, "the first");
  await server.kill();
  await server.restart();
  await until(() => subscribed === 2, "it subscribes again");
  await $client`insert into films values (2)`;
  await until(() => heard.length === 2, "the second");
  t.same(heard, [1, 2]);
});
