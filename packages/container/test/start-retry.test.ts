import t from "tap";
import { container, StartError } from "../src/index.ts";
import { isRetryable, resource, StewardError } from "@steward/core";
import type { ResourceSettings } from "@steward/core/container";
import { failure, FakeClock } from "@steward/testing";

const refused = (): Error => Object.assign(new Error("connect ECONNREFUSED 127.0.0.1:5432"), { code: "ECONNREFUSED" });

/** A server that is up `lateMs` after the container begins to start, and says `down` until then. */
function late(lateMs: number, settings: ResourceSettings = {}, down: () => unknown = refused) {
  const clock = new FakeClock();
  const attempts: number[] = [];
  const log: string[] = [];
  const db = resource("db", {
    readiness: "startup",
    ...settings,
    start: () => {
      attempts.push(clock.now());
      if (clock.now() < lateMs) throw down();
      return "db";
    },
    stop: () => void log.push("db stops"),
  });
  const other = resource("other", { start: () => 1, stop: () => void log.push("other stops") });
  const app = container([db, other], { clock });
  return { clock, attempts, log, db, app };
}

t.test("a database that comes up 3 s late holds up the start and does not fail it", async (t) => {
  for (let seed = 0; seed < 20; seed++) {
    const { clock, db, app, attempts } = late(3_000);
    const running = await clock.runUntil(app.start());
    t.equal(running.get(db), "db");
    t.ok(clock.now() >= 3_000 && clock.now() < 5_000, `up at ${clock.now()} ms`);
    t.ok(attempts.length >= 4 && attempts.length <= 8, `${attempts.length} attempts`);
    await running.stop();
    t.equal(clock.pending, 0);
  }
});

t.test(
  "one that stays down fails the start within its start timeout, and the error says how often it was tried",
  async (t) => {
    const { clock, app, attempts, log } = late(Infinity);
    const error: unknown = await clock.runUntil(app.start().catch((thrown: unknown) => thrown));
    t.ok(error instanceof StartError);
    t.match(error, {
      message: /^"db" failed in start after \d+ ms: connect ECONNREFUSED 127\.0\.0\.1:5432 \(tried 10 times\)\n.*other/,
      failures: [{ resource: "db", attempts: 10, cause: { code: "ECONNREFUSED" } }],
    });
    t.equal(attempts.length, 10);
    t.ok(clock.now() >= 5_375 && clock.now() <= 10_750, `given up at ${clock.now()} ms`);
    t.strictSame(log, ["other stops"]);
    t.equal(clock.pending, 0);
  },
);

t.test("the first delay is at most 250 ms, and they grow to 1.5 s", async (t) => {
  const { clock, app, attempts } = late(Infinity);
  await clock.runUntil(app.start().catch(() => {}));
  const delays = attempts.slice(1).map((at, i) => at - (attempts[i] ?? 0));
  for (const [i, ceiling] of [250, 500, 1_000, 1_500, 1_500].entries())
    t.ok((delays[i] ?? 0) >= ceiling / 2 && (delays[i] ?? 0) <= ceiling, `${delays[i]} of at most ${ceiling} ms`);
});

t.test("what will not pass is not tried again", async (t) => {
  const wrong: Record<string, () => unknown> = {
    "a wrong password": () => new StewardError("DATABASE_CONNECT_FAILED", "password authentication failed"),
    "a mistake in the code": () => new TypeError("x is not a function"),
    "a file that is not there": () => Object.assign(new Error("ENOENT"), { code: "ENOENT" }),
    "what is no error": () => "no",
  };
  for (const [name, down] of Object.entries(wrong)) {
    const { clock, app, attempts } = late(Infinity, {}, down);
    const error: unknown = await clock.runUntil(app.start().catch((thrown: unknown) => thrown));
    t.equal(attempts.length, 1, name);
    t.match(error, { code: "START_FAILED", failures: [{ attempts: undefined }] });
    t.notMatch((error as Error).message, /tried/);
  }
});

