import { chmod, copyFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runWithContext, systemClock } from "@steward/core";
import { soundContext } from "@steward/core/driver";
import { Alarm, failure, startFaultProxy, until } from "@steward/testing";
import { startPostgres } from "@steward/launchers";
import { sql } from "drizzle-orm";
import { pgTable, text } from "drizzle-orm/pg-core";
import t, { type Test } from "tap";
import * as v from "valibot";
import { begin, DatabasePoolManager, pubSub, type DatabaseInput } from "../../src/index.ts";
import { Connection } from "../../src/connections/connection.ts";
import { driverClient } from "../../src/connections/driver.ts";
import { endpointOf } from "../../src/connections/endpoint.ts";
import { databaseSchema } from "../../src/options.ts";
import { testServer, unlessPooled } from "./server.ts";

const place = await testServer();
t.teardown(() => place[Symbol.asyncDispose]());

function open(options: DatabaseInput = {}): Promise<DatabasePoolManager> {
  return new DatabasePoolManager({ url: place.url, maxConnections: 1, ...options }).start();
}

t.test(
  "prepares tagged queries, or not, as told",
  unlessPooled("prepared statements belong to a session"),
  async (t) => {
    for (const prepare of [true, false]) {
      await using manager = await open({ prepare });
      const { $client } = manager.client;
      for (let i = 0; i < 3; i++) await $client`select ${i}::int + 1`;
      const prepared = await $client`select 1 from pg_prepared_statements where statement like '%+ 1'`;
      t.equal(prepared.length, prepare ? 1 : 0);
    }
  },
);

t.test("says behind a statement which trace it belongs to, where that is asked for", async (t) => {
  const traceContext = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const texts = async ({ client }: DatabasePoolManager): Promise<unknown[]> => {
    const { $client } = client;
    const shown = sql`select query from pg_stat_activity where pid = pg_backend_pid() and ${1} = 1`;
    const tagged = (on: typeof $client) =>
      on`select query from pg_stat_activity where pid = pg_backend_pid() and ${1}::int = 1`;
    const found = [
      await tagged($client),
      await client.execute(shown),
      await $client.begin((tx) => tagged(tx as never)),
    ];
    return found.map(([row]) => /\/\*.*\*\/$/.exec(String(row?.["query"]))?.[0]);
  };
  await using manager = await open({ traceComments: true, maxConnections: 2 });
  const comment = `/*traceparent='${traceContext}'*/`;
  t.same(await runWithContext({ traceContext }, () => texts(manager)), [comment, comment, comment]);
  t.equal(
    (await manager.client.$client`select 1 from pg_prepared_statements where statement like '%/*trace' || 'parent=%'`)
      .length,
    0,
  );
  t.same(await texts(manager), [undefined, undefined, undefined], "nor where there is none");
  await using silent = await open();
  t.same(await runWithContext({ traceContext }, () => texts(silent)), [undefined, undefined, undefined]);
});

t.test("what a caller sends behind its traceparent, or instead of it, never becomes part of a statement", async (t) => {
  await using manager = await open({ traceComments: true });
  const { $client } = manager.client;
  const sent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const ask = async (): Promise<unknown> => [
    (await $client`select query from pg_stat_activity where pid = pg_backend_pid() and ${1}::int = 1`).length,
    (await $client.unsafe("select 1 as n")).length,
  ];
  const later = sent.replace("00", "01"); // a later version may have more fields
  const union = `${later}-'*/ union all select 'stolen' --`;
  t.equal(soundContext(undefined, union).traceContext, later, "of headers the rest does not go on");
  for (const given of [
    union,
    `${later}-'*/; create table stolen (); --`,
    `${sent}-'*/; create table stolen (); --`,
    "'*/; --",
  ])
    t.same(await runWithContext({ traceContext: given }, ask), [1, 1]);
  t.equal((await $client`select 1 from pg_tables where tablename = 'stolen'`).length, 0);
});

t.test("hands notices of the server to whoever asked for them, and to nobody else", async (t) => {
  const notices: unknown[] = [];
  await using manager = await open({ onNotice: (notice) => notices.push(notice["message"]) });
  await manager.client.$client`do $$ begin raise notice 'mind the gap'; end $$`;
  t.same(notices, ["mind the gap"]);
  await using silent = await open();
  await silent.client.$client`do $$ begin raise notice 'nobody hears this'; end $$`;
});

