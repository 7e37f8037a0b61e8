import t from "tap";
import { Histogram } from "../src/driver.ts";
import { LatencyHistory } from "../src/guard/latency.ts";
import { overloadError, timeoutError } from "../src/guard/numbers.ts";
import { RetryPolicy } from "../src/guard/retry.ts";
import { ServiceTime } from "../src/guard/service-time.ts";
import { UseList, type Linked } from "../src/guard/use-list.ts";
import { RollingWindow } from "../src/guard/window.ts";
import { Guard } from "../src/index.ts";
import { FakeClock } from "../src/testing.ts";

t.test("a window forgets an outcome when its slot has turned, whether or not anything came meanwhile", (t) => {
  const window = new RollingWindow(10_000);
  t.match(window, { total: 0, failed: 0, slow: 0 });
  window.record(0, true, true);
  window.record(999, false, false);
  window.record(9_999, false, false);
  t.match(window, { total: 3, failed: 1, slow: 1 });
  window.record(10_000, false, true);
  t.match(window, { total: 2, failed: 0, slow: 1 });
  window.record(1_000_000, true, false);
  t.match(window, { total: 1, failed: 1, slow: 0 });
  t.end();
});

t.test("a window that was cleared owes nothing to what it held", (t) => {
  const window = new RollingWindow(10_000);
  window.record(0, true, true);
  window.record(0, false, false);
  window.clear();
  t.match(window, { total: 0, failed: 0, slow: 0 });
  window.record(0, true, true);
  window.record(9_000, false, false);
  t.match(window, { total: 2, failed: 1, slow: 1 });
  for (const now of [9_500, 10_000, 12_000]) window.record(now, false, false);
  t.match(window, { total: 4, failed: 0, slow: 0 });
  t.end();
});

t.test("latencies are known from 100 samples on, and each counts for 30 to 60 s", (t) => {
  const history = new LatencyHistory();
  for (let i = 0; i < 99; i++) history.record(1, 0);
  t.equal(history.quantile(0.5), undefined);
  history.record(1, 0);
  t.equal(history.quantile(0.5), 1.024);
  for (let i = 0; i < 100; i++) history.record(64, 30_000);
  t.equal(history.quantile(0.4), 1.024, "of two generations");
  t.equal(history.quantile(0.6), 65.536);
  history.record(64, 60_000);
  t.equal(history.quantile(0.01), 65.536, "those of the first have gone");
  history.record(64, 59_999 + 60_001);
  t.equal(history.quantile(0.5), undefined, "after a minute of nothing all have");
  t.end();
});

t.test("a quantile is read from above its bucket: four for each power of two, from 4 us to 134 s", (t) => {
  const boundOf = (durationMs: number): number => {
    const history = new LatencyHistory();
    for (let i = 0; i < 100; i++) history.record(durationMs, 0);
    return history.quantile(0.5) ?? -1;
  };
  t.strictSame([0, 0.004, 0.005, 0.006, 0.007, 0.008].map(boundOf), [0.005, 0.005, 0.006, 0.007, 0.008, 0.01]);
  t.strictSame([1.024, 1.28, 1.536, 1.792, 2.048].map(boundOf), [1.28, 1.536, 1.792, 2.048, 2.56]);
  t.equal(boundOf(134_217.7), 134_217.728);
  t.equal(boundOf(1e9), (2 ** 27 * 1.25) / 1_000, "what is longer counts as that");
  t.end();
});

t.test("the largest quantile is the slowest sample, the smallest the quickest", (t) => {
  const history = new LatencyHistory();
  for (let i = 0; i < 99; i++) history.record(1, 0);
  history.record(1_000, 0);
  t.equal(history.quantile(1), history.quantile(0.99));
  t.ok((history.quantile(1) ?? 0) >= 1_000);
  t.equal(history.quantile(0.98), 1.024);
  t.equal(history.quantile(0), 1.024);
  t.end();
});

t.test("a histogram of durations has buckets from 50 us to 10 s, three for each power of ten", (t) => {
  const bounds = [5e-5, 1e-4, 2e-4, 5e-4, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];
  t.strictSame(new Histogram().value(), { bounds, counts: new Array(18).fill(0), sum: 0, count: 0 });
  t.end();
});

t.test("three attempts, delays from 50 ms up to 2 s, where nothing else is said", (t) => {
  const policy = new RetryPolicy({}, () => 1);
  t.strictSame(
    [1, 2, 3].map((attempt) => policy.next(attempt)),
    [50, 100, undefined],
  );
  const patient = new RetryPolicy({ maxAttempts: 100 }, () => 1);
  t.strictSame(
    [5, 6, 7, 8].map((attempt) => patient.next(attempt)),
    [800, 1_600, 2_000, 2_000],
  );
  t.end();
});

t.test("there are five retries from the start, each call earns a fifth of one, and 20 may be saved up", (t) => {
  const count = (policy: RetryPolicy): number => {
    let retries = 0;
    while (policy.next(1) !== undefined) retries++;
    return retries;
  };
  const earning = (ratio: number | undefined, calls: number): number => {
    const policy = new RetryPolicy({ budgetRatio: ratio }, () => 1);
    count(policy);
    for (let i = 0; i < calls; i++) policy.earn();
    return count(policy);
  };
  t.equal(count(new RetryPolicy({}, () => 1)), 5);
  t.equal(earning(undefined, 4), 0);
  t.equal(earning(undefined, 11), 2);
  t.equal(earning(1, 19), 19);
  t.equal(earning(1, 1_000), 20);
  t.end();
});

