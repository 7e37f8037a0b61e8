import type { SqlRunner } from "@steward/core";
import { cryptoBackend } from "@steward/crypto";
import { container } from "@steward/container";
import { failure, rounds } from "@steward/testing";
import { postgresForTests } from "@steward/launchers";
import postgres from "postgres";
import { randomBytes } from "node:crypto";
import t from "tap";
import { authentication, sqlApiKeys, sqlFamilies, sqlSessions, type Authentication } from "../../src/index.ts";
import { testTokenMac } from "../../src/testing.ts";
import { at, instances } from "../make.ts";
import { sessionRaces } from "../session-races.ts";

const prefix = `auth_${randomBytes(4).toString("hex")}`; // the server may be there longer than this test
const INVALID = { code: "AUTH_TOKEN_INVALID" };

function runnerOf(pool: postgres.Sql | postgres.TransactionSql): SqlRunner {
  return {
    query: async (text, values = []) => (await pool.unsafe(text, values as never[])) as never, // rows are what the caller says
    transaction: (work) =>
      ("begin" in pool ? pool.begin((inner) => work(runnerOf(inner))) : work(runnerOf(pool))) as never,
  };
}

t.test("families in Postgres, under several instances", async (t) => {
  await using server = await postgresForTests();
  const pools = [1, 2, 3].map(() => postgres(server.url, { onnotice: () => {}, max: 4 }));
  const stores = pools.map((pool) => sqlFamilies({ sql: runnerOf(pool), prefix }));
  const sql = runnerOf(at(pools, 0));
  await Promise.all(stores.map((store) => store.epoch("x"))); // all make the tables at the same moment

  await t.test("of many refreshes at once one rotates, and nobody is signed out", async (t) => {
    const mac = testTokenMac();
    const sides: Authentication[] = [];
    for (const store of stores) sides.push(at((await instances(t, 1, { store, mac })).clients, 0));
    const begun = await at(sides, 0).issuePair({ subject: "ada", scopes: ["a", "b"] });
    let { refreshToken } = begun;
    for (let turn = 0; turn < rounds(15); turn++) {
      const uses = Array.from({ length: 9 }, (_, i) => at(sides, i).refresh(refreshToken));
      const pairs = await Promise.all(uses);
      t.equal(new Set(pairs.map((pair) => pair.refreshToken)).size, 1);
      ({ refreshToken } = turn % 2 === 0 ? at(pairs, 0) : await at(sides, turn).refresh(refreshToken)); // a lost answer
    }
    const [row] = await sql.query(`select counter::int as counter from ${prefix}_families where id = $1`, [
      begun.session,
    ]);
    t.equal(row?.["counter"], rounds(15));
    const first = await at(sides, 0).issuePair({ subject: "eve" });
    const next = await at(sides, 1).refresh(first.refreshToken);
    const last = await at(sides, 2).refresh(next.refreshToken);
    await t.rejects(at(sides, 0).refresh(first.refreshToken), INVALID, "a replay after use");
    await t.rejects(at(sides, 1).refresh(last.refreshToken), INVALID);
  });

  await t.test("a user has exactly as many sessions as may be, and a sign-out ends those that begin", async (t) => {
    const family = { scopes: [], agent: "", idleMs: 60_000, absoluteMs: 60_000, maxPerUser: 3 };
    const create = (id: string, i: number, epoch?: number): Promise<boolean> =>
      at(stores, i).create({ ...family, id, subject: "max", epoch });
    await Promise.all(Array.from({ length: 30 }, (_, i) => create(`m${i}`, i)));
    const alive = await Promise.all(Array.from({ length: 30 }, (_, i) => at(stores, i).find(`m${i}`)));
    t.equal(alive.filter((found) => found !== undefined).length, 3);
    const epoch = await at(stores, 0).epoch("max");
    const racing = Array.from({ length: 10 }, (_, i) => create(`r${i}`, i, epoch));
    await Promise.all([...racing, at(stores, 1).raiseEpoch("max")]);
    t.equal(await create("late", 2, epoch), false);
    const before = [...Array.from({ length: 10 }, (_, i) => `r${i}`), ...Array.from({ length: 30 }, (_, i) => `m${i}`)];
    for (const id of ["late", ...before]) t.equal(await at(stores, 2).find(id), undefined, id);
    t.equal(await at(stores, 0).epoch("max"), epoch + 1);
    t.ok(await create("new", 1), "and the next sign-in counts");
    t.match(await at(stores, 2).find("new"), { subject: "max", counter: 0, scopes: [] });
    for (const i of [1, 2, 3]) await create(`n${i}`, i);
    t.equal(await at(stores, 2).find("new"), undefined, "the oldest ends");
    t.match(await at(stores, 2).find("n1"), { subject: "max" });
  });

  await t.test("who signs out everywhere hears of every session of a cookie, on one connection too", async (t) => {
    const pool = postgres(server.url, { onnotice: () => {}, max: 1 });
    const shared = { sql: runnerOf(pool), prefix };
    const refresh = { store: sqlFamilies(shared), mac: testTokenMac() };
    const { clients } = await instances(t, 1, refresh, {
      sessions: { store: sqlSessions(shared) },
      apiKeys: { store: sqlApiKeys(shared) },
    });
    t.teardown(() => pool.end());
    const auth = at(clients, 0);
    const told: string[] = [];
    auth.onEnded(({ sessions }) => void told.push(...sessions));
    const { value } = await auth.sessions.begin({ subject: "sam" });
    await auth.issuePair({ subject: "sam" });
    const found = await auth.sessions.find(value);
    t.equal(await auth.sessions.revoke("sam", "\0"), false, "Postgres cannot even be asked for it");
    t.equal(await auth.apiKeys.revoke("sam", "\0"), false);
    await auth.logoutEverywhere("sam");
    t.strictSame(told, [found?.principal.session]);
    t.equal(await auth.sessions.find(value), undefined);
  });

  await t.test("time is that of the server, and rows that are over go", async (t) => {
    const family = { subject: "tim", scopes: ["s"], agent: "x", idleMs: 60_000, absoluteMs: 90_000, maxPerUser: 9 };
    const [store] = stores;
    if (store === undefined) return;
    const age = (id: string, column: string): Promise<unknown> =>
      sql.query(`update ${prefix}_families set ${column} = ${column} - interval '2 minutes' where id = $1`, [id]);
    const use = { counter: 0, agent: "x", idleMs: 60_000, graceMs: 10_000 };
    for (const id of ["t1", "t2", "t3"]) await store.create({ ...family, id });
    t.match(await store.rotate("t1", use), { outcome: "rotated", family: { counter: 1, scopes: ["s"] } });
    t.match(await store.rotate("t1", { ...use, agent: "y" }), { outcome: "reused", subject: "tim" });
    await store.rotate("t2", use);
    t.match(await store.rotate("t2", use), { outcome: "replayed", family: { counter: 1 } });
    await age("t2", "rotated_at");
    t.match(await store.rotate("t2", use), { outcome: "reused" });
    t.match(await store.rotate("t2", use), { outcome: "unknown" });
    await store.create({ ...family, id: "t6" });
    for (let i = 0; i < 101; i++) await store.rotate("t6", use);
    t.match(await store.rotate("t6", use), { outcome: "reused" }, "one more is no retry");
    await age("t3", "ends_at");
    t.equal(await store.find("t3"), undefined);
    t.match(await store.rotate("t3", use), { outcome: "unknown" });
    await store.create({ ...family, id: "t4" });
    const { endsInMs = 0 } = (await store.find("t4")) ?? {};
    t.ok(endsInMs > 50_000 && endsInMs <= 60_000, `${endsInMs} ms are left`);
    await age("t4", "absolute_until");
    const found = await store.rotate("t4", use);
    t.ok(found.outcome === "rotated" && found.family.endsInMs < 0, "no later than its absolute end");
    await store.create({ ...family, id: "t5" });
    await store.create({ ...family, id: "t7" });
    await store.rotate("t5", use);
    const listed = await store.list("tim");
    t.match(listed, [{ id: "t7" }, { id: "t5", subject: "tim", scopes: ["s"], beganAtMs: Number, usedAtMs: Number }]);
    t.ok(Math.abs((listed[1]?.usedAtMs ?? 0) - Date.now()) < 600_000, "ms since 1970");
    await store.remove("t7");
    const left = await sql.query(`select id from ${prefix}_families where subject = 'tim' order by seq`);
    t.strictSame(
      left.map(({ id }) => id),
      ["t5"],
    );
  });

  await t.test("API keys", async (t) => {
    const store = sqlApiKeys({ sql, prefix });
    const { clients } = await instances(t, 2, {}, { apiKeys: { store }, revocation: "strict" });
    const [one, two] = [at(clients, 0), at(clients, 1)];
    const { id, key } = await one.apiKeys.create({ subject: "ada", name: "CI", scopes: ["a", "b"], ttlMs: 60_000 });
    const forever = await two.apiKeys.create({ subject: "ada", name: "for ever" });
    const credential = { scheme: "bearer", value: key } as const;
    const who = await two.authenticate(credential);
    t.match(who, { subject: "ada", tokenId: id, session: undefined });
    t.strictSame([...who.scopes], ["a", "b"]);
    t.equal(who.expiresAtMs - who.issuedAtMs, 60_000);
    t.match(await store.find(id), { isUseDue: false });
    t.match(await one.apiKeys.list("ada"), [
      { id: forever.id, scopes: [], expiresAtMs: undefined, lastUsedAtMs: undefined },
      { id, name: "CI", lastUsedAtMs: Number },
    ]);
    const rows = JSON.stringify(await sql.query(`select * from ${prefix}_api_keys`));
    t.notMatch(rows, key.slice(28, 92));
    await sql.query(`update ${prefix}_api_keys set last_used_at = now() - interval '61 seconds'`);
    t.match(await store.find(id), { isUseDue: true });
    t.equal(await one.apiKeys.revoke("eve", forever.id), false, "not another's");
    t.equal(await one.apiKeys.revoke("ada", forever.id), true);
    await t.rejects(two.authenticate({ scheme: "bearer", value: forever.key }), INVALID);
    await sql.query(`update ${prefix}_api_keys set expires_at = now()`);
    await t.rejects(one.authenticate(credential), INVALID);
    t.strictSame(await one.apiKeys.list("ada"), []);
    await one.apiKeys.create({ subject: "eve", name: "another" });
    t.match(await sql.query(`select subject from ${prefix}_api_keys`), [{ subject: "eve" }], "rows that are over go");
  });

  await t.test("nothing in the tables signs anybody in, and keys turn without an end to sessions", async (t) => {
    const crypto = cryptoBackend("crypto", {
      keysets: { access: { algorithm: "token-hs256" }, refresh: { algorithm: "hmac-sha256" } },
      propagationMs: 0,
    });
    const auth = authentication("auth", {
      needs: { crypto },
      options: ({ crypto }) => ({
        issuer: "https://a.example",
        audience: "a",
        keys: crypto.token("access"),
        refresh: { store: at(stores, 0), mac: crypto.mac("refresh") },
      }),
    });
    await using running = await container([auth, crypto]).start();
    const client = running.get(auth);
    const pair = await client.issuePair({ subject: "ada" });
    const dump = [
      ...(await sql.query(`select f::text as row, f.* from ${prefix}_families f`)),
      ...(await sql.query(`select e::text as row, e.* from ${prefix}_epochs e`)),
    ];
    for (const value of new Set(dump.flatMap((row) => Object.values(row).map(String))))
      for (const text of [value, `rt_${value}`, `rt_${value}.0.${value}`, `rt_${pair.session}.0.${value}`]) {
        await failure(client.refresh(text));
        await failure(client.verify(text));
      }
    await running.get(crypto).keys("refresh").rotate({ immediate: true });
    const next = await client.refresh(pair.refreshToken);
    t.equal((await client.refresh(next.refreshToken)).session, pair.session);
  });
  await t.test("cookie sessions", async (t) => {
    const all = pools.map((pool) => sqlSessions({ sql: runnerOf(pool), prefix }));
    await Promise.all(all.map((store) => store.epoch("x")));
    await sessionRaces(t, all);
    const sessions = { store: at(all, 0) };
    const { clients } = await instances(t, 1, { store: at(stores, 0) }, { sessions });
    const auth = at(clients, 0);
    const { value } = await auth.sessions.begin({ subject: "sue", scopes: ["a", "b"], userAgent: "x\0y" });
    await auth.sessions.write(value, { text: "quotes ' \" and 🐎" });
    const found = await auth.sessions.find(value);
    t.match(found, { fields: { text: "quotes ' \" and 🐎" }, principal: { subject: "sue" } });
    t.ok(Math.abs((found?.principal.issuedAtMs ?? 0) - Date.now()) < 600_000, "ms since 1970");
    for (const row of await sql.query(`select s::text as row, s.* from ${prefix}_sessions s`))
      for (const text of Object.values(row).flatMap((one) => [String(one), `cs_${String(one)}`]))
        t.equal(await auth.sessions.find(text), undefined, "nothing in the table is a cookie");
    const age = (column: string): Promise<unknown> =>
      sql.query(`update ${prefix}_sessions set ${column} = now() where subject = 'sue'`);
    await age("absolute_until");
    await at(all, 1).touch(String(found?.principal.session), 60_000);
    t.equal(await auth.sessions.find(value), undefined, "no later than its absolute end");
    const second = await auth.sessions.begin({ subject: "sue" });
    const pair = await auth.issuePair({ subject: "sue" });
    await at(all, 2).raiseEpoch("sue");
    t.equal(await auth.sessions.find(second.value), undefined);
    await t.rejects(auth.refresh(pair.refreshToken), INVALID, "users have one epoch");
    await auth.sessions.begin({ subject: "sue" });
    t.equal(
      (await sql.query(`select id from ${prefix}_sessions where subject = 'sue'`)).length,
      1,
      "rows that are over go",
    );
  });
  await Promise.all(pools.map((pool) => pool.end()));
});