t.test("errors know whether they may pass", (t) => {
  t.ok(isRetryable(new StewardError("X", "x", { retryable: true })));
  t.notOk(isRetryable(new StewardError("X", "x", { cause: refused() })), "an error of ours has decided");
  t.ok(isRetryable(refused()));
  t.ok(isRetryable(new TypeError("fetch failed", { cause: refused() })));
  t.ok(isRetryable(Object.assign(new AggregateError([refused()], ""), { code: "ECONNREFUSED" })));
  for (const code of ["ENOTFOUND", "EAI_AGAIN", "ETIMEDOUT", "ECONNRESET"])
    t.ok(isRetryable(Object.assign(new Error("x"), { code })), code);
  t.notOk(isRetryable(new Error("x")));
  t.notOk(isRetryable(undefined));
  t.end();
});

t.test("what only this process has is tried once, unless it says otherwise", async (t) => {
  const { clock, app, attempts } = late(3_000, { readiness: "gate" });
  await t.rejects(clock.runUntil(app.start()), { code: "START_FAILED" });
  t.equal(attempts.length, 1);
  const asked = late(500, { readiness: "gate", startRetry: { baseDelayMs: 100, maxDelayMs: 100, maxAttempts: 20 } });
  const running = await asked.clock.runUntil(asked.app.start());
  t.ok(asked.clock.now() >= 500 && asked.clock.now() <= 600, `up at ${asked.clock.now()} ms`);
  await running.stop();
});

t.test("it can be switched off, bounded by attempts, and by the start timeout", async (t) => {
  const off = late(3_000, { startRetry: false });
  await t.rejects(off.clock.runUntil(off.app.start()), { code: "START_FAILED" });
  t.equal(off.attempts.length, 1);

  const few = late(3_000, { startRetry: { maxAttempts: 2, baseDelayMs: undefined } });
  await t.rejects(few.clock.runUntil(few.app.start()), { message: /tried 2 times/ });
  t.equal(few.attempts.length, 2);

  const short = late(3_000, { startTimeoutMs: 1_000 });
  await t.rejects(short.clock.runUntil(short.app.start()), { code: "START_FAILED" });
  t.ok(short.clock.now() < 1_000, `given up at ${short.clock.now()} ms`);
});

t.test("an optional one is not waited for: it comes up later", async (t) => {
  const { clock, app, db } = late(3_000, { criticality: "optional", startRetry: {} });
  const running = await clock.runUntil(app.start());
  t.equal(clock.now(), 0);
  t.equal(running.health().status, "degraded");
  await clock.advance(8_000);
  t.equal(running.get(db), "db");
  await running.stop();
});

t.test("a start that is given up ends the wait between two attempts", async (t) => {
  const { clock, app, attempts } = late(Infinity);
  const abort = new AbortController();
  const start = app.start([], { signal: abort.signal }).catch((error: unknown) => error);
  await clock.settle();
  abort.abort(new Error("Ctrl-C"));
  t.match(await start, { code: "START_FAILED" });
  t.equal(clock.now(), 0);
  t.equal(attempts.length, 1);
  t.equal(clock.pending, 0);
});

t.test("the start timeout of the container names what it waits for, and why", async (t) => {
  const clock = new FakeClock();
  const db = resource("db", { readiness: "startup", start: () => Promise.reject(refused()) });
  const start = container([db], { clock, startTimeoutMs: 1_000 }).start();
  await t.rejects(clock.runUntil(start), {
    message: /the container did not start within 1000 ms; waiting for: db \(last error: connect ECONNREFUSED/,
  });
});

t.test(
  "a start past its timeout is reported at once where it heeds its signal, and 1 s later where it does not",
  async (t) => {
    for (const [isDeaf, ms] of [
      [false, 200],
      [true, 1_200],
    ] as const) {
      const clock = new FakeClock();
      const slow = resource("slow", {
        startTimeoutMs: 200,
        start: (_, { signal }) => clock.sleep(60_000, isDeaf ? undefined : signal),
      });
      const error = await clock.runUntil(failure(container([slow], { clock }).start()));
      t.match(error, { code: "START_FAILED", cause: { code: "START_TIMEOUT" } });
      t.equal(clock.now(), ms);
    }
  },
);
