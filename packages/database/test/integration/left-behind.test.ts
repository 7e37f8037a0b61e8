import { sql } from "drizzle-orm";
import postgres, { type Sql } from "postgres";
import t from "tap";
import { failure, until } from "@steward/testing";
import { DatabasePoolManager } from "../../src/index.ts";
import { testServer } from "./server.ts";

const place = await testServer();
const manager = await new DatabasePoolManager({ url: place.url, maxConnections: 1 }, { name: "films" }).start();
const { client } = manager;
const { $client } = client;
const observer = postgres(place.url, { max: 1 });
await $client`create table films (id int primary key)`;
t.teardown(async () => {
  await observer.end({ timeout: 2 });
  await manager.stop();
  await place[Symbol.asyncDispose]();
});
t.beforeEach(() => $client`truncate films`);
t.afterEach(() => until(() => manager.stats()["inUse"] === 0, "every connection comes back"));

type Statements = Pick<Sql, "unsafe"> & ((strings: TemplateStringsArray, ...args: never[]) => ReturnType<Sql>);

/** Ways to fail after rows have come. */
const failures: Readonly<Record<string, (on: Statements) => Promise<unknown>>> = {
  tagged: (on) => on`select 1 / (5 - n) from generate_series(1, 10) as n`,
  text: (on) => on.unsafe("select 1 / (5 - n) from generate_series(1, 10) as n"),
  script: (on) => on.unsafe("select 1; select 1 / (5 - n) from generate_series(1, 10) as n"),
  "without columns": (on) => on`select from generate_series(1, 10) as n where 1 / (5 - n) is not null`,
  "its reader throws": (on) =>
    on`select generate_series(1, 10)`.cursor(4, () => {
      throw new Error("no more");
    }),
};

/** What is there for all. */
async function films(): Promise<readonly unknown[]> {
  return (await observer`select id from films order by id`).map(({ id }) => id as unknown);
}

/** The rows and the length of what the next caller asks. */
async function next(on: Statements): Promise<unknown> {
  const found = await on`select 1 as n`;
  return { length: found.length, rows: [...found] };
}

const one = { length: 1, rows: [{ n: 1 }] };

for (const [name, fail] of Object.entries(failures))
  t.test(`rows of a statement that failed are not in the result of the next one (${name})`, async (t) => {
    await failure(fail($client));
    t.same(await next($client), one, "on a connection that others get");
    const portions: number[] = [];
    await failure(fail($client));
    for await (const rows of $client`select generate_series(1, 3)`.cursor(2)) portions.push(rows.length);
    t.same(portions, [2, 1], "nor in portions");
    const reserved = await $client.reserve();
    await failure(fail(reserved));
    t.same(await next(reserved), one, "on a reserved one");
    reserved.release();
    await $client
      .begin(async (tx) => {
        await failure(tx.savepoint((inner) => fail(inner)));
        t.same(await next(tx), one, "behind a savepoint");
        await fail(tx);
      })
      .catch(() => {});
    t.same(await next($client), one, "after a transaction");
  });

t.test("rows of a statement that was cancelled are not in the result of the next one", async (t) => {
  const query = $client`select n, repeat('x', 20000), pg_sleep(case when n > 2 then 60 else 0 end) from generate_series(1, 3) as n`;
  const cancelled = failure(query);
  const asleep = "select 1 from pg_stat_activity where wait_event = 'PgSleep' and query like '%20000%'";
  const isAtWork = async (): Promise<boolean> => (await observer.unsafe(asleep)).length === 1;
  await until(isAtWork, "its third row");
  query.cancel();
  t.match(await cancelled, { code: "57014" });
  t.same(await next($client), one);
});

const scripts = {
  begin: "begin",
  "with a write": "begin; insert into films values (1)",
  "in other words": "/* it */ start transaction read write",
  chained: "begin; select 1; rollback and chain",
  failed: "begin; insert into films values (1); select 1 / 0",
};
for (const [name, text] of Object.entries(scripts))
  t.test(`a transaction that a statement leaves open fails it, and no one else is in it (${name})`, async (t) => {
    const ways: readonly (() => PromiseLike<unknown>)[] = [
      () => $client.unsafe(text),
      () => $client(Object.assign([text], { raw: [text] })).simple(),
      () => client.execute(sql.raw(text)),
    ];
    const code = name === "failed" ? "22012" : "DATABASE_TRANSACTION_LEFT_OPEN";
    for (const way of ways) {
      const error = await failure(way());
      t.match(error.cause ?? error, { code });
      await $client`insert into films values (2)`;
      t.same(await films(), [2], "what others write is kept, and nothing else is");
      await $client`truncate films`;
    }
    t.equal(manager.stats()["opened"], 1, "on the same connection");
  });

t.test("a tagged begin without others in the pool is refused too", async (t) => {
  t.match(await failure($client`begin`), { code: "DATABASE_TRANSACTION_LEFT_OPEN", message: /\$client\.begin\(\)/ });
});

t.test("a reservation in which a script or a comment leaves a transaction is rolled back", async (t) => {
  for (const text of ["select 1; begin; insert into films values (1)", "-- now\n/* it */ begin"]) {
    const reserved = await $client.reserve();
    await reserved.unsafe(text);
    reserved.release();
    await $client`insert into films values (2)`;
    t.same(await films(), [2], text);
    await $client`truncate films`;
  }
});

t.test("a script that ends its transaction, and one that only speaks of it, are run as they are", async (t) => {
  await $client.unsafe("begin; insert into films values (1); commit");
  await $client.unsafe("begin; insert into films values (2); rollback");
  await $client.unsafe("do $$ begin insert into films values (3); end $$; select 'begin'");
  t.match(await failure($client.unsafe("select 'begin'; select 1 / 0")), { code: "22012" });
  t.same(await films(), [1, 3]);
  t.equal(manager.stats()["opened"], 1);
});

t.test("mistakes that the driver sees fail their call alone and at once, however many", async (t) => {
  const mistakes: Readonly<Record<string, (on: Statements) => Promise<unknown>>> = {
    UNDEFINED_VALUE: (on) => on`select ${undefined as never}::int as n`,
    MINE: (on) =>
      on`select 1`.cursor(() => {
        throw Object.assign(new Error("mine"), { code: "MINE" });
      }),
  };
  const { opened, unknown } = manager.stats();
  const reserved = await $client.reserve();
  for (const [code, make] of Object.entries(mistakes))
    for (let round = 0; round < 8; round++) t.match(await failure(make(reserved)), { code }, "reserved");
  reserved.release();
  for (const [code, make] of Object.entries(mistakes))
    for (let round = 0; round < 8; round++) t.match(await failure(make($client)), { code });
  t.same(await next($client), one, "the circuit is closed");
  t.match(manager.stats(), { opened, unknown }, "on the same connection");
});

t.test("parameters in the simple protocol fail their statement, and no other one", async (t) => {
  for (let round = 0; round < 3; round++) {
    const refused = failure($client`select ${1}::int as n`.simple());
    const others = Array.from({ length: 5 }, async (_, n) => [...(await $client.unsafe(`select ${n} as n`))]);
    t.match(await refused, { code: "42P02" });
    t.same(
      await Promise.all(others),
      Array.from({ length: 5 }, (_, n) => [{ n }]),
    );
  }
});
