import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startPostgres } from "@steward/launchers";
import { sql } from "drizzle-orm";
import postgres from "postgres";
import t from "tap";
import { failure, until } from "@steward/testing";
import { begin, DatabasePoolManager, replica } from "../../src/index.ts";

const folder = await mkdtemp(join(tmpdir(), "steward-replicas-"));
const primaryFolder = join(folder, "primary");
// A copy of a stopped cluster is a base backup.
await (await startPostgres({ dataDir: primaryFolder })).stop();
await cp(primaryFolder, join(folder, "standby"), { recursive: true });
await writeFile(join(folder, "standby/cluster/standby.signal"), "");
const primary = await startPostgres({ dataDir: primaryFolder, settings: { wal_level: "replica" } });
const { host, port, user, password } = primary;
const standby = await startPostgres({
  dataDir: join(folder, "standby"),
  settings: { hot_standby: "on", primary_conninfo: `host=${host} port=${port} user=${user} password=${password}` },
});
const onStandby = postgres(standby.url, { max: 1, onnotice() {} });
t.teardown(async () => {
  await onStandby.end({ timeout: 1 });
  await standby.stop();
  await primary.stop();
  await rm(folder, { recursive: true, force: true });
});

t.test("reads a replica that is near, and the primary while it lags or is away", async (t) => {
  await using manager = await new DatabasePoolManager({
    url: primary.url,
    replicas: [standby.url],
    maxConnections: 3,
    maxReplicaLagMs: 500,
    replicaCheckMs: 50,
    timeoutMs: 5_000,
  }).start();
  const db = manager.client;
  const reader = replica(db);
  const onReplica = async (): Promise<boolean> =>
    (await reader.execute(sql`select pg_is_in_recovery() as standby`))[0]?.["standby"] === true;
  t.not(reader, db);
  t.equal(replica(db), reader);
  await until(onReplica, "reading the replica");
  t.match(manager.stats(), { replicas: { lagsMs: [0] } });
  await db.execute(sql`create table films (id int)`);
  await until(
    async () => (await reader.execute(sql`select to_regclass('films') is not null as there`))[0]?.["there"] === true,
    "replayed",
  );
  // A busy machine may let the replica lag at any moment; then the primary is read, where this inserts nothing.
  await until(async () => {
    const write = reader.execute(sql`insert into films select 1 where pg_is_in_recovery()`);
    const error = await write.then(
      () => undefined,
      (e: Error) => e.cause as { code?: string },
    );
    return error?.code === "25006";
  }, "a replica takes no writes");
  await until(async () => {
    await using open = await begin(reader, { accessMode: "read only" });
    return (await open.execute(sql`select pg_is_in_recovery() as standby`))[0]?.["standby"] === true;
  }, "transactions too");

  await onStandby`select pg_wal_replay_pause()`;
  await db.execute(sql`insert into films values (1)`);
  await until(async () => !(await onReplica()), "the lag is seen, and the primary read");
  t.equal((await reader.execute(sql`select * from films`)).length, 1);
  await onStandby`select pg_wal_replay_resume()`;
  await until(onReplica, "caught up");

  await onStandby.end({ timeout: 1 });
  await standby.kill("SIGKILL");
  for (let i = 0; i < 20; i++)
    t.equal(
      (await reader.execute(sql`select pg_is_in_recovery() as standby`).catch(() => [{ standby: false }]))[0]?.[
        "standby"
      ],
      false,
    );
  await until(async () => !(await onReplica()), "the primary serves");
  t.same((manager.stats()["replicas"] as { lagsMs: number[] }).lagsMs, [Number.POSITIVE_INFINITY]);
  await manager.renew();
  await manager.stop();
  t.equal(((await failure(reader.execute(sql`select 1`))).cause as { code?: string }).code, "RESOURCE_UNAVAILABLE");
});

t.test("is the database itself where there are no replicas", async (t) => {
  const manager = new DatabasePoolManager({ url: primary.url });
  t.equal(replica(manager.client), manager.client);
});

t.test("a renewal asks for the URLs of replicas anew", async (t) => {
  let word = "one";
  const replicas = [() => `${primary.url}?application_name=${word}`];
  await using manager = await new DatabasePoolManager({ url: primary.url, replicas, replicaCheckMs: 20 }).start();
  const reader = replica(manager.client);
  const isRead = async (): Promise<boolean> =>
    (await reader.execute(sql`select current_setting('application_name') as word`))[0]?.["word"] === word;
  await until(isRead, "it is read");
  word = "two";
  await manager.renew();
  await until(isRead, "the other one is read");
  t.equal(await isRead(), true);
});

t.test("a pool for writing follows a failover, and nothing that was acknowledged is lost", async (t) => {
  await standby.restart();
  const observer = postgres(standby.url, { max: 1, onnotice() {} });
  const { pathname } = new URL(primary.url);
  const both = `postgres://${user}:${password}@${host}:${port},${standby.host}:${standby.port}${pathname}?target_session_attrs=read-write`;
  await using manager = await new DatabasePoolManager({ url: both, maxConnections: 3, timeoutMs: 5_000 }).start();
  const { $client } = manager.client;
  await $client`create table writes (id int primary key)`;
  const acknowledged: number[] = [];
  let next = 0;
  const over = new AbortController();
  const codes = new Set<unknown>();
  const write = async (): Promise<void> => {
    while (!over.signal.aborted) {
      const id = next++;
      await $client`insert into writes values (${id})`.then(
        () => void acknowledged.push(id),
        async (error: { code?: string }) => {
          codes.add(error.code);
          await new Promise((resolve) => setTimeout(resolve, 5));
        },
      );
    }
  };
  const heard: string[] = [];
  await $client.listen("news", (payload) => void heard.push(payload));
  const writers = [write(), write(), write()];
  await until(() => acknowledged.length > 50, "writing");
  const admin = postgres(primary.url, { max: 1, onnotice() {} });
  await admin`alter system set default_transaction_read_only = on`;
  await admin`select pg_reload_conf()`;
  const began = performance.now();
  await until(() => codes.has("25006"), "the primary takes no writes");
  const [place] = await admin`select pg_current_wal_flush_lsn()::text as lsn`;
  await until(
    async () => (await observer`select pg_last_wal_replay_lsn() >= ${place?.["lsn"]}::pg_lsn as there`)[0]?.["there"],
    "the standby has all of it",
  );
  await observer`select pg_promote()`;
  const { length } = acknowledged;
  await until(() => acknowledged.length > length + 50, "writes go on at the new primary");
  t.comment(`writes went on after ${Math.round(performance.now() - began)} ms`);
  over.abort();
  await Promise.all(writers);
  const hears = async (): Promise<boolean> => (await $client.notify("news", "again"), heard.length > 0);
  await until(hears, "a listener follows too");
  const found = await observer`select id from writes`;
  const kept = new Set(found.map((row) => row["id"]));
  t.same(
    acknowledged.filter((id) => !kept.has(id)),
    [],
  );
  // The circuit opens where nobody takes writes for long enough, as on a busy machine: who calls then is refused at once.
  t.same(
    [...codes].filter(
      (code) => !["25006", "DATABASE_CONNECT_FAILED", "DEADLINE_EXCEEDED", "CIRCUIT_OPEN"].includes(String(code)),
    ),
    [],
  );
  const refused = await failure(new DatabasePoolManager({ url: primary.url, session: "read-write" }).start());
  t.match(refused, { code: "DATABASE_CONNECT_FAILED", message: /takes no writes/, retryable: true });
  await admin.end();
  await observer.end();
});
