import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import postgres from "postgres";
import t from "tap";
import {
  findPgBouncer,
  findPostgres,
  postgresForTests,
  type PostgresServer,
  startPgBouncer,
  startPostgres,
} from "../../src/index.ts";
import { chooseAccount } from "../../src/postgres/account.ts";
import { requirePostgres } from "../../src/postgres/binaries.ts";
import { runCommand } from "../../src/process/programs.ts";
import { processesIn, sendSignal, startedAt } from "../../src/process/process-table.ts";
import { trackHandles } from "@steward/testing";
import { gone, Owner, refused } from "./child.ts";

const handles = trackHandles();
// Like every folder of mkdtemp it has mode 0700: as root, only root can enter.
const outside = tmpdir();
const root = await mkdtemp(join(outside, "steward-test-"));
// Other suites of this machine make temporary folders too.
process.env["TMPDIR"] = root;
const kept = join(root, "deep", "kept");
delete process.env["STEWARD_POSTGRES_TEMPLATES"];

t.teardown(async () => {
  await rm(root, { recursive: true, force: true });
  await handles.assertNoLeaks();
});

type Sql = ReturnType<typeof postgres>;

/** Runs `fn` with a client of the server. */
async function query<T>(url: string, fn: (sql: Sql) => Promise<T>): Promise<T> {
  const sql = postgres(url, { max: 1, onnotice: () => {}, connect_timeout: 20 });
  try {
    return await fn(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

function rows(url: string): Promise<number> {
  return query(url, async (sql) => Number((await sql`select count(*) as n from kept`)[0]?.["n"]));
}

async function temporaryFolders(): Promise<string[]> {
  return (await readdir(root)).filter((name) => name.startsWith("steward-postgres-"));
}

/** A folder for PATH, first in it, where these programs fail; as where the system forbids what they do. */
async function without(...programs: string[]): Promise<string> {
  const folder = await mkdtemp(join(root, "bin-"));
  for (const name of programs) await writeFile(join(folder, name), "#!/bin/sh\nexit 1\n", { mode: 0o755 });
  return [folder, process.env["PATH"]].join(delimiter);
}

await t.test("starts in a temporary folder, takes only its password, and leaves nothing", async (t) => {
  const before = await temporaryFolders();
  const server = await startPostgres({ settings: { max_connections: 7 } });
  t.match(server.url, `postgres://postgres:${server.password}@127.0.0.1:${server.port}/postgres`);
  t.ok(server.port < 55_536);
  t.ok(server.running);
  const [row] = await query(
    server.url,
    (sql) => sql`select current_user as name, current_setting('max_connections') as max`,
  );
  t.same(row, { name: "postgres", max: "7" });
  await t.rejects(
    query(server.url.replace(server.password, "guess"), (sql) => sql`select 1`),
    { code: "28P01" },
  );
  const [folder = ""] = (await temporaryFolders()).filter((name) => !before.includes(name));
  t.equal((await stat(join(root, folder, "password"))).mode & 0o777, 0o600);
  await Promise.all([server.stop(), server.stop()]);
  t.notOk(server.running);
  t.equal(await startedAt(server.pid), undefined);
  t.same(await temporaryFolders(), before);
  await refused(server.restart(), "SERVER_STOPPED");
});

await t.test(
  "Ctrl-C in the terminal does not reach what prepares a cluster",
  { skip: process.platform !== "linux" },
  async (t) => {
    const { text } = await runCommand(["cat", "/proc/self/stat"]);
    const [pid, , , , group, session] = text.split(" ");
    t.strictSame([group, session], [pid, pid]);
  },
);

await t.test("a start that is given up leaves nothing", async (t) => {
  const before = await temporaryFolders();
  await t.rejects(startPostgres({ signal: AbortSignal.abort(new Error("too late")) }), { message: "too late" });
  const abort = new AbortController();
  const starting = startPostgres({ signal: abort.signal });
  while ((await temporaryFolders()).length === before.length) await new Promise((resolve) => setImmediate(resolve));
  abort.abort(new Error("enough"));
  await t.rejects(starting, { message: "enough" });
  t.same(await temporaryFolders(), before);
});

await t.test(
  "where the environment names a folder for templates, a second cluster is a copy of the first",
  async (t) => {
    const templates = join(root, "templates");
    process.env["STEWARD_POSTGRES_TEMPLATES"] = templates; // for the cases below too: to make a cluster takes a CPU second
    await using first = await startPostgres();
    await query(first.url, (sql) => sql`create table own (id int)`);
    t.equal((await readdir(templates)).length, 1, "no draft is left");
    await using second = await startPostgres();
    t.equal(second.password, first.password);
    await query(second.url, (sql) => sql`create table own (id int)`);
  },
);

const pooler =
  findPgBouncer() === undefined && process.env["CI"] !== "true"
    ? "skipped: no PgBouncer here (neither on PATH nor in /usr/sbin)"
    : false;
await t.test(
  "a PgBouncer in front of it lets its users in, shares its backends, and leaves nothing",
  { skip: pooler },
  async (t) => {
    const server = await startPostgres();
    const bouncer = await startPgBouncer({ target: server.url, poolSize: 1 });
    const sql = postgres(bouncer.url, { max: 3, prepare: false, onnotice: () => {} });
    await sql.unsafe("create role guest login password 'gu\"est'");
    const pids = await Promise.all([1, 2, 3].map(async () => (await sql`select pg_backend_pid() as pid`)[0]?.["pid"]));
    t.equal(new Set(pids).size, 1);
    await sql.end({ timeout: 5 });
    const guest = Object.assign(new URL(bouncer.url), { username: "guest", password: 'gu"est' }).href;
    t.equal((await query(guest, (sql) => sql`select current_user as name`))[0]?.["name"], "guest");
    await t.rejects(
      query(guest.replace("gu%22est", "guess"), (sql) => sql`select 1`),
      { code: "08P01" },
    );
    await bouncer.restart();
    t.equal((await query(bouncer.url, (sql) => sql`select 1 as one`)).length, 1);
    await Promise.all([bouncer.stop(), bouncer.stop()]);
    t.equal(await startedAt(bouncer.pid), undefined);
    t.same(
      (await readdir(root)).filter((name) => name.startsWith("steward-pgbouncer-")),
      [],
    );
    await server.stop();
  },
);

await t.test("keeps database, password and rows in a given folder", async (t) => {
  const first = await startPostgres({ dataDir: kept, database: "clips" });
  await query(first.url, async (sql) => {
    await sql`create table kept (n int)`;
    await sql`insert into kept values (1)`;
  });
  await first.stop();
  const second = await startPostgres({ dataDir: kept, database: "clips" });
  t.equal(second.password, first.password);
  t.equal(await rows(second.url), 1);
  await second.stop();
});

await t.test("a killed server comes back on the same port with its rows", async (t) => {
  await using server = await startPostgres({ dataDir: kept, database: "clips" });
  const { url, pid } = server;
  await query(url, (sql) => sql`insert into kept values (2)`);
  const alive = (): Promise<number[]> => processesIn(kept, ["postgres"]);
  if (process.platform === "linux") t.ok((await alive()).length > 1);
  await server.kill();
  t.notOk(server.running);
  t.same(await alive(), [], "nor does one of its children answer any more");
  await t.rejects(rows(url), { code: "ECONNREFUSED" });
  await server.restart();
  t.equal(server.url, url);
  t.not(server.pid, pid);
  t.equal(await rows(url), 2);
  await server.restart();
  t.equal(await rows(url), 2);
});

await t.test("a frozen server keeps its connections and answers once it goes on", async (t) => {
  await using server = await startPostgres();
  const sql = postgres(server.url, { max: 1 });
  await sql`select 1`;
  await server.pause();
  const asked = sql`select 1`.then(() => "answered");
  await using second = await startPostgres();
  await query(second.url, (other) => other`select 1`);
  t.equal(await Promise.race([asked, Promise.resolve("silent")]), "silent", "a whole other server started meanwhile");
  await server.resume();
  t.equal(await asked, "answered");
  await sql.end();
  await server.pause();
});

await t.test(
  "a second handle shares a server, in this process or another, and can neither stop nor break it",
  async (t) => {
    const owner = await startPostgres({ dataDir: kept, database: "clips" });
    const guest = await startPostgres({ dataDir: kept, database: "clips" });
    const stranger = new Owner(["postgres", kept], {});
    t.match(await stranger.server(), { pid: owner.pid, shared: true });
    t.match(guest, { shared: true, pid: owner.pid, url: owner.url, running: true });
    t.notOk(owner.shared);
    for (const act of [guest.kill(), guest.pause(), guest.restart()]) await refused(act, "SERVER_NOT_OWNED");
    await guest.stop();
    await stranger.stop();
    t.equal(await rows(owner.url), 2);
    t.match(
      await refused(startPostgres({ dataDir: kept, ifInUse: "fail" }), "SERVER_IN_USE"),
      `process ${process.pid} owns`,
    );
    await refused(startPostgres({ dataDir: kept, database: "other" }), "SERVER_IN_USE");
    await owner.stop();
  },
);

await t.test("an owner that is killed takes its server along, and the next start keeps the rows", async (t) => {
  const owner = new Owner(["postgres", kept]);
  const { pid, url } = await owner.server();
  await query(url.replace(/postgres$/, "clips"), (sql) => sql`insert into kept values (3)`);
  await owner.kill();
  await using server = await startPostgres({ dataDir: kept, database: "clips" });
  t.notOk(server.shared);
  t.not(server.pid, pid);
  t.equal(await startedAt(pid), undefined, "no two servers on one folder");
  t.equal(await rows(server.url), 3);
});

if (process.platform === "linux") {
  await t.test("on Linux the server goes by itself when its owner is killed", async () => {
    const owner = new Owner(["postgres", kept]);
    const { pid } = await owner.server();
    await owner.kill();
    await gone(pid);
  });

  await t.test("also where that happens before the kernel knows that it is to go with it", async (t) => {
    // A start that is slow there: the server's last wrapper lets its parent end first.
    const folder = await mkdtemp(join(root, "bin-"));
    const begun = join(folder, "begun");
    const script = [
      "#!/bin/sh",
      `case "$*" in *" -p "*)`,
      `  echo $$ > ${begun}.new && mv ${begun}.new ${begun}`,
      `  while kill -0 $PPID; do sleep 0.01; done`,
      "esac",
      `PATH="\${PATH#*:}" exec setpriv "$@"`,
    ];
    await writeFile(join(folder, "setpriv"), script.join("\n"), { mode: 0o755 });
    const owner = new Owner(["postgres", kept], { PATH: [folder, process.env["PATH"]].join(delimiter) });
    let pid = "";
    while (pid === "") pid = await readFile(begun, "utf8").catch(() => "");
    t.teardown(() => sendSignal(Number(pid), "SIGKILL"));
    await owner.kill();
    await gone(Number(pid));
  });

  await t.test(
    "a statement of a killed start is waited for, and not taken for what the next start asks for",
    async () => {
      await (await startPostgres({ dataDir: kept })).stop();
      const { initdb, postgres: program } = await requirePostgres();
      const account = await chooseAccount([initdb, program], kept);
      const [command = "", ...args] = account.wrap([program, "--single", "-D", join(kept, "cluster"), "postgres"]);
      const single = spawn(command, args, { cwd: kept, env: { LC_ALL: "C" }, stdio: ["pipe", "ignore", "ignore"] });
      single.stdin?.end("select pg_sleep(1)\n");
      while (!(await readFile(join(kept, "cluster", "postmaster.pid"), "utf8").catch(() => "")).startsWith("-"))
        await new Promise(setImmediate);
      await using server = await startPostgres({ dataDir: kept, database: "another" });
      await query(server.url, (sql) => sql`select 1`);
    },
  );
}

await t.test("after a kill of owner and server at once the next start recovers the rows", async (t) => {
  const owner = new Owner(["postgres", kept]);
  const { pid, url } = await owner.server();
  await query(url.replace(/postgres$/, "clips"), (sql) => sql`insert into kept values (4)`);
  process.kill(pid, "SIGKILL");
  await owner.kill();
  await using server = await startPostgres({ dataDir: kept, database: "clips" });
  t.equal(await rows(server.url), 4);
});

await t.test("a server that outlived its owner is replaced, not joined by a second one", async (t) => {
  const owner = new Owner(["postgres", kept], { PATH: await without("setpriv") });
  const orphan = await owner.server();
  await owner.kill();
  t.equal(await rows(orphan.url.replace(/postgres$/, "clips")), 4, "it lives on");
  await using server = await startPostgres({ dataDir: kept, database: "clips" });
  t.equal(await startedAt(orphan.pid), undefined);
  t.notOk(server.shared);
  t.equal(await rows(server.url), 4);
});

await t.test("Ctrl-C in the terminal does not reach the server", async (t) => {
  const owner = new Owner(["postgres", kept]);
  const { pid, url } = await owner.server();
  owner.interruptGroup();
  t.equal(await owner.line(), "interrupted");
  t.equal(await rows(url.replace(/postgres$/, "clips")), 4);
  await owner.stop();
  t.equal(await startedAt(pid), undefined);
});

await t.test("where root gets no user namespace, Postgres runs as nobody or says what is missing", async (t) => {
  const PATH = process.env["PATH"];
  const open = await mkdtemp(join(outside, "steward-test-open-"));
  await chmod(open, 0o755);
  process.env["PATH"] = await without("unshare");
  try {
    if (reachableByNobody()) {
      const server = await startPostgres({ dataDir: join(open, "data") });
      await query(server.url, (sql) => sql`create table kept ()`);
      await server.stop();
      if (process.getuid?.() === 0)
        t.match(await refused(startPostgres({ dataDir: kept }), "SERVER_ROOT_REFUSED"), /65534.*cannot be entered/);
    } else t.match(await refused(startPostgres({ dataDir: open }), "SERVER_ROOT_REFUSED"), /cannot be run/);
    process.env["PATH"] = PATH;
    // And back: the folder now belongs to nobody.
    await using server = await startPostgres({ dataDir: join(open, "data") });
    await query(server.url, (sql) => sql`select 1`);
  } finally {
    process.env["PATH"] = PATH;
    await rm(open, { recursive: true });
  }
});

function reachableByNobody(): boolean {
  if (process.getuid?.() !== 0) return true;
  try {
    execFileSync("setpriv", [
      "--reuid=65534",
      "--regid=65534",
      "--clear-groups",
      "test",
      "-x",
      findPostgres()?.initdb ?? "",
    ]);
    return true;
  } catch {
    return false;
  }
}

await t.test("what a killed start, a lost password file or a reused process id left behind does no harm", async (t) => {
  const folder = join(root, "wounded");
  await mkdir(join(folder, "new-half"), { recursive: true });
  await writeFile(join(folder, "new-half", "PG_VERSION"), "18\n");
  const first = await startPostgres({ dataDir: folder });
  const pidFile = join(folder, "cluster", "postmaster.pid");
  const text = await readFile(pidFile, "utf8");
  await first.stop();
  t.notOk((await readdir(folder)).includes("new-half"));

  await writeFile(pidFile, text.replace(String(first.pid), String(process.pid)), { mode: 0o600 });
  await rm(join(folder, "password"));
  await using second = await startPostgres({ dataDir: folder });
  t.not(second.password, first.password);
  await query(second.url, (sql) => sql`select 1`);
});

await t.test("a folder that holds somebody's own cluster is left alone", async (t) => {
  const folder = join(root, "foreign");
  await mkdir(folder);
  await writeFile(join(folder, "PG_VERSION"), "15\n");
  t.match(await refused(startPostgres({ dataDir: folder }), "SERVER_START_FAILED"), /not made here/);
});

await t.test("what is wrong is said in one error with its remedy", async (t) => {
  t.match(
    await refused(startPostgres({ binDir: root }), "SERVER_BINARY_MISSING"),
    /lacks initdb or postgres.*DATABASE_URL/,
  );
  t.match(await refused(startPostgres({ settings: { no_such_setting: 1 } }), "SERVER_START_FAILED"), /no_such_setting/);
  const busy = createServer().listen(0, "127.0.0.1");
  await once(busy, "listening");
  const address = busy.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  t.match(await refused(startPostgres({ port }), "SERVER_PORT_BUSY"), `port ${port}`);
  busy.close();
  await refused(startPostgres({ startTimeoutMs: 1 }), "SERVER_START_TIMEOUT");
});

await t.test("the temporary folder of a killed process is removed by the next start", async (t) => {
  const owner = new Owner(["postgres", ""]);
  const folder = join(
    root,
    (await owner.line()) && ((await readdir(root)).find((name) => name.startsWith("steward-postgres-")) ?? ""),
  );
  await owner.kill();
  t.ok((await stat(folder)).isDirectory());
  const next = new Owner(["postgres", ""]);
  await next.server();
  await t.rejects(stat(folder), { code: "ENOENT" });
  await next.stop();
  t.same(
    (await readdir(root)).filter((name) => name.startsWith("steward-postgres-")),
    [],
  );
});

await t.test("tests use DATABASE_URL when it is set, else a server of their own", async (t) => {
  const given = process.env["DATABASE_URL"];
  try {
    process.env["DATABASE_URL"] = "postgres://elsewhere/db";
    await using there = await postgresForTests();
    t.match(there, { skip: false, url: "postgres://elsewhere/db", server: undefined });
    delete process.env["DATABASE_URL"];
    await using own: { readonly url: string; readonly server: PostgresServer | undefined } & AsyncDisposable =
      await postgresForTests();
    t.equal(own.url, own.server?.url);
    await query(own.url, (sql) => sql`select 1`);
  } finally {
    if (given !== undefined) process.env["DATABASE_URL"] = given;
  }
});
