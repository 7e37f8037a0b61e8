import { RedisPoolManager, redisRunner } from "@steward/redis";
import { rounds } from "@steward/testing";
import { findRedis, startRedis } from "@steward/launchers";
import t from "tap";
import { redisFamilies, redisSessions } from "../../src/index.ts";
import { testTokenMac } from "../../src/testing.ts";
import { at, instances } from "../make.ts";
import { sessionRaces } from "../session-races.ts";

const needsRedis = findRedis() !== undefined || process.env["CI"] === "true" ? {} : { skip: "no Redis on PATH" };
const INVALID = { code: "AUTH_TOKEN_INVALID" };

t.test("sessions and families in Redis, under several instances", needsRedis, async (t) => {
  const server = await startRedis();
  t.teardown(() => server.stop());
  const pools = await Promise.all([1, 2, 3].map(() => new RedisPoolManager({ url: server.url }).start()));
  t.teardown(() => Promise.all(pools.map((pool) => pool.stop())));
  const runners = pools.map(({ client }) => redisRunner(client));
  const redis = at(runners, 0);
  const families = runners.map((one) => redisFamilies({ redis: one }));
  const sessions = runners.map((one) => redisSessions({ redis: one }));

  await t.test("cookie sessions", (t) => sessionRaces(t, sessions));

  await t.test("of many refreshes at once one rotates, and nobody is signed out", async (t) => {
    const mac = testTokenMac();
    const sides = await Promise.all(families.map((store) => instances(t, 1, { store, mac }))); // refresh tokens alone go from side to side
    const auths = sides.map(({ clients }) => at(clients, 0));
    let { refreshToken } = await at(auths, 0).issuePair({ subject: "ada" });
    for (let turn = 0; turn < rounds(10); turn++) {
      const pairs = await Promise.all(Array.from({ length: 20 }, (_, i) => at(auths, i).refresh(refreshToken)));
      t.equal(new Set(pairs.map((pair) => pair.refreshToken)).size, 1);
      ({ refreshToken } = at(pairs, 0));
    }
    const first = await at(auths, 0).issuePair({ subject: "eve" });
    const next = await at(auths, 1).refresh(first.refreshToken);
    const last = await at(auths, 2).refresh(next.refreshToken);
    t.match(await at(auths, 2).listPairs("eve"), [{ id: first.session, subject: "eve", scopes: [] }]);
    await t.rejects(at(auths, 0).refresh(first.refreshToken), INVALID, "a replay after use");
    await t.rejects(at(auths, 1).refresh(last.refreshToken), INVALID);
    t.strictSame(await at(auths, 2).listPairs("eve"), []);
  });

  await t.test("a family rotates, is replayed and ends as in Postgres", async (t) => {
    const family = { scopes: ["s", "t"], agent: "x", idleMs: 60_000, absoluteMs: 90_000, maxPerUser: 3 };
    const store = at(families, 0);
    const create = (id: string, i: number, epoch?: number): Promise<boolean> =>
      at(families, i).create({ ...family, id, subject: "tim", epoch });
    const use = { counter: 0, agent: "x", idleMs: 60_000, graceMs: 10_000 };
    const age = (id: string, field: string): Promise<unknown> =>
      redis.command("HINCRBY", `{steward:auth}:family:${id}`, field, -120_000);
    await Promise.all(Array.from({ length: 30 }, (_, i) => create(`m${i}`, i)));
    t.equal((await store.list("tim")).length, 3, "exactly as many as may be");
    for (const id of ["t1", "t2", "t3"]) await create(id, 0);
    t.strictSame(
      (await store.list("tim")).map(({ id }) => id),
      ["t3", "t2", "t1"],
    );
    t.match(await store.rotate("t1", use), { outcome: "rotated", family: { counter: 1, scopes: ["s", "t"] } });
    t.match(await store.rotate("t1", { ...use, agent: "y" }), { outcome: "reused", subject: "tim" });
    t.match(await store.rotate("t1", use), { outcome: "unknown" });
    await store.rotate("t2", use);
    for (let i = 0; i < 100; i++) await store.rotate("t2", use);
    t.match(await store.rotate("t2", use), { outcome: "reused" }, "one more is no retry");
    await store.rotate("t3", use);
    t.match(await store.rotate("t3", use), { outcome: "replayed", family: { subject: "tim", counter: 1 } });
    await age("t3", "used");
    t.match(await store.rotate("t3", use), { outcome: "reused" }, "the grace is over");
    await create("t4", 1);
    await age("t4", "ends");
    t.equal(await store.find("t4"), undefined);
    t.match(await store.rotate("t4", use), { outcome: "unknown" });
    await create("t5", 1);
    await age("t5", "last");
    const found = await store.rotate("t5", use);
    t.ok(found.outcome === "rotated" && found.family.endsInMs < 0, "no later than its absolute end");
    t.equal(await store.find("t5"), undefined);
    await create("t6", 1);
    await store.create({ ...family, id: "t7", subject: "tom", epoch: undefined, idleMs: 1_000.5, absoluteMs: 2_000.5 });
    t.match(await store.rotate("t7", { ...use, idleMs: 1_000.5 }), { outcome: "rotated" }, "a part of a ms is none");
    t.ok(Number(await redis.command("PTTL", "{steward:auth}:family:t7")) > 0);
    const { beganAtMs = 0, endsInMs = 0 } = (await store.find("t6")) ?? {};
    t.ok(Math.abs(beganAtMs - Date.now()) < 600_000 && endsInMs > 50_000 && endsInMs <= 60_000);
    const epoch = await store.epoch("tim");
    const racing = Array.from({ length: 10 }, (_, i) => create(`r${i}`, i, epoch));
    await Promise.all([...racing, at(sessions, 1).raiseEpoch("tim")]);
    t.strictSame(await store.list("tim"), [], "sessions of cookies and families have one epoch");
    t.equal(await create("late", 2, epoch), false);
  });

  await t.test("nothing in Redis signs anybody in, and what has ended leaves nothing but epochs", async (t) => {
    const { clients } = await instances(t, 1, { store: at(families, 0) }, { sessions: { store: at(sessions, 0) } });
    const auth = at(clients, 0);
    const { value } = await auth.sessions.begin({ subject: "sue", userAgent: "x" });
    await auth.sessions.write(value, { text: "quotes ' \" and 🐎", count: "1" });
    t.match(await auth.sessions.find(value), { fields: { text: "quotes ' \" and 🐎" } });
    await auth.issuePair({ subject: "sue" });
    const names = (await redis.command("KEYS", "*")) as string[];
    for (const name of names) {
      const fields = name.includes(":session:") || name.includes(":family:") ? await redis.command("HVALS", name) : [];
      for (const text of [name, name.split(":").at(-1) ?? "", ...(fields as string[])].flatMap((one) => [
        one,
        `cs_${one}`,
      ])) {
        t.equal(await auth.sessions.find(text), undefined);
        await t.rejects(auth.refresh(`rt_${text}`), INVALID);
      }
    }
    for (const subject of ["sue", "ada", "max", "wes", "eve", "tim", "tom"]) await auth.logoutEverywhere(subject);
    const left = ((await redis.command("KEYS", "*")) as string[]).filter((name) => !/:(epoch:\w+|count)$/.test(name));
    t.strictSame(left, []);
  });
});
