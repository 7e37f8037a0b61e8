import {
  begin,
  DATABASE_CODES,
  databasePool,
  DatabasePoolManager,
  databaseUrlProblem,
  transaction,
  type DatabaseInput,
} from "../src/index.ts";
import { runWithContext, Secret, systemClock, type ValueOf } from "@steward/core";
import { specOf } from "@steward/core/container";
import { failure } from "@steward/testing";
import { sql } from "drizzle-orm";
import { integer, pgTable } from "drizzle-orm/pg-core";
import t from "tap";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { claimFolder } from "../src/connections/embedded/folder-claim.ts";
import { testDatabase } from "../src/testing.ts";

function problems(options: unknown): string {
  try {
    const manager = new DatabasePoolManager(options as DatabaseInput, { name: "db" });
    return manager.phase === "idle" ? "" : "it did something";
  } catch (error) {
    return error instanceof Error ? error.message : "";
  }
}

t.test("options that are wrong are refused all at once, with what would be right", (t) => {
  const message = problems({ url: "mysql://x", maxConections: 3, port: 0, tls: "yes" });
  for (const line of [
    /db\.url: must be a URL such as postgres/,
    /db\.maxConections: .*did you mean "maxConnections"/,
    /db\.port/,
    /db\.tls/,
  ])
    t.match(message, line);
  t.end();
});

t.test("a URL is looked at before there is a database, in the words that the database has for it", (t) => {
  t.equal(databaseUrlProblem("postgres://u:p@a:5432,b:5433/db?sslmode=verify-ca"), undefined);
  for (const url of ["mysql://x", "postgres://x/db?sslmode=prefer", "postgres://u:hush%zz@x", "postgres://x:0", ""]) {
    const problem = databaseUrlProblem(url);
    t.ok(problem !== undefined && problems({ url }).includes(`db.url: ${problem}`), url);
    t.notMatch(problem, /hush/);
  }
  t.end();
});

t.test("options that contradict one another are refused", (t) => {
  t.match(problems({ timeout: 5 }), /did you mean "timeoutMs"/);
  t.match(problems({ url: "postgres://x", host: "y" }), /db\.url: excludes host/);
  t.match(problems({ embedded: {}, maxConnections: 4 }), /db\.maxConnections: must be 1 with embedded/);
  t.match(problems({ embedded: {}, url: "postgres://x" }), /db\.embedded: excludes url/);
  t.match(problems({ client: () => {} }), /db\.client: must be a client of postgres\.js/);
  t.equal(problems({ host: "h", port: 5432, password: new Secret("x"), timeoutMs: 0 }), "");
  t.end();
});

t.test("secrets are shown nowhere", (t) => {
  const manager = new DatabasePoolManager({ url: "postgres://app:hunter2@h/db", password: "hunter3" });
  t.notMatch(inspect(manager, { depth: 8, showHidden: true }), /hunter/);
  t.end();
});

t.test("a definition takes literal options or computes them, and keeps the type of its tables", (t) => {
  t.match(databasePool("db", { url: "postgres://x" }), { name: "db", lifetime: "application" });
  t.match(databasePool("db", { needs: {}, options: () => ({ embedded: {} }) }), { name: "db" });
  t.ok(Object.values(DATABASE_CODES).every((meaning) => meaning.endsWith(".")));
  t.end();
});

t.test("a definition makes a manager that starts, with the options it was given", async (t) => {
  const films = pgTable("films", { id: integer() });
  const definition = databasePool("films", {
    embedded: {},
    schema: { films },
    acquireTimeoutMs: 1_234,
    enabled: true,
  });
  const { managed } = specOf(definition);
  const manager = managed?.create(managed.prepare({}), { name: "films", clock: systemClock });
  await manager?.start();
  const db: ValueOf<typeof definition> = manager?.client as ValueOf<typeof definition>;
  await db.$client`create table films (id int)`;
  t.same(await db.query.films.findMany(), []);
  await manager?.stop();
  const wrong = databasePool("films", { needs: {}, options: () => ({ url: "nowhere" }) });
  t.throws(() => specOf(wrong).managed?.prepare({}), { code: "OPTIONS_INVALID" });
});

t.test("a database for tests runs inside this process and begins empty at each start", async (t) => {
  const manager = testDatabase();
  for (const round of [1, 2]) {
    await manager.start();
    const { $client } = manager.client;
    await $client`create table films (id int)`;
    await $client.begin((s) => s`insert into films values (${round})`);
    t.same(await $client`select id from films`.values(), [[round]]);
    const gone = new AbortController();
    const left = (): Promise<unknown> =>
      $client.begin(async (s) => {
        await s`delete from films`;
        gone.abort();
        await s`select 1`;
      });
    await t.rejects(runWithContext({ signal: gone.signal }, left));
    t.same(await $client`select id from films`.values(), [[round]], "what was left is undone");
    await manager.probe();
    await manager.stop();
  }
});

