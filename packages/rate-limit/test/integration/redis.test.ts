import assert from "node:assert/strict";
import { runWithContext, systemClock, type RedisRunner, type RequestContext } from "@steward/core";
import { RedisPoolManager, redisRunner } from "@steward/redis";
import { FakeClock, until } from "@steward/testing";
import { findRedis, startRedis, type RedisServer } from "@steward/launchers";
import t from "tap";
import { RateLimiterManager, type Policies, type RateLimiterOptions } from "../../src/index.ts";
import { CONTRACT_POLICIES, rateLimiterContract } from "../../src/testing.ts";

const needsRedis = findRedis() !== undefined || process.env["CI"] === "true" ? {} : { skip: "no Redis on PATH" };

let server: RedisServer;
t.before(async () => void (server = await startRedis()));
t.teardown(() => server.stop());

interface Test {
  teardown(end: () => Promise<unknown>): unknown;
}

/** A client of the server, for one test. */
async function connect(t: Test, of: RedisServer = server): Promise<RedisRunner> {
  const redis = new RedisPoolManager({ url: of.url });
  t.teardown(() => redis.stop());
  await redis.start();
  return redisRunner(redis.client);
}

/** An instance of a service, with a connection of its own. */
async function instance<P extends Policies>(
  t: Test,
  options: RateLimiterOptions<P>,
  { of = server, clock }: { of?: RedisServer; clock?: FakeClock } = {},
): Promise<RateLimiterManager<P>> {
  const manager = new RateLimiterManager({ ...options, redis: await connect(t, of) }, { clock });
  t.teardown(() => manager.stop());
  return manager.start();
}

let prefixes = 0;
const fresh = (): string => `test${++prefixes}:`;

t.test("the contract holds in Redis", needsRedis, async (t) => {
  const runner = await connect(t);
  rateLimiterContract({ test: (name, fn) => void t.test(name, fn), assert }, async () => {
    const clock = new FakeClock();
    const options = {
      policies: CONTRACT_POLICIES,
      redis: runner,
      prefix: fresh(),
      clock: "client",
      timeoutMs: 5_000,
    } as const;
    const { client } = await new RateLimiterManager(options, { clock }).start();
    return { limiter: client, advance: (ms) => clock.advance(ms) };
  });
});

t.test("instances share one budget, whatever their clocks say", needsRedis, async (t) => {
  const options = { policies: { api: ["100/minute", "150/hour"] }, prefix: fresh(), timeoutMs: 5_000 } as const;
  const clocks = [0, 3_600_000, -3_600_000, 0].map((ms) => new FakeClock(0, Date.now() + ms));
  const all = await Promise.all(clocks.map((clock) => instance(t, options, { clock })));
  const decisions = await Promise.all(
    all.flatMap(({ client }) => Array.from({ length: 200 }, () => client.take("api", "ada"))),
  );
  t.equal(decisions.filter(({ allowed }) => allowed).length, 100);
  t.ok(decisions.every(({ source }) => source !== "local"));
});

t.test("who was refused is refused here, without Redis, until there is room", needsRedis, async (t) => {
  const runner = await connect(t);
  let scripts = 0;
  const counting: RedisRunner = { ...runner, script: (...args) => (scripts++, runner.script(...args)) };
  const clock = new FakeClock();
  const options = { policies: { api: "1/minute" }, redis: counting, prefix: fresh(), timeoutMs: 5_000 } as const;
  const { client } = await new RateLimiterManager(options, { clock }).start();
  await client.take("api", "ada");
  for (let i = 0; i < 1_000; i++) t.equal((await client.take("api", "ada")).allowed, false);
  t.equal(scripts, 2);
  const { source, retryAfterMs } = await client.take("api", "ada");
  t.equal(source, "blocked");
  await clock.advance(retryAfterMs);
  await client.take("api", "ada");
  t.equal(scripts, 3, "then Redis is asked again");
});

t.test("a reset by another instance lets in who was refused here, within a second", needsRedis, async (t) => {
  const options = { policies: { login: "1/hour" }, prefix: fresh(), timeoutMs: 5_000 } as const;
  const clock = new FakeClock();
  const one = await instance(t, options, { clock });
  const other = await instance(t, options);
  await one.client.take("login", "ada");
  t.equal((await one.client.take("login", "ada")).allowed, false);
  await other.client.reset("login", "ada");
  t.match(await one.client.take("login", "ada"), { allowed: false, source: "blocked" });
  await clock.advance(1_000);
  t.equal((await one.client.take("login", "ada")).allowed, true);
});

