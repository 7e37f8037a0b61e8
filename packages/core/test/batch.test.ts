import { AsyncLocalStorage } from "node:async_hooks";
import t from "tap";
import { batch, type BatchCall, type BatchOptions } from "../src/batch/index.ts";
import { currentContext, runWithContext, StewardError } from "../src/index.ts";
import { FakeClock } from "../src/testing.ts";

/** Runs whose ends the test decides. */
function held(options: BatchOptions<number> = {}) {
  const runs: { items: readonly number[]; call: BatchCall; end: (results?: readonly (number | Error)[]) => void }[] =
    [];
  const double = batch<number, number>(
    (items, call) =>
      new Promise((resolve) => {
        runs.push({ items, call, end: (results = items.map((item) => item * 2)) => resolve(results) });
      }),
    options,
  );
  return { double, runs, sizes: () => runs.map(({ items }) => items.length) };
}

/** Lets all promises that can go on do so, and the turn behind them. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

t.test("calls of one moment are one run, and what comes meanwhile is the next", async (t) => {
  const { double, runs, sizes } = held();
  const first = Promise.all([1, 2, 3].map((n) => double(n)));
  await turn();
  const second = Promise.all([4, 5].map((n) => double(n)));
  await turn();
  t.same(sizes(), [3], "one at a time");
  t.match(double.stats(), { pending: 2, inUse: 3, runs: 1, started: 3, largest: 3 });
  runs[0]?.end();
  t.same(await first, [2, 4, 6]);
  await turn();
  runs[1]?.end();
  t.same(await second, [8, 10]);
  await double.idle();
  t.match(double.stats(), { pending: 0, inUse: 0, runs: 2, started: 5, succeeded: 5, failed: 0 });
});

t.test("callers that go on when a run ends join the next one", async (t) => {
  const sizes: number[] = [];
  const echo = batch(async (items: readonly number[]) => {
    sizes.push(items.length);
    await turn();
    return items;
  });
  const loop = async (n: number): Promise<void> => {
    for (let round = 0; round < 5; round++) t.equal(await echo(n), n);
  };
  await Promise.all(Array.from({ length: 64 }, (_, n) => loop(n)));
  t.same(sizes, [64, 64, 64, 64, 64]);
});

t.test("a run takes as much as fits, by what items count, in their order", async (t) => {
  const { double, runs, sizes } = held({ max: 10, sizeOf: (n) => n });
  void Promise.all([4, 5, 3, 1, 25].map((n) => double(n)));
  await turn();
  for (let at = 0; at < 3; at++) {
    runs[at]?.end();
    await turn();
  }
  t.same(
    runs.map(({ items }) => items),
    [[4, 5], [3, 1], [25]],
    "what is larger than a run runs alone",
  );
  t.same(sizes().length, 3);
  t.equal(double.stats().largest, 25);
  await t.rejects(batch(async (items: readonly number[]) => items, { sizeOf: () => 0.5 })(1), {
    code: "OPTIONS_INVALID",
    message: /sizeOf/,
  });
});

t.test("items of different kinds never run together", async (t) => {
  const seen: (readonly string[])[] = [];
  const echo = batch(async (items: readonly string[]) => (seen.push(items), items), { keyOf: (text) => text.length });
  await Promise.all(["a", "bb", "c", "dd", "e"].map((text) => echo(text)));
  t.same(seen, [
    ["a", "c", "e"],
    ["bb", "dd"],
  ]);
});

t.test("several runs at once where they are allowed", async (t) => {
  const { double, runs, sizes } = held({ max: 2, maxConcurrent: 2 });
  const all = Promise.all([1, 2, 3, 4, 5].map((n) => double(n)));
  await turn();
  t.same(sizes(), [2, 2]);
  for (const run of runs) run.end();
  await turn();
  runs[2]?.end();
  t.same(await all, [2, 4, 6, 8, 10]);
});

t.test("one bad item fails one caller", async (t) => {
  const root = batch(async (items: readonly number[]) =>
    items.map((n) => (n < 0 ? new Error(`${n} has none`) : Math.sqrt(n))),
  );
  const all = await Promise.allSettled([4, -1, 9].map((n) => root(n)));
  t.match(all, [{ value: 2 }, { reason: { message: "-1 has none" } }, { value: 3 }]);
  t.match(root.stats(), { succeeded: 2, failed: 1 });
});

t.test("a run that fails, and one that gives no result for each item, fail their callers", async (t) => {
  const failing = batch<number, number>(() => {
    throw new StewardError("RESOURCE_UNAVAILABLE", "down");
  });
  await t.rejects(failing(1), { code: "RESOURCE_UNAVAILABLE" });
  const short = batch(async (items: readonly number[]) => items.slice(1), { name: "users" });
  const all = await Promise.allSettled([short(1), short(2)]);
  for (const each of all)
    t.match(each, {
      reason: { code: "BATCH_RESULTS_INVALID", message: /^users: run was given 2 items and gave a list of 1;/ },
    });
  const none = batch<number, number>((() => undefined) as never); // as from JavaScript
  await t.rejects(none(1), { code: "BATCH_RESULTS_INVALID", message: /gave no list/ });
});

t.test("an item whose caller gives up leaves the queue; a run that no one waits for is told", async (t) => {
  const { double, runs, sizes } = held();
  const [running, waiting] = [new AbortController(), new AbortController()];
  const first = double(1, { signal: running.signal });
  await turn();
  const second = double(2, { signal: waiting.signal });
  const third = double(3);
  t.equal(double.stats().pending, 2);
  waiting.abort();
  await t.rejects(second, { code: "CALL_ABORTED" });
  t.equal(double.stats().pending, 1, "its place is free at once");
  t.equal(runs[0]?.call.signal.aborted, false);
  running.abort();
  await t.rejects(first, { code: "CALL_ABORTED" });
  t.equal(runs[0]?.call.signal.aborted, true);
  runs[0]?.end();
  await turn();
  t.same(runs[1]?.items, [3]);
  runs[1]?.end();
  t.equal(await third, 6);
  t.equal(runs[1]?.call.signal.aborted, false, "an answer is no abort");
  await t.rejects(double(4, { signal: AbortSignal.abort() }), { code: "CALL_ABORTED" });
  t.same(sizes(), [1, 1]);
});

t.test("the queue is bounded, and says when to come back", async (t) => {
  const clock = new FakeClock();
  const { double, runs } = held({ clock, max: 2, maxPending: 3, name: "model" });
  const calls = [1, 2].map((n) => double(n));
  await turn();
  await clock.advance(40);
  runs[0]?.end();
  await Promise.all(calls);
  void double(3);
  await turn();
  const waiting = [4, 5, 6].map((n) => double(n).catch((error: unknown) => error));
  await t.rejects(double(7), {
    code: "OVERLOADED",
    retryable: true,
    retryAfterMs: 80,
    message: /^model: the queue is full \(in use 1, pending 3 of 3\)/,
  });
  t.equal(double.stats().overloaded, 1);
  double.rejectPending(new StewardError("RESOURCE_UNAVAILABLE", "stopping"));
  for (const error of await Promise.all(waiting)) t.match(error, { code: "RESOURCE_UNAVAILABLE" });
  const none = held({ max: 2, maxPending: 0 });
  void none.double(1);
  void none.double(2);
  await t.rejects(none.double(3), { code: "OVERLOADED" });
  await turn();
  await t.rejects(none.double(3), { code: "OVERLOADED" });
});

t.test("deadlines of call, batch and request count, in the queue and later", async (t) => {
  const clock = new FakeClock();
  const { double, runs } = held({ clock, timeoutMs: 100 });
  const first = double(1).catch((error: unknown) => error);
  await turn();
  const second = double(2, { timeoutMs: 30 }).catch((error: unknown) => error);
  const third = runWithContext({ deadline: clock.now() + 50 }, () => double(3)).catch((error: unknown) => error);
  t.equal(runs[0]?.call.deadline, clock.now() + 100);
  await clock.advance(40);
  t.match(await second, { code: "DEADLINE_EXCEEDED", retryable: true, message: /still queued after/ });
  await clock.advance(20);
  t.match(await third, { code: "DEADLINE_EXCEEDED" });
  await clock.advance(60);
  t.match(await first, { code: "DEADLINE_EXCEEDED", retryable: false, message: /no answer after/ });
  t.match(double.stats(), { timedOut: 3, pending: 0, inUse: 1 });
  await t.rejects(double(4, { timeoutMs: 0 }), { code: "DEADLINE_EXCEEDED" });
});

t.test("a window lets the first one wait, but not once a run is full", async (t) => {
  const clock = new FakeClock();
  const { double, sizes } = held({ clock, waitMs: 5, max: 3, maxConcurrent: 9 });
  void double(1);
  await turn();
  t.same(sizes(), []);
  void double(2);
  await clock.advance(5);
  t.same(sizes(), [2]);
  for (const n of [1, 2, 3]) void double(n);
  await turn();
  t.same(sizes(), [2, 3]);
  void double(1);
  void double.close();
  await turn();
  t.same(sizes(), [2, 3, 1], "a close waits for nothing");
});

t.test("a run is outside of the requests that it serves", async (t) => {
  const store = new AsyncLocalStorage<string>();
  const seen: unknown[] = [];
  const made = store.run("made here", () =>
    batch(async (items: readonly number[]) => (seen.push(currentContext(), store.getStore()), items)),
  );
  await store.run("request", () => runWithContext({ requestId: "one" }, () => made(1)));
  t.same(seen, [undefined, "made here"]);
});

t.test("a closed one serves what waits and refuses the rest", async (t) => {
  const { double, runs } = held();
  await using _closed = double;
  const first = double(1);
  const closing = double.close();
  await t.rejects(double(2), { code: "RESOURCE_UNAVAILABLE" });
  await turn();
  runs[0]?.end();
  t.equal(await first, 2);
  await closing;
  for (const wrong of [{ max: 0 }, { maxx: 1 }, { waitMs: -1 }, { sizeOf: 1 }, { clock: {} }])
    t.throws(() => batch(async (items: readonly number[]) => items, wrong as never), { code: "OPTIONS_INVALID" });
  t.throws(() => batch(5 as never), { code: "OPTIONS_INVALID", message: /must be a function/ });
  await t.rejects(held().double(1, { timeout: 5 } as never), { code: "OPTIONS_INVALID" });
});