t.test("settings of a transaction end with it, whatever is in them", async (t) => {
  await using manager = await open();
  const tenant = `o'neill \\' -- x`;
  const shown = sql`select current_setting('app.tenant', true) as tenant`;
  {
    await using tx = await begin(manager.client, { settings: { "app.tenant": tenant, "app.other": "" } });
    t.equal((await tx.execute(shown))[0]?.["tenant"], tenant);
    await tx.commit();
  }
  t.notOk((await manager.client.execute(shown))[0]?.["tenant"], "the next one on this connection has none");
  t.match(await failure(begin(manager.client, { settings: { "no such name": "x" } })), { code: "42704" });
  t.equal((await manager.client.$client`select 1 as one`)[0]?.["one"], 1);
});

t.test("a password that is replaced again and again costs no call, and an old one is refused", async (t) => {
  const role = `rotated_${process.pid}`;
  const { observer } = place;
  let password = "first";
  await observer.unsafe(`create role ${role} login password 'first'`);
  t.teardown(() => observer.unsafe(`drop role ${role}`));
  const url = Object.assign(new URL(place.url), { username: role, password: "" }).href;
  // What a vault says is a moment older than what the server knows.
  const vault = async (): Promise<string> => {
    const said = password;
    await new Promise((resolve) => setTimeout(resolve, 5));
    return said;
  };
  await using manager = await new DatabasePoolManager({ url, password: vault, maxConnections: 3 }).start();
  const { $client } = manager.client;
  let done = 0;
  const over = new AbortController();
  const failures: unknown[] = [];
  const caller = async (): Promise<void> => {
    while (!over.signal.aborted)
      await $client`select 1`.then(
        () => void done++,
        (error: unknown) => void failures.push(error),
      );
  };
  const callers = [caller(), caller(), caller(), caller()];
  for (let turn = 0; turn < 5; turn++) {
    const next = `password-${turn}`;
    await observer.unsafe(`alter role ${role} password '${next}'`);
    password = next;
    await manager.renew();
    const before = done;
    await until(() => done > before + 6, "calls over new connections");
  }
  over.abort();
  await Promise.all(callers);
  t.equal(failures.map(String).join("\n"), "");
  t.ok(done > 20);
  const old = await failure(new DatabasePoolManager({ url, password: "first" }).start());
  t.match(old, { code: "DATABASE_CONNECT_FAILED", retryable: false });
  t.notMatch(old.message, /first/);
});

t.test(
  "a password that cannot be fetched, or is old for all who log in at once, costs no call and no process",
  async (t) => {
    const role = `fetched_${process.pid}`;
    await place.observer.unsafe(`create role ${role} login password 'right'`);
    t.teardown(() => place.observer.unsafe(`drop role ${role}`));
    const url = Object.assign(new URL(place.url), { username: role, password: "" }).href;
    let [refusals, wrongs] = [1, 0];
    const password = async (): Promise<string> => {
      if (refusals-- > 0) throw new Error("the vault is sealed");
      return wrongs-- > 0 ? "wrong" : "right";
    };
    const manager = new DatabasePoolManager({ url, password, maxConnections: 6 });
    t.match(await failure(manager.start()), {
      code: "DATABASE_CONNECT_FAILED",
      retryable: true,
      message: /the password could not be fetched: .*the vault is sealed/,
    });
    wrongs = 2;
    await using _started = await manager.start();
    const { $client } = manager.client;
    const all = (): Promise<unknown[]> => Promise.all(Array.from({ length: 6 }, () => $client`select 1`));
    await manager.renew();
    refusals = 6;
    await all();
    await manager.renew();
    wrongs = 6;
    await all();
    t.equal(wrongs < 0, true, "all of the logins that began together were told the old one");
  },
);

t.test(
  "the server ends statements that take too long, though nobody here does",
  unlessPooled("limits of a session are refused"),
  async (t) => {
    await using manager = await open({ statementTimeoutMs: 50 });
    t.equal((await failure(manager.client.$client`select pg_sleep(60)`)).code, "57014");
  },
);

