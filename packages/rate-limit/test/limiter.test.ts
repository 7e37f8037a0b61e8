import { createHash } from "node:crypto";
import { container } from "@steward/container";
import { resource } from "@steward/core";
import { FakeClock, failure } from "@steward/testing";
import t from "tap";
import { parseRate, rateLimiter, RateLimiterManager, type Policies, type RateLimiterOptions } from "../src/index.ts";

async function start<P extends Policies>(options: RateLimiterOptions<P>) {
  const clock = new FakeClock();
  const manager = await new RateLimiterManager(options, { clock }).start();
  return { clock, manager, limiter: manager.client };
}

t.test("refused calls are charged where a policy bans who goes on trying", async (t) => {
  const { clock, limiter } = await start({ policies: { login: { rates: "2/second", chargeRefused: true } } });
  await limiter.take("login", "ada");
  await limiter.take("login", "ada");
  for (let i = 0; i < 10; i++) {
    await clock.advance(400);
    t.equal((await limiter.take("login", "ada")).allowed, false);
  }
  await clock.advance(1_000);
  t.equal((await limiter.take("login", "ada")).allowed, true);
});

t.test("a shadow policy counts, and lets everything through", async (t) => {
  const { limiter, manager } = await start({ policies: { api: { rates: "1/minute", shadow: true } } });
  t.match(await limiter.take("api", "ada"), { allowed: true, shadowed: false });
  t.match(await limiter.take("api", "ada"), { allowed: true, shadowed: true, retryAfterMs: 0 });
  const counts = [...manager.metrics()].filter(({ name }) => name === "steward.rate_limit.decisions");
  t.same(
    counts.map(({ attributes, value }) => [attributes["outcome"], value]),
    [
      ["allowed", 1],
      ["shadow", 1],
    ],
  );
});

t.test("peek charges nothing, refund gives back once, reset forgets", async (t) => {
  const { limiter } = await start({ policies: { api: "3/minute", smooth: "10/minute;burst=2" } });
  for (const policy of ["api", "smooth"] as const) {
    const { remaining } = await limiter.peek(policy, "ada");
    t.equal((await limiter.peek(policy, "ada")).remaining, remaining);
    const decision = await limiter.take(policy, "ada", { cost: 2 });
    t.equal(decision.remaining, remaining - 2);
    await limiter.refund(decision);
    await limiter.refund(decision);
    t.equal((await limiter.peek(policy, "ada")).remaining, remaining);
    await limiter.take(policy, "ada", { cost: 2 });
    await limiter.reset(policy, "ada");
    t.equal((await limiter.peek(policy, "ada")).remaining, remaining);
  }
});

t.test("require rejects instead of giving a refusal, in words that a caller may read", async (t) => {
  const { limiter } = await start({ policies: { api: "1/minute" } });
  await limiter.require("api", "ada");
  await t.rejects(limiter.require("api", "ada"), {
    code: "RATE_LIMITED",
    retryAfterMs: 60_000,
    message: 'rate limiter: the budget of policy "api" is used up for this key; there is room again in 60000 ms',
  });
});

t.test("text that looks like a list or a hash has a budget of its own", async (t) => {
  const { limiter } = await start({ policies: { api: "1/minute" } });
  const long = ["a".repeat(300)];
  const hash = createHash("sha256").update(`300:${long[0]}`).digest("base64url");
  for (const key of [long, ["a", "b"], "1:a1:b", `300:${long[0]}`, `sha256-${hash}`])
    t.ok((await limiter.take("api", key)).allowed, String(key).slice(0, 20));
  t.notOk((await limiter.take("api", "1:a1:b")).allowed);
});

t.test("wrong calls are refused with a code and what to write instead", async (t) => {
  const { limiter } = await start({ policies: { login: "5/minute", api: "10/minute" } });
  await t.rejects(limiter.take("logn" as "login", "ada"), {
    code: "RATE_POLICY_UNKNOWN",
    message: /did you mean "login"\?/,
  });
  await t.rejects(limiter.take("login", ""), { code: "RATE_KEY_INVALID" });
  await t.rejects(limiter.take("login", []), { code: "RATE_KEY_INVALID" });
  await t.rejects(limiter.take("login", ["a", ""]), { code: "RATE_KEY_INVALID" });
  await t.rejects(limiter.take("login", undefined as unknown as string), { code: "RATE_KEY_INVALID" });
  await t.rejects(limiter.take("login", "ada", { cost: 6 }), {
    code: "RATE_COST_INVALID",
    message: /allows 5 at once/,
  });
  for (const cost of [0, -1, 1.5, Number.NaN, "2" as unknown as number])
    await t.rejects(limiter.take("login", "ada", { cost }), { code: "OPTIONS_INVALID" });
  await t.rejects(limiter.take("login", "ada", { csot: 1 } as object), { code: "OPTIONS_INVALID", message: /"cost"/ });
  await t.rejects(limiter.refund({} as never), { code: "OPTIONS_INVALID" });
});

