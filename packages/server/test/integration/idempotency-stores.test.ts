import type { IdempotencyStore, RedisRunner, SqlRunner } from "@steward/core";
import { FakeClock } from "@steward/core/testing";
import { trackHandles, until } from "@steward/testing";
import { postgresForTests, redisForTests } from "@steward/launchers";
import { Redis } from "ioredis";
import postgres from "postgres";
import t, { type Test } from "tap";
import { memoryIdempotency, redisIdempotency, sqlIdempotency } from "../../src/index.ts";

const handles = trackHandles();
const answer = { status: 201, headers: [["location", "/1"]], body: Buffer.from("é\0") } as const;
const claim = (owner: string, lockMs = 60_000) => ({ owner, fingerprint: `of ${owner}`, lockMs });

/** What every store does. `pass` lets time pass until a condition holds. */
async function contract(t: Test, store: IdempotencyStore, pass: (until: () => Promise<boolean>) => Promise<void>) {
  t.equal(await store.begin("k", claim("a")), undefined);
  t.strictSame(await store.begin("k", claim("b")), { fingerprint: "of a", answer: undefined });
  await store.finish("k", "b", { ...answer, status: 200 }, 60_000);
  await store.release("k", "b");
  t.match(await store.begin("k", claim("b")), { answer: undefined }, "only the owner has a say");
  await store.finish("k", "a", answer, 60_000);
  const kept = await store.begin("k", claim("b"));
  t.match(kept, { fingerprint: "of a", answer: { status: 201, headers: [["location", "/1"]] } });
  t.equal(Buffer.from(kept?.answer?.body ?? []).toString(), "é\0");
  t.equal(await store.begin("given up", claim("a")), undefined);
  await store.release("given up", "a");
  t.equal(await store.begin("given up", claim("b")), undefined);
  await store.finish("given up", "b", { ...answer, body: undefined }, 60_000);
  t.equal((await store.begin("given up", claim("a")))?.answer?.body, undefined);
  const many = await Promise.all(Array.from({ length: 20 }, (_, i) => store.begin("many", claim(String(i)))));
  t.equal(many.filter((found) => found === undefined).length, 1, "one of many gets the key");
  t.equal(await store.begin("dead", claim("a", 50)), undefined);
  await pass(async () => (await store.begin("dead", claim("b"))) === undefined);
  await store.finish("dead", "a", answer, 60_000);
  t.match(
    await store.begin("dead", claim("c")),
    { fingerprint: "of b", answer: undefined },
    "a late owner changes nothing",
  );
  await store.begin("brief", claim("a"));
  await store.finish("brief", "a", answer, 50);
  await pass(async () => (await store.begin("brief", claim("b"))) === undefined);
}

t.test("in memory, with bounds", async (t) => {
  const clock = new FakeClock();
  await contract(t, memoryIdempotency({ clock }), async (until) => {
    await clock.advance(51);
    t.ok(await until());
  });
  const small = memoryIdempotency({ maxKeys: 2, maxBytes: 100, clock });
  await small.begin("1", claim("a"));
  await small.begin("2", claim("a"));
  await t.rejects(
    small.begin("3", claim("a")),
    { code: "OVERLOADED" },
    "those that are being answered keep their keys",
  );
  await small.finish("1", "a", answer, 60_000);
  t.equal(await small.begin("3", claim("a")), undefined);
  t.equal(await small.begin("2", claim("b")).then((found) => found?.fingerprint), "of a");
  await small.finish("2", "a", { ...answer, body: Buffer.alloc(80) }, 60_000);
  await small.finish("3", "a", { ...answer, body: Buffer.alloc(80) }, 60_000);
  t.match(await small.begin("3", claim("b")), { answer: { status: 201 } });
  t.equal(await small.begin("2", claim("b")), undefined, "the answer that was kept first went");
});

t.test("in Redis", async (t) => {
  await using server = await redisForTests();
  const redis = new Redis(server.url ?? "");
  const script: RedisRunner["script"] = (source, keys, args) =>
    redis.eval(source, keys.length, ...keys, ...(args as string[])); // it is given texts and numbers
  await contract(t, redisIdempotency({ redis: { script } as RedisRunner }), (condition) => until(condition)); // all that it uses
  await redis.quit();
});

t.test("in Postgres, also where two make the table at the same moment", async (t) => {
  await using server = await postgresForTests();
  const pool = postgres(server.url, { onnotice: () => {}, max: 8 });
  const query: SqlRunner["query"] = async (text, values = []) => (await pool.unsafe(text, values as never[])) as never; // rows are what the caller says
  const sql = { query } as SqlRunner; // all that is used
  const [one, two] = [sqlIdempotency({ sql }), sqlIdempotency({ sql })];
  await Promise.all([one.begin("1", claim("a", 1)), two.begin("2", claim("a", 1))]);
  await contract(t, one, (condition) => until(condition));
  const rows = await sql.query("select key from steward_idempotency where key in ('1', '2')");
  t.equal(rows.length, 0, "rows that are over go with those that come");
  await pool.end();
});

t.teardown(() => handles.assertNoLeaks());