t.test("one that stands for another keeps its tables and settings, but for where it is", async (t) => {
  const films = pgTable("films", { id: integer() });
  const url = "postgres://ada:s3cr3t@db.internal/films";
  const db = databasePool("films", { url, schema: { films }, maxPending: 7, replicas: [url], tags: ["films"] });
  const stand = testDatabase.definition(db, { timeoutMs: 500 });
  const { managed, settings } = specOf(stand);
  t.match(settings.tags, ["films"]);
  t.same(managed?.prepare({}), { schema: { films }, maxPending: 7, timeoutMs: 500 });
  const manager = managed?.create(managed.prepare({}), { name: "films", clock: systemClock });
  await manager?.start();
  const client = manager?.client as ValueOf<typeof stand>;
  await client.execute(sql`create table films (id int)`);
  t.same(await client.query.films.findMany(), []);
  await manager?.stop();
});

t.test("what a database in memory begins with is kept, and made anew where it is damaged", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "steward-image-"));
  const before = process.env["STEWARD_POSTGRES_TEMPLATES"];
  t.teardown(async () => {
    if (before === undefined) delete process.env["STEWARD_POSTGRES_TEMPLATES"];
    else process.env["STEWARD_POSTGRES_TEMPLATES"] = before;
    await rm(folder, { recursive: true });
  });
  process.env["STEWARD_POSTGRES_TEMPLATES"] = folder;
  const manager = testDatabase();
  const [image = ""] = (await readdir(before ?? folder)).filter((name) => name.startsWith("pglite-"));
  if (image !== "") await writeFile(join(folder, image), "no image");
  await manager.start();
  t.same(await manager.client.$client`select 1 as one`.values(), [[1]]);
  await manager.stop();
  const files = await readdir(folder);
  t.equal(files.length, 1, "no draft is left");
  t.ok((await stat(join(folder, files[0] ?? ""))).size > 1_000_000);
});

t.test("over one database", async (t) => {
  await using manager = await testDatabase().start();

  await t.test(
    "options of a transaction that are unknown or of a wrong type are refused before it begins",
    async (t) => {
      const cases: readonly (readonly [object, RegExp])[] = [
        [{ isolationLevl: "serializable" }, /isolationLevl: .*did you mean "isolationLevel"/],
        [{ isolationLevel: "serialisable" }, /isolationLevel: expected "read committed"/],
        [{ timeoutMs: "5" }, /timeoutMs: expected number/],
        [{ timeoutMs: Number.NaN }, /timeoutMs: expected number/],
      ];
      const work = (): never => t.fail("it ran") as never;
      for (const [options, message] of cases) {
        t.match(await failure(begin(manager.client, options)), { code: "OPTIONS_INVALID", message });
        t.match(await failure(transaction(manager.client, work, options)), { code: "OPTIONS_INVALID", message });
      }
      const retry = { maxAttempts: 0 };
      t.match(await failure(transaction(manager.client, work, { retry })), {
        message: /retry\.maxAttempts: must be at least 1/,
      });
      t.equal(manager.stats()["started"], 0);
    },
  );

  await t.test("what users typed stands in no error of a statement, while programs still find it", async (t) => {
    const { client } = manager;
    await client.execute(sql`create table films (title text unique)`);
    const title = "S3CR3T title";
    const insert = (db: Pick<typeof client, "execute">): Promise<unknown> =>
      db.execute(sql`insert into nowhere values (${title}, ${7})`);
    const errors = [
      await failure(insert(client)),
      await failure(client.transaction((inner) => insert(inner))),
      await failure(transaction(client, (inner) => insert(inner))),
    ];
    await manager.stop();
    errors.push(await failure(insert(client)));
    for (const error of errors as (Error & { params?: unknown[] })[]) {
      t.match(error.message, /insert into nowhere values \(\$1, \$2\)\s+params: \[2 parameters\]/);
      t.match(error.params?.[0], title);
      t.notMatch([error.message, error.stack, JSON.stringify(error), inspect(error, { depth: 9 })].join(), /S3CR3T/);
    }
  });
});

t.test("the folder of an embedded Postgres is that of one process; what a dead one has claimed is free", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "steward-embedded-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const dataDir = join(folder, "new/rows");
  const file = `${dataDir}.pid`;
  const release = await claimFolder("db", dataDir);
  const own = await readFile(file, "utf8");
  t.match(own, new RegExp(`^${process.pid} `));
  await release();
  await release();
  t.same(await readdir(join(folder, "new")), []);

  await writeFile(file, String(process.ppid));
  const second = new DatabasePoolManager({ embedded: { dataDir } }, { name: "db" });
  const message = new RegExp(`^db: the files in .*rows are in use by process ${process.ppid}, `);
  t.match(await failure(second.start()), { code: "DATABASE_CONNECT_FAILED", message });
  t.same(await readdir(join(folder, "new")), ["rows.pid"], "nothing was touched");

  const isTimeKnown = !own.endsWith(" ");
  const claims = ["999999999", "", "no", ...(isTimeKnown ? [own.replace(/^\d+/, String(process.ppid))] : [])];
  for (const text of claims) {
    await writeFile(file, text);
    await (
      await claimFolder("db", dataDir)
    )();
    t.same(await readdir(join(folder, "new")), [], JSON.stringify(text));
  }
  await writeFile(join(folder, "a-file"), "");
  await (
    await claimFolder("db", join(folder, "a-file/rows"))
  )();
  t.same((await readdir(folder)).sort(), ["a-file", "new"], "where nothing can be made, the driver says why");
});