t.test(
  "the server ends a transaction that idles, which its holder learns, and its place is free again",
  unlessPooled("limits of a session are refused"),
  async (t) => {
    await using manager = await open({ idleInTransactionTimeoutMs: 50 });
    const { $client } = manager.client;
    const held = await $client.reserve();
    await held`begin`;
    await until(() => manager.stats()["size"] === 0, "the server has ended it");
    t.match((await failure(held`select 1`)).code, /^(DATABASE_LEASE_ENDED|OUTCOME_UNKNOWN)$/);
    held.release();
    t.equal((await $client`select 1 as one`)[0]?.["one"], 1);
    t.match(manager.stats(), { inUse: 0, pending: 0 });
  },
);

t.test(
  "several databases stand side by side, each with its pool, its transactions and its channels",
  unlessPooled("listen() is refused"),
  async (t) => {
    const urls = [place.url, await place.freshDatabase()];
    const [a, b] = [await open({ url: urls[0] }), await open({ url: urls[1] })];
    const names = urls.map((url) => new URL(url).pathname.slice(1));
    const here = sql`select current_database() as name`;
    t.equal((await a.client.execute(here))[0]?.["name"], names[0]);
    t.equal((await b.client.execute(here))[0]?.["name"], names[1]);
    {
      await using inB = await begin(b.client);
      t.equal((await inB.execute(here))[0]?.["name"], names[1]);
      t.equal((await a.client.execute(here))[0]?.["name"], names[0], "one does not wait for the other");
    }
    const heard: string[] = [];
    await pubSub(a.client).subscribe("news", (message) => void heard.push(`a: ${message}`));
    await pubSub(b.client).subscribe("news", (message) => void heard.push(`b: ${message}`));
    await pubSub(a.client).publish("news", "a film");
    await until(() => heard.length > 0, "heard");
    t.same(heard, ["a: a film"]);
    await b.stop();
    t.equal((await a.client.execute(here))[0]?.["name"], names[0], "nor does it end with it");
    await a.stop();
  },
);

t.test("knows custom types", async (t) => {
  const bigint = { to: 20, from: [20], parse: (x: string) => BigInt(x), serialize: (x: bigint) => x.toString() };
  await using manager = await open({ types: { bigint } });
  const [row] = await manager.client.$client`select 9007199254740993::int8 as big`;
  t.equal(row?.["big"], 9007199254740993n);
});

t.test("gives drizzle its casing and its logger", async (t) => {
  const people = pgTable("people", { firstName: text() });
  const logged: string[] = [];
  await using manager = await new DatabasePoolManager({
    url: place.url,
    schema: { people },
    casing: "snake_case",
    logger: { logQuery: (query) => logged.push(query) },
  }).start();
  const db = manager.client;
  await db.execute(sql`create table people (first_name text)`);
  await db.insert(people).values({ firstName: "Ada" });
  t.same(await db.query.people.findMany(), [{ firstName: "Ada" }]);
  t.equal(logged.length, 3);
  await db.transaction((tx) => tx.select().from(people));
  t.equal(logged.length, 4, "in transactions too");
});

t.test("tries the next of several hosts", async (t) => {
  const { host, hostname, port } = new URL(place.url);
  const url = place.url.replace(host, `127.0.0.1:1,${hostname}:${port}`);
  const manager = await new DatabasePoolManager({ url, maxConnections: 2 }).start();
  const held = await Promise.all([manager.client.$client.reserve(), manager.client.$client.reserve()]);
  t.equal(manager.stats()["size"], 2);
  for (const one of held) one.release();
  await manager.stop();
});

t.test("tells its connections as series, by the names of the conventions", async (t) => {
  await using manager = await open({ maxConnections: 3 });
  const held = await manager.client.$client.reserve();
  const own = [...manager.metrics()].filter(({ name }) => name.startsWith("db.client.connection."));
  const { resource } = { resource: manager.name };
  t.same(
    own.map(({ name, value, attributes }) => [name, value, attributes]),
    [
      ["db.client.connection.count", 0, { resource, state: "idle" }],
      ["db.client.connection.count", 1, { resource, state: "used" }],
      ["db.client.connection.max", 3, { resource }],
      ["db.client.connection.pending_requests", 0, { resource }],
      ["db.client.connection.timeouts", 0, { resource }],
    ],
  );
  held.release();
});