t.test("no key of one policy is counted as a key of another", needsRedis, async (t) => {
  const policies = { api: "1/hour", "api:login": "1/hour;burst=1" };
  const { client } = await instance(t, { policies, prefix: fresh(), timeoutMs: 5_000 });
  t.equal((await client.take("api", "login:ada")).allowed, true);
  t.equal((await client.take("api:login", "ada")).allowed, true);
  t.equal((await client.take("api", "login:ada")).allowed, false);
  t.equal((await client.take("api:login", "ada")).allowed, false);
});

t.test("a key that holds something else is mended, and no other key is decided alone for it", needsRedis, async (t) => {
  const prefix = fresh();
  const policies = { exact: "2/hour", smooth: { limit: 2_000, windowMs: 3_600_000 } };
  const limiter = await instance(t, { policies, prefix, timeoutMs: 5_000 });
  const redis = await connect(t);
  for (const [policy, wrongs] of [
    ["exact", ["text where a list was"]],
    ["smooth", ["no number", "nan"]],
  ] as const)
    for (const wrong of wrongs) {
      const key = `${prefix}{${policy}:ada}:0`;
      await redis.command("DEL", key);
      await redis.command("SET", key, wrong);
      t.match(await limiter.client.take(policy, "ada"), { allowed: true, source: "redis" }, wrong);
      t.match(await limiter.client.take(policy, "bob", { cost: 1 }), { source: "redis" }, wrong);
      t.equal(limiter.stats().fallback, undefined);
    }
  for (const [i, wrong] of ["1e308", "inf"].entries()) {
    await redis.command("SET", `${prefix}{smooth:eve${i}}:0`, wrong);
    const { allowed, retryAfterMs, resetMs } = await limiter.client.take("smooth", `eve${i}`);
    t.notOk(allowed);
    t.ok(retryAfterMs <= 1_800 && resetMs <= 3_600_000, "no more than all of it is in use");
    t.equal(limiter.stats().fallback, undefined);
  }
});

t.test("a refund gives back what was charged, in all kinds of rates", needsRedis, async (t) => {
  const { client } = await instance(t, {
    policies: { api: ["3/minute", "20/hour;burst=3"] },
    prefix: fresh(),
    timeoutMs: 5_000,
  });
  const decision = await client.take("api", "ada", { cost: 2 });
  t.equal(decision.remaining, 1);
  await client.refund(decision);
  await client.refund(decision);
  t.equal((await client.peek("api", "ada")).remaining, 3);
  await client.take("api", "ada", { cost: 3 });
  t.equal((await client.take("api", "ada")).allowed, false);
  await client.reset("api", "ada");
  t.equal((await client.take("api", "ada", { cost: 3 })).allowed, true);
});

t.test(
  "a frozen Redis: the instances decide alone with their shares, and add what they counted when it is back",
  needsRedis,
  async (t) => {
    const own = await startRedis();
    t.teardown(() => own.stop());
    const options = { policies: { api: "9/hour" }, instances: 3, prefix: fresh() } as const;
    const all = await Promise.all([1, 2, 3].map(() => instance(t, options, { of: own })));
    const takeAll = async (): Promise<number> => {
      const decisions = await Promise.all(
        all.flatMap(({ client }) => Array.from({ length: 20 }, () => client.take("api", "ada"))),
      );
      return decisions.filter(({ allowed }) => allowed).length;
    };
    await own.pause();
    t.equal(await takeAll(), 9, "3 of 9 each");
    t.equal(await takeAll(), 0);
    for (const manager of all) {
      t.match(manager.stats(), { fallback: { reason: /each instance decides alone/ }, tracked: 1 });
      t.match(manager.passive, { degradedRatio: 1, failingRatio: 0 });
    }
    await own.resume();
    await until(() => all.every((manager) => manager.stats().fallback === undefined));
    t.equal(await takeAll(), 0, "an outage gives no fresh budget");
    const fourth = await instance(t, { ...options, timeoutMs: 5_000 }, { of: own });
    t.match(await fourth.client.peek("api", "ada"), { source: "redis", allowed: false, remaining: 0 });
    for (let round = 0; round < 3; round++) {
      await own.pause();
      t.equal(await takeAll(), 0, "nor does one after the other");
      await own.resume();
      await until(() => all.every((manager) => manager.stats().fallback === undefined));
    }
  },
);