t.test("wrong policies are refused all at once", async (t) => {
  const policies = {
    a: "5 a minute",
    b: { limit: 0, windowMs: 1_000 },
    c: [],
    d: { rates: "5/minute", chargeRefusd: true },
    e: { limit: 5, windowMs: Number.NaN },
    f: { limit: 5_000, windowMs: 1_000, smooth: false },
    g: { limit: 5, windowMs: 1_000, smooth: false, burst: 2 },
    h: ["5/minute", "0/hour"],
    i: 5,
  } as unknown as Policies;
  const error = await failure((async () => new RateLimiterManager({ policies }))());
  t.equal(error.code, "OPTIONS_INVALID");
  for (const name of "abcdefghi") t.match(error.message, new RegExp(`policies\\.${name}\\b`));
  t.throws(() => new RateLimiterManager({ policies: { a: "1/minute" }, instances: "heartbeat" }), {
    message: /instances: must be a number without redis/,
  });
  for (const policies of [{}, { "a b": "5/minute" }])
    t.throws(() => new RateLimiterManager({ policies }), { code: "OPTIONS_INVALID" });
});

t.test("rates as text", (t) => {
  t.same(parseRate("10/minute"), { limit: 10, windowMs: 60_000 });
  t.same(parseRate("10/minutes"), { limit: 10, windowMs: 60_000 });
  t.same(parseRate("3/2 hours"), { limit: 3, windowMs: 7_200_000 });
  t.same(parseRate("3/10s"), { limit: 3, windowMs: 10_000 });
  t.same(parseRate("100/day;burst=20"), { limit: 100, windowMs: 86_400_000, burst: 20 });
  for (const wrong of ["", "5", "/minute", "5/fortnight", "-5/minute", "5.5/minute", "5/minute;burst", "5/minute "])
    t.equal(parseRate(wrong), undefined);
  t.end();
});

t.test("when as many keys as it may count are in use, unknown ones are refused and none is pushed out", async (t) => {
  const { clock, limiter, manager } = await start({ policies: { api: "1/minute" }, maxKeys: 3 });
  for (const key of ["a", "b", "c"]) t.equal((await limiter.take("api", key)).allowed, true);
  t.match(await limiter.take("api", "d"), { allowed: false, retryAfterMs: 60_000 });
  t.equal((await limiter.take("api", "a")).allowed, false, "who was counted still is");
  await clock.advance(60_000);
  t.equal((await limiter.take("api", "d")).allowed, true, "keys whose windows are over make room");
  t.equal(manager.stats().tracked, 1);
});

t.test("an instance without Redis has its share of each rate, rounded up", async (t) => {
  const { limiter } = await start({ policies: { api: "10/minute" }, instances: 3 });
  const decisions = await Promise.all(Array.from({ length: 10 }, () => limiter.take("api", "ada")));
  t.equal(decisions.filter(({ allowed }) => allowed).length, 4);
});

t.test("in a container: names of policies are typed, and a stopped one refuses", async (t) => {
  const limiter = rateLimiter("limiter", { policies: { login: "1/minute" } });
  const sign = resource("sign", {
    needs: { limiter },
    start:
      ({ limiter }) =>
      (user: string) =>
        limiter.require("login", user),
  });
  const running = await container([sign]).start();
  const take = running.get(sign);
  await take("ada");
  await t.rejects(take("ada"), { code: "RATE_LIMITED" });
  // @ts-expect-error: there is no such policy
  await t.rejects(running.get(limiter).take("logout", "ada"), { code: "RATE_POLICY_UNKNOWN" });
  const held = running.get(limiter);
  await running.stop();
  await t.rejects(held.take("login", "ada"), { code: "RESOURCE_UNAVAILABLE" });
});
