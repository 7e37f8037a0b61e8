import t from "tap";
import { isRepeatable, isTransient, pauseMs, retryAfterMs, RetryBudget } from "../src/exchange/retry.ts";

const policy = { maxAttempts: 5, baseDelayMs: 100, maxDelayMs: 1_000, budgetRatio: 0.2, statuses: [503] };

t.test("pauses double up to the longest one, and are drawn from the whole range", async (t) => {
  const longest = [1, 2, 3, 4, 5].map((attempt) => pauseMs(policy, attempt, 0, () => 1));
  t.same(longest, [100, 200, 400, 800, 1_000]);
  t.equal(pauseMs(policy, 3, 0, () => 0), 0);
});

t.test("a server's wish for a longer pause counts, up to the longest one", async (t) => {
  t.equal(pauseMs(policy, 1, 700, () => 0), 700);
  t.equal(pauseMs(policy, 1, 60_000, () => 0), 1_000);
});

t.test("Retry-After is read as seconds or as a date", async (t) => {
  const now = Date.UTC(2030, 0, 1);
  const headers = (value: string): Buffer[] => ["x", "y", "Retry-After", value].map((text) => Buffer.from(text));
  t.equal(retryAfterMs(headers("3"), now), 3_000);
  t.equal(retryAfterMs(headers(new Date(now + 5_000).toUTCString()), now), 5_000);
  t.equal(retryAfterMs(headers(new Date(now - 5_000).toUTCString()), now), 0);
  t.equal(retryAfterMs(headers("soon"), now), 0);
  t.equal(retryAfterMs([], now), 0);
});

t.test("a budget lets a burst through, then only a share of the calls", async (t) => {
  const budget = new RetryBudget(0.2);
  const spent = (calls: number): number => {
    let count = 0;
    for (let i = 0; i < calls; i++) {
      budget.earn();
      if (budget.spend()) count++;
    }
    return count;
  };
  spent(100);
  t.equal(spent(1_000), 200);
  t.equal(new RetryBudget(0).spend(), false);
});

t.test("only failures of the network are worth another try", async (t) => {
  const coded = (code: string): Error => Object.assign(new Error(code), { code });
  t.ok(isTransient(coded("ECONNRESET")));
  t.ok(isTransient(new AggregateError([coded("ECONNREFUSED"), coded("ECONNREFUSED")])));
  t.notOk(isTransient(coded("UND_ERR_INVALID_ARG")));
  t.notOk(isTransient(new Error("plain")));
});

t.test("only a body in memory can be sent twice", async (t) => {
  for (const body of [undefined, null, "text", Buffer.from("x"), new Uint8Array(1)]) t.ok(isRepeatable(body));
  t.notOk(isRepeatable(new Blob(["x"]).stream()));
});
