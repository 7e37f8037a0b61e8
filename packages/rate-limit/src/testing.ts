import type { Definition, RateLimiter } from "@steward/core";
import { rateLimiter } from "./limiter/definition.ts";
import type { Limiter } from "./limiter/limiter.ts";
import type { Policies } from "./options.ts";
import type { Policy } from "./policy/policy.ts";

/**
 * A rate limiter for tests: the real one, which counts in memory.
 *
 * @example
 * ```ts
 * import { container } from "@steward/container";
 * import { testRateLimiter } from "@steward/rate-limit/testing";
 * const limiter = testRateLimiter("limiter", { login: "1/minute" });
 * await using running = await container([limiter]).start();
 * await running.get(limiter).take("login", "ada");
 * console.log((await running.get(limiter).take("login", "ada")).allowed); // => false
 * ```
 */
export function testRateLimiter<P extends Policies>(name: string, policies: P): Definition<Limiter<keyof P & string>> {
  return rateLimiter(name, { policies });
}

/** Runs one case of a contract: that of your test runner. */
export interface ContractRunner {
  test(name: string, fn: () => Promise<void>): void;
}

/** What a contract asserts with: `node:assert/strict` has it. */
export interface ContractAssert {
  equal(actual: unknown, expected: unknown, message?: string): void;
  ok(value: unknown, message?: string): void;
}

/** A rate limiter that a contract is run on. */
export interface LimiterUnderTest {
  readonly limiter: RateLimiter;
  /** Moves the time that it measures by. */
  advance(ms: number): Promise<void> | void;
}

/** The policies that the contract needs. */
export const CONTRACT_POLICIES: Readonly<Record<"five" | "hundred" | "smooth" | "both", Policy>> = {
  five: { limit: 5, windowMs: 1_000 },
  hundred: { limit: 100, windowMs: 60_000 },
  smooth: { limit: 10, windowMs: 1_000, burst: 3 },
  both: [
    { limit: 3, windowMs: 1_000 },
    { limit: 5, windowMs: 10_000 },
  ],
};

/** Steps between calls, in ms: uneven on purpose, so that calls fall on both sides of the ends of windows. */
const STEPS = [0, 130, 71, 0, 333, 9, 250, 0, 0, 499, 88, 17, 720, 3];

/** What a contract is made of. */
interface Contract extends ContractRunner {
  readonly assert: ContractAssert;
  readonly create: () => Promise<LimiterUnderTest>;
}

/**
 * What every rate limiter has to do, as test cases, to be run on a limiter of your own too.
 *
 * @param create Makes a limiter with {@link CONTRACT_POLICIES} that has counted nothing; called once per case.
 */
export function rateLimiterContract(
  runner: ContractRunner & { readonly assert: ContractAssert },
  create: () => Promise<LimiterUnderTest>,
): void {
  const contract: Contract = { test: (name, fn) => runner.test(name, fn), assert: runner.assert, create };
  windows(contract);
  smoothRates(contract);
  budgets(contract);
}

function windows({ test, assert, create }: Contract): void {
  test("allows the limit, refuses one more, and says exactly when there is room again", async () => {
    const { limiter, advance } = await create();
    for (let left = 4; left >= 0; left--) {
      const { allowed, remaining } = await limiter.take("five", "ada");
      assert.equal(allowed, true);
      assert.equal(remaining, left);
    }
    const refused = await limiter.take("five", "ada");
    assert.equal(refused.allowed, false);
    assert.ok(refused.retryAfterMs > 0 && refused.retryAfterMs <= 1_000, `retryAfterMs ${refused.retryAfterMs}`);
    await advance(refused.retryAfterMs);
    assert.equal((await limiter.take("five", "ada")).allowed, true);
  });

  test("no window ever holds more than the limit, wherever it begins", async () => {
    const { limiter, advance } = await create();
    const taken: number[] = [];
    let now = 0;
    for (let i = 0; i < 120; i++) {
      const step = STEPS[i % STEPS.length] ?? 0;
      await advance(step);
      now += step;
      if ((await limiter.take("five", "ada")).allowed) taken.push(now);
    }
    const most = Math.max(...taken.map((end) => taken.filter((at) => at > end - 1_000 && at <= end).length));
    assert.equal(most, 5);
  });

  test("a refused call is not charged: who tries all the time is let in when it was said", async () => {
    const { limiter, advance } = await create();
    for (let i = 0; i < 5; i++) await limiter.take("five", "ada");
    for (let i = 0; i < 9; i++) {
      await advance(100);
      assert.equal((await limiter.take("five", "ada")).allowed, false);
    }
    await advance(100);
    assert.equal((await limiter.take("five", "ada")).allowed, true);
  });
}

function smoothRates({ test, assert, create }: Contract): void {
  test("a smooth rate has a burst, and then gives back one unit after the other", async () => {
    const { limiter, advance } = await create();
    for (let i = 0; i < 3; i++) assert.equal((await limiter.take("smooth", "ada")).allowed, true);
    const refused = await limiter.take("smooth", "ada");
    assert.equal(refused.allowed, false);
    assert.equal(refused.retryAfterMs, 100);
    await advance(100);
    assert.equal((await limiter.take("smooth", "ada")).allowed, true);
    assert.equal((await limiter.take("smooth", "ada")).allowed, false);
    await advance(200);
    assert.equal((await limiter.take("smooth", "ada", { cost: 2 })).allowed, true);
  });

  test("several rates hold together: a call is charged to all of them or to none", async () => {
    const { limiter, advance } = await create();
    const take = async (): Promise<boolean> => (await limiter.take("both", "ada")).allowed;
    for (const expected of [true, true, true, false, false]) assert.equal(await take(), expected);
    await advance(1_000);
    for (const expected of [true, true, false]) assert.equal(await take(), expected);
    await advance(1_000);
    const refused = await limiter.take("both", "ada");
    assert.equal(refused.allowed, false);
    assert.equal(refused.limit, 5);
    await advance(refused.retryAfterMs);
    for (const expected of [true, true, true, false]) assert.equal(await take(), expected);
  });
}

function budgets({ test, assert, create }: Contract): void {
  test("a call may cost more than one unit", async () => {
    const { limiter } = await create();
    assert.equal((await limiter.take("five", "ada", { cost: 4 })).remaining, 1);
    assert.equal((await limiter.take("five", "ada", { cost: 2 })).allowed, false);
    assert.equal((await limiter.take("five", "ada", { cost: 1 })).allowed, true);
  });

  test("of many calls at once exactly the limit is allowed", async () => {
    const { limiter } = await create();
    const decisions = await Promise.all(Array.from({ length: 800 }, () => limiter.take("hundred", "ada")));
    assert.equal(decisions.filter(({ allowed }) => allowed).length, 100);
  });

  test("keys have budgets of their own, and the parts of a list do not run into each other", async () => {
    const { limiter } = await create();
    for (let i = 0; i < 5; i++) await limiter.take("five", ["a", "bc"]);
    assert.equal((await limiter.take("five", ["a", "bc"])).allowed, false);
    for (const key of [["ab", "c"], ["abc"], "abc", "a,bc", "x".repeat(5_000), "}:0", "ß∂"])
      assert.equal((await limiter.take("five", key)).remaining, 4);
  });
}