t.test(
  "what answers usually take follows the median: at once at first, then by 3 % a call, never below 0.1 ms",
  (t) => {
    const time = new ServiceTime();
    t.equal(time.usualMs, 0);
    time.record(100);
    t.equal(time.usualMs, 100);
    time.record(5_000);
    t.equal(time.usualMs, 103);
    time.record(104);
    t.equal(time.usualMs, 104, "never beyond what came");
    time.record(104);
    t.equal(time.usualMs, 104);
    time.record(1);
    t.ok(Math.abs(time.usualMs - 104 / 1.03) < 1e-9);
    time.record(100.9);
    t.equal(time.usualMs, 100.9);
    const quick = new ServiceTime();
    quick.record(0);
    t.equal(quick.usualMs, 0.1);
    quick.record(0);
    t.equal(quick.usualMs, 0.1);
    t.end();
  },
);

t.test("a waiter makes room when less than half of its time and less than two answers are left", (t) => {
  const time = new ServiceTime();
  for (let i = 0; i < 7; i++) time.record(100);
  t.notOk(time.shouldShed(1_000, 0, 999), "too few answers are known");
  time.record(100);
  t.notOk(time.shouldShed(1_000, 0, 800), "two answers fit");
  t.ok(time.shouldShed(1_000, 0, 801));
  t.notOk(time.shouldShed(1_300, 1_000, 1_150), "half of its time is left");
  t.ok(time.shouldShed(1_300, 1_000, 1_151));
  t.notOk(new ServiceTime().shouldShed(1_000, 0, 1_000), "nothing is known");
  t.end();
});

class Item implements Linked<Item> {
  ahead: Item | undefined = undefined;
  behind: Item | undefined = undefined;
}

t.test("from a queue anything can be taken out, first, last and between, and put in again", (t) => {
  const [a, b, c, d] = [new Item(), new Item(), new Item(), new Item()];
  const list = new UseList<Item>();
  const held = (): Item[] => list.filter(() => true);
  for (const item of [a, b, c, d]) list.push(item);
  t.strictSame(list.filter((item) => item !== b).length, 3);
  list.remove(b);
  t.ok(held().every((item, i) => item === [a, c, d][i]));
  list.remove(d);
  list.push(b);
  list.remove(a);
  t.ok(list.first === c && list.size === 2);
  t.ok(held().every((item, i) => item === [c, b][i]));
  list.remove(c);
  list.remove(b);
  t.match(list, { first: undefined, size: 0 });
  list.push(c);
  t.ok(held().length === 1 && c.ahead === undefined && c.behind === undefined);
  t.end();
});

t.test("errors of a guard say how full it is, and who waits how long", (t) => {
  const clock = new FakeClock();
  const bounded = new Guard({ resource: "db", clock, maxConcurrent: 2, maxPending: 3 }).stats();
  const free = new Guard({ resource: "db", clock }).stats();
  t.match(overloadError({ resource: "db" }, { ...bounded, inUse: 2, pending: 3 }), {
    message: "db: the queue is full (in use 2 of 2, pending 3 of 3); raise its bounds, or send less at once",
    retryable: true,
  });
  const queued = { queued: true, hasOutcome: false, since: 10, deadline: 110 };
  t.match(timeoutError({ resource: "db" }, { ...bounded, inUse: 2, pending: 3 }, queued, 110.4), {
    message: "db: still queued behind 2 others after 100 ms (in use 2 of 2, pending 3 of 3)",
    retryable: true,
  });
  t.match(timeoutError({ resource: "db" }, { ...bounded, pending: 1 }, queued, 60), {
    message: /behind 0 others after 50 ms, with too little time left for an answer \(/,
  });
  const running = { queued: false, hasOutcome: false, since: 10, deadline: 110 };
  t.match(timeoutError({ resource: "db", subject: "db one" }, { ...free, inUse: 7 }, running, 60), {
    message: "db one: no answer after 50 ms (in use 7, pending 0)",
    resource: "db",
    retryable: false,
  });
  t.match(timeoutError({ resource: "db" }, { ...free, inUse: 7 }, { ...running, hasOutcome: true }, 60), {
    message: "db: answered, but not done after 50 ms (in use 7, pending 0)",
  });
  t.end();
});

t.test("an outage shows as a circuit that is not closed, until its ramp", async (t) => {
  const clock = new FakeClock();
  const guard = new Guard({ resource: "db", clock, maxConcurrent: 2, breaker: { breakDurationMs: 100 } });
  const valueOf = (name: string): unknown => [...guard.metrics({})].find((each) => each.name === name)?.value;
  t.equal(valueOf("dependency_circuit_open"), 0);
  for (let i = 0; i < 5; i++) await guard.run(() => Promise.reject(new Error("x"))).catch(() => {});
  t.equal(valueOf("dependency_circuit_open"), 1);
  await clock.advance(150);
  const trial = guard.run(() => clock.sleep(10));
  t.equal(valueOf("dependency_circuit_open"), 1, "half-open");
  await clock.runUntil(trial);
  t.equal(guard.breaker?.state, "ramp");
  t.equal(valueOf("dependency_circuit_open"), 0);
  t.match([valueOf("dependency_in_use"), valueOf("dependency_in_use_peak"), valueOf("dependency_pending")], [0, 1, 0]);
  const plain = [...new Guard({ resource: "db", clock }).metrics({})].map(({ name }) => name);
  t.notOk(plain.includes("dependency_circuit_open"), "where there is none");
});