t.test(
  "a client of Redis with a shorter time than the limiter: its deadline is none of the caller",
  needsRedis,
  async (t) => {
    const own = await startRedis();
    t.teardown(() => own.stop());
    const redis = await new RedisPoolManager({ url: own.url, timeoutMs: 100, breaker: false }).start();
    t.teardown(() => redis.stop());
    const policies = { api: "9/hour" } as const;
    const manager = new RateLimiterManager({ policies, redis: redisRunner(redis.client), timeoutMs: 5_000 });
    t.teardown(() => manager.stop());
    await manager.start();
    await own.pause();
    t.match(await manager.client.take("api", "ada"), { allowed: true, source: "local" });
    await own.resume();
  },
);

t.test("what a policy does without Redis is written in it: deny, allow", needsRedis, async (t) => {
  const own = await startRedis();
  t.teardown(() => own.stop());
  const policies = {
    login: { rates: "5/minute", onUnavailable: "deny" },
    api: { rates: "5/minute", onUnavailable: "allow" },
  } as const;
  const { client } = await instance(t, { policies }, { of: own });
  await own.kill();
  await t.rejects(client.take("login", "ada"), {
    code: "RATE_LIMITER_UNAVAILABLE",
    retryable: true,
    retryAfterMs: 1_000,
  });
  await t.rejects(client.peek("login", "ada"), { code: "RATE_LIMITER_UNAVAILABLE" });
  for (let i = 0; i < 10; i++) t.match(await client.take("api", "ada"), { allowed: true, source: "none" });
});

t.test(
  "a caller whose own deadline or patience ends learns that, and the others go on with Redis",
  needsRedis,
  async (t) => {
    const own = await startRedis();
    t.teardown(() => own.stop());
    const manager = await instance(t, { policies: { api: "9/hour" }, prefix: fresh(), timeoutMs: 5_000 }, { of: own });
    await own.pause();
    const context = (deadline: number, signal?: AbortSignal) =>
      ({ deadline, signal, requestId: "r" }) as RequestContext;
    const soon = context(systemClock.now() + 50);
    await t.rejects(
      runWithContext(soon, () => manager.client.take("api", "ada")),
      { code: "DEADLINE_EXCEEDED" },
    );
    const gone = new AbortController();
    const taking = runWithContext(context(Infinity, gone.signal), () => manager.client.take("api", "ada"));
    gone.abort();
    await t.rejects(taking, { code: "CALL_ABORTED" });
    t.equal(manager.stats().fallback, undefined);
    await own.resume();
    t.equal((await manager.client.take("api", "bob")).source, "redis");
  },
);

t.test("instances that count each other have shares of what there is", needsRedis, async (t) => {
  const options = { policies: { api: "9/hour" }, instances: "heartbeat", prefix: fresh() } as const;
  const clocks = [1, 2, 3].map(() => new FakeClock());
  const all: RateLimiterManager[] = [];
  for (const clock of clocks) all.push(await instance(t, { ...options, timeoutMs: 5_000 }, { clock }));
  t.same(
    all.map((manager) => manager.stats().instances),
    [1, 2, 3],
  );
  for (const clock of clocks) await clock.advance(5_000);
  await until(() => all.every((manager) => manager.stats().instances === 3));
  await all[2]?.stop();
  await clocks[0]?.advance(5_000);
  await until(() => all[0]?.stats().instances === 2);
});

t.test(
  "a user of Redis that may do little is enough, and one rule less is a failure that is said",
  needsRedis,
  async (t) => {
    const admin = await connect(t);
    const rules =
      "~rate:* +ping +eval +evalsha +time +lindex +llen +lpop +rpush +ltrim +lrange +lrem +get +set +del +pexpire +zadd +zrem +zremrangebyscore +zcard";
    const user = async (name: string, allowed: string): Promise<RateLimiterManager> => {
      await admin.command("ACL", "SETUSER", name, "reset", "on", ">little", ...allowed.split(" "));
      const redis = new RedisPoolManager({ host: server.host, port: server.port, username: name, password: "little" });
      t.teardown(() => redis.stop());
      await redis.start();
      const manager = new RateLimiterManager({
        policies: { api: ["9/hour", "90/hour;burst=9"] },
        redis: redisRunner(redis.client),
        instances: "heartbeat",
        timeoutMs: 5_000,
      });
      t.teardown(() => manager.stop());
      return manager.start();
    };
    const enough = await user("enough", rules);
    const decision = await enough.client.take("api", "ada");
    await enough.client.refund(decision);
    await enough.client.reset("api", "ada");
    t.equal(decision.source, "redis");
    t.equal(enough.stats().fallback, undefined);
    const less = await user("less", rules.replace(" +rpush", ""));
    t.equal((await less.client.take("api", "ada")).source, "local");
    t.match(less.stats().fallback?.reason, /NOPERM|can't run this command/);
  },
);
