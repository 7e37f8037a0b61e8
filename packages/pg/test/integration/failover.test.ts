import { createServer, type AddressInfo } from "node:net";
import { failure, until, Watch } from "@steward/testing";
import { startPostgres } from "@steward/launchers";
import pg from "pg";
import t from "tap";
import { PgPoolManager } from "../../src/index.ts";
import { manage } from "../setup.ts";

const servers = await Promise.all([startPostgres(), startPostgres()]);
const [first, second] = servers;
const admins = servers.map((server) => new pg.Client({ connectionString: server.url }));
const [ofFirst, ofSecond] = admins as [pg.Client, pg.Client];
t.teardown(async () => {
  await Promise.all(admins.map((admin) => admin.end()));
  await Promise.all(servers.map((server) => server.stop()));
});
for (const admin of admins) {
  await admin.connect();
  await admin.query("create role app login password 'right'; create table writes (id int); grant all on writes to app");
}
const [a, b] = servers.map(({ host, port }) => `${host}:${port}`);
const url = `postgres://app:right@${a},${b}/postgres`;

async function takesWrites(admin: pg.Client, isWriting: boolean): Promise<void> {
  await admin.query(`alter system set default_transaction_read_only = ${isWriting ? "off" : "on"}`);
  await admin.query("select pg_reload_conf()");
}

async function portOf({ client }: PgPoolManager): Promise<number> {
  return (await client.query("select current_setting('port')::int as port")).rows[0].port;
}

t.test("of several hosts one that takes no connection is passed over", async (t) => {
  const manager = await manage(t, { url: `postgres://app:right@127.0.0.1:1,${b}/postgres` });
  const ports = await Promise.all([1, 2, 3].map(() => portOf(manager)));
  t.same(new Set(ports), new Set([second.port]));
  await manager.probe();
  const refused = await failure(new PgPoolManager({ url: "postgres://app@127.0.0.1:1,127.0.0.1:2/x" }).start());
  t.match(refused, { code: "PG_CONNECT_FAILED", message: /127.0.0.1:1,127.0.0.1:2/ });
});

t.test("a start that is given up goes to no further host", async (t) => {
  const start = new AbortController();
  const reached: number[] = [];
  const silent = [0, 1].map((i) =>
    createServer((socket) => {
      socket.on("error", () => {});
      reached.push(i);
      start.abort();
    }),
  );
  for (const server of silent) await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => silent.map((server) => server.close()));
  const hosts = silent.map((server) => `127.0.0.1:${(server.address() as AddressInfo).port}`);
  const manager = new PgPoolManager({ url: `postgres://app@${hosts.join(",")}/x`, connectTimeoutMs: 1_000 });
  await failure(manager.start({ signal: start.signal }));
  await manager.stop();
  t.same(reached, [0]);
});

t.test("a start asks again for a password that was refused, no more than five times", async (t) => {
  const said = ["old", "old"];
  const password = (): string => said.shift() ?? "right";
  const bare = `postgres://app@${a}/postgres`;
  const manager = await manage(t, { url: bare, password });
  t.equal((await manager.client.query("select 1 as n")).rows[0].n, 1);
  said.push(...Array.from({ length: 9 }, () => "wrong"));
  t.match(await failure(new PgPoolManager({ url: bare, password }).start()), {
    code: "PG_CONNECT_FAILED",
    retryable: false,
  });
  t.equal(said.length, 4);
});

t.test("a pool for writing takes a server that takes writes, and follows when another one does", async (t) => {
  await takesWrites(ofSecond, false);
  const manager = await manage(t, { url, session: "read-write", maxConnections: 3 });
  const any = await manage(t, { url: `postgres://app:right@${b},${a}/postgres?target_session_attrs=any` });
  t.same(new Set(await Promise.all([1, 2, 3].map(() => portOf(manager)))), new Set([first.port]));
  t.equal(await portOf(any), second.port);
  const acknowledged: number[] = [];
  const codes = new Set<unknown>();
  const over = new AbortController();
  let next = 0;
  const write = async (): Promise<void> => {
    while (!over.signal.aborted) {
      const id = next++;
      await manager.client.query("insert into writes values ($1)", [id]).then(
        () => void acknowledged.push(id),
        async (error: { code?: string }) => {
          codes.add(error.code);
          await new Promise((resolve) => setTimeout(resolve, 5));
        },
      );
    }
  };
  const held = await manager.client.connect();
  const writers = [write(), write()];
  await until(() => acknowledged.length > 20, "writing");
  using watch = new Watch();
  const began = performance.now();
  await takesWrites(ofFirst, false);
  await until(() => codes.has("25006"), "the first takes no writes");
  await takesWrites(ofSecond, true);
  const { length } = acknowledged;
  await until(() => acknowledged.length > length + 20, "writes go on at the second");
  const tookMs = watch.elapsed(began);
  t.comment(`writes went on after ${Math.round(tookMs)} ms`);
  t.ok(tookMs < 3_000, `${tookMs} ms`);
  over.abort();
  await Promise.all(writers);
  held.release();
  const kept = new Set<number>();
  for (const admin of admins) for (const { id } of (await admin.query("select id from writes")).rows) kept.add(id);
  t.same(
    acknowledged.filter((id) => !kept.has(id)),
    [],
  );
  t.same(
    [...codes].filter((code) => !["25006", "PG_CONNECT_FAILED", "CIRCUIT_OPEN"].includes(String(code))),
    [],
  );
  await manager.probe();
  const refused = await failure(
    new PgPoolManager({ url: `postgres://app:right@${a}/postgres`, session: "read-write" }).start(),
  );
  t.match(refused, { code: "PG_CONNECT_FAILED", message: /takes no writes/, retryable: true });
});

t.test("a transaction that is read only by itself changes nothing", async (t) => {
  const manager = await manage(t, { url, session: "read-write", maxConnections: 1 });
  const pid = async (): Promise<number> => (await manager.client.query("select pg_backend_pid() as pid")).rows[0].pid;
  const before = await pid();
  const held = await manager.client.connect();
  await held.query("begin read only");
  await t.rejects(held.query("insert into writes values (1)"), { code: "25006" });
  await held.query("rollback");
  held.release();
  t.equal(await pid(), before);
});