t.test("gives up a connect that takes too long", async (t) => {
  await using proxy = await startFaultProxy({ target: place.url });
  proxy.blackhole();
  using alarm = new Alarm(1_500);
  const error = await failure(new DatabasePoolManager({ url: proxy.url, connectTimeoutMs: 200 }).start());
  t.equal(error.code, "DATABASE_CONNECT_FAILED");
  t.match(error.message, "no connection within 200 ms");
  t.notOk(alarm.hasRung);
});

async function startTls(t: Test): Promise<{ url: string; cert: string }> {
  const folder = await mkdtemp(join(tmpdir(), "steward-tls-"));
  const fixtures = new URL("../../../test/fixtures/", import.meta.url);
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  await copyFile(new URL("server-for-tests.cert.pem", fixtures), cert);
  await copyFile(new URL("server-for-tests.key.pem", fixtures), key);
  await chmod(folder, 0o755);
  await chmod(key, 0o600);
  const server = await startPostgres({ settings: { ssl: "on", ssl_cert_file: cert, ssl_key_file: key } });
  t.teardown(async () => {
    await server.stop();
    await rm(folder, { recursive: true });
  });
  return { url: server.url, cert };
}

t.test("makes sure of the server by TLS", async (t) => {
  const server = await startTls(t);
  const cert = await readFile(server.cert);
  const encrypted = async (options: DatabaseInput): Promise<unknown> => {
    await using manager = await new DatabasePoolManager({
      url: server.url,
      maxConnections: 2,
      ...options,
    }).start();
    const { $client } = manager.client;
    const soon = { deadline: performance.now() + 100 };
    const late = await runWithContext(soon, () => failure($client`select pg_sleep(30)`));
    t.equal(late.code, "DEADLINE_EXCEEDED", "a query can be cancelled");
    t.equal((await $client`select repeat('x', 1000000) as big`)[0]?.["big"].length, 1_000_000);
    return (await $client`select ssl from pg_stat_ssl where pid = pg_backend_pid()`)[0]?.["ssl"];
  };
  t.equal(await encrypted({ tls: false }), false);
  t.equal(await encrypted({ tls: "no-verify" }), true);
  t.equal(await encrypted({ tls: { ca: cert } }), true);
  t.match((await failure(encrypted({ tls: true }))).message, /self.signed/);
  t.match((await failure(encrypted({ tls: { ca: cert, servername: "elsewhere" } }))).message, /elsewhere|altnames/i);
  await using proxy = await startFaultProxy({ target: server.url });
  await using manager = await new DatabasePoolManager({
    url: proxy.url,
    tls: "no-verify",
    maxConnections: 2,
    silenceMs: 200,
  }).start();
  await manager.client.$client`select 1`;
  proxy.halfOpen();
  t.equal((await failure(manager.client.$client`select 1`)).code, "OUTCOME_UNKNOWN", "a half-open one is found out");
  t.equal((await manager.client.$client`select 1 as x`)[0]?.["x"], 1);
});

t.test("a connection that is being made is none inside this process, so the server is asked beside it", async (t) => {
  const options = v.parse(databaseSchema, { url: place.url });
  const endpoint = endpointOf("db", options, place.url, driverClient({}));
  const connection = new Connection({ name: "db", clock: systemClock, closed() {} }, endpoint);
  t.equal(connection.embedded, false);
  await connection.open(5_000);
  t.equal(connection.embedded, false);
  connection.end();
});

t.test("a connection over TLS may be cut off while it has something to write", async (t) => {
  const { url } = await startTls(t);
  const options = v.parse(databaseSchema, { url, tls: "no-verify" });
  const endpoint = endpointOf("db", options, url, driverClient({}));
  const connection = new Connection({ name: "db", clock: systemClock, closed() {} }, endpoint);
  await connection.open(5_000);
  const lost = connection.query("select 1");
  connection.destroy();
  await t.rejects(lost, { message: "this connection has ended" });
});
