import { execFile } from "node:child_process";
import { inspect, promisify } from "node:util";
import { FakeClock } from "../src/testing.ts";
import fc from "fast-check";
import t from "tap";
import * as v from "valibot";
import { isDefinition } from "../src/container.ts";
import {
  breakerSchema,
  checkOptions,
  CORE_CODES,
  TimingWheel,
  describeError,
  TimerEntry,
  maskUrl,
  nearest,
  OptionsError,
  soundTraceparent,
  tablesOnce,
} from "../src/driver.ts";
import {
  cached,
  currentContext,
  isStewardError,
  resource,
  runWithContext,
  setActor,
  Secret,
  StewardError,
  systemClock,
} from "../src/index.ts";

t.test("an error of ours is recognised by its brand, with its code, whatever copy made it", (t) => {
  const error = new StewardError("OVERLOADED", "queue is full", {
    resource: "db",
    retryable: true,
    retryAfterMs: 5,
    cause: new Error("x"),
  });
  t.ok(isStewardError(error));
  t.ok(isStewardError(error, "OVERLOADED"));
  t.notOk(isStewardError(error, "CIRCUIT_OPEN"));
  t.ok(isStewardError({ [Symbol.for("steward.error")]: true, code: "X" }, "X"));
  for (const other of [undefined, null, "OVERLOADED", new Error("OVERLOADED"), { code: "OVERLOADED" }])
    t.notOk(isStewardError(other));
  t.match(error, { name: "StewardError", resource: "db", retryable: true, retryAfterMs: 5, cause: { message: "x" } });
  t.end();
});

t.test("any thrown value is described in one line", (t) => {
  t.equal(describeError("text"), "text");
  t.equal(
    describeError(Object.assign(new Error("connect failed"), { code: "ECONNREFUSED" })),
    "connect failed (ECONNREFUSED)",
  );
  t.equal(
    describeError(Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" })),
    "connect ECONNREFUSED",
  );
  t.equal(describeError(new AggregateError([new Error("a"), new Error("b")])), "a; b");
  t.equal(describeError(new StewardError("X", "words")), "words");
  t.end();
});

const schema = v.pipe(
  v.strictObject({
    url: v.string(),
    maxConnections: v.optional(v.pipe(v.number(), v.integer("must be whole"), v.minValue(0, "must be 0 or more")), 10),
    mode: v.optional(v.picklist(["fast", "safe"]), "safe"),
    tls: v.optional(v.strictObject({ rejectUnauthorized: v.optional(v.boolean(), true), ca: v.optional(v.string()) })),
    minConnections: v.optional(v.number(), 0),
  }),
  v.forward(
    v.check(
      ({ minConnections, maxConnections }) => minConnections <= maxConnections,
      "minConnections must not exceed maxConnections",
    ),
    ["minConnections"],
  ),
);

function problemsOf(given: unknown): string[] {
  try {
    checkOptions("db", schema, given);
    return [];
  } catch (error) {
    return error instanceof OptionsError
      ? error.problems.map((problem) => `${problem.path}: ${problem.message}`)
      : [String(error)];
  }
}

t.test("options: undefined means the default, 0 means 0, and the result is frozen", (t) => {
  const options = checkOptions("db", schema, {
    url: "x",
    maxConnections: undefined,
    minConnections: 0,
    tls: { ca: undefined },
  });
  t.strictSame(options, {
    url: "x",
    maxConnections: 10,
    mode: "safe",
    tls: { rejectUnauthorized: true },
    minConnections: 0,
  });
  t.equal(checkOptions("db", schema, { url: "x", maxConnections: 0 }).maxConnections, 0);
  t.throws(() => Object.assign(options, { url: "y" }), TypeError);
  t.throws(() => Object.assign(options.tls ?? {}, { ca: "y" }), TypeError);
  t.end();
});

t.test("options: every problem is reported at once, with the path and the nearest known key", (t) => {
  t.strictSame(problemsOf({ ulr: "x", maxConnections: -1, mode: "quick", tls: { rejectUnauthorised: false } }), [
    "url: is missing: expected string",
    "maxConnections: must be 0 or more",
    'mode: expected "fast" | "safe", received "quick"',
    'tls.rejectUnauthorised: is not an option; did you mean "rejectUnauthorized"?',
    'ulr: is not an option; did you mean "url"?',
  ]);
  t.strictSame(problemsOf({ url: "x", minConnections: 11 }), [
    "minConnections: minConnections must not exceed maxConnections",
  ]);
  t.strictSame(
    problemsOf({ url: "x", maxConection: 1, minConection: 1, tls: { cs: 1, rejectUnauthorised: 1 } }).length,
    4,
    "every unknown key, not only the first",
  );
  t.strictSame(problemsOf({ url: "x", zebra: 1 }), [
    "zebra: is not an option; known: url, maxConnections, mode, tls, minConnections",
  ]);
  t.match(problemsOf("url=x")[0], /expected an object, received a string/);
  t.end();
});

t.test("options: what was given in the place of a secret is not repeated", (t) => {
  const text = problemsOf({ url: ["hunter2"], maxConnections: "hunter2", tls: "hunter2" }).join();
  t.notMatch(text, /hunter2/);
  t.end();
});

t.test("the nearest known word is found, with a forgotten unit, and none where none is near", (t) => {
  t.equal(nearest("timeout", ["timeoutMs", "retries"]), "timeoutMs");
  t.equal(nearest("maxConections", ["maxConnections", "minConnections"]), "maxConnections");
  t.equal(nearest("zebra", ["timeoutMs", "retries"]), undefined);
  t.end();
});

t.test("a secret shows nowhere, and a function is asked every time", async (t) => {
  const secret = new Secret("hunter2");
  t.notMatch(
    `${secret} ${JSON.stringify({ secret })} ${inspect({ secret })} ${inspect(secret, { showHidden: true })}`,
    /hunter2/,
  );
  t.equal(await secret.reveal(), "hunter2");
  let n = 0;
  const renewed = new Secret(async () => `token${++n}`);
  t.strictSame([await renewed.reveal(), await renewed.reveal()], ["token1", "token2"]);
  t.equal(maskUrl("postgres://user:hunter2@host:5432/db?sslpassword=hunter2"), "postgres://user:***@host:5432/db?***");
  t.notMatch(maskUrl("not a url hunter2"), /hunter2/);
});

t.test("whom work is done for is known to what follows, and to no other work", async (t) => {
  setActor("nobody");
  t.equal(currentContext(), undefined, "outside of any it does nothing");
  await Promise.all([
    runWithContext({ requestId: "a" }, async () => {
      await Promise.resolve();
      setActor("ada");
      await Promise.resolve();
      t.equal(currentContext()?.actor, "ada");
      runWithContext({ deadline: 5 }, () => t.equal(currentContext()?.actor, "ada", "also within"));
    }),
    runWithContext({ requestId: "b" }, async () => {
      await new Promise(setImmediate);
      t.equal(currentContext()?.actor, undefined);
    }),
  ]);
  runWithContext(Object.freeze({ requestId: "c" }), () => setActor("ada"));
});

t.test("a context is seen by everything its work awaits, and a deadline only comes closer", async (t) => {
  t.equal(currentContext(), undefined);
  await runWithContext({ deadline: 100, requestId: "a" }, async () => {
    await Promise.resolve();
    t.strictSame(currentContext(), { deadline: 100, requestId: "a" });
    runWithContext({ deadline: 500, traceContext: "t" }, () =>
      t.match(currentContext(), { deadline: 100, requestId: "a", traceContext: "t" }),
    );
    runWithContext({ deadline: 50 }, () => t.equal(currentContext()?.deadline, 50));
  });
});

class Recorded extends TimerEntry {
  expiredAt = -1;
  readonly #clock: FakeClock;
  constructor(clock: FakeClock, deadline: number) {
    super();
    this.#clock = clock;
    this.deadline = deadline;
  }
  override expire(): void {
    this.expiredAt = this.#clock.now();
  }
}

t.test("deadlines expire once, never early and at most 8 ms late, on one timer", async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          delay: fc.integer({ min: 0, max: 30_000 }),
          remove: fc.boolean(),
          gap: fc.integer({ min: 0, max: 500 }),
        }),
        { maxLength: 60, size: "max" },
      ),
      async (items) => {
        const clock = new FakeClock(123);
        const wheel = new TimingWheel(clock);
        const all: { item: Recorded; removed: boolean }[] = [];
        for (const { delay, remove, gap } of items) {
          const item = new Recorded(clock, clock.now() + delay);
          wheel.add(item);
          if (remove) wheel.remove(item);
          wheel.remove(new Recorded(clock, 5));
          all.push({ item, removed: remove });
          if (clock.pending > 1) throw new Error(`${clock.pending} timers`);
          await clock.advance(gap);
        }
        await clock.advance(30_100);
        for (const { item, removed } of all) {
          if (removed && item.expiredAt !== -1) throw new Error("a removed item expired");
          if (!removed && (item.expiredAt < item.deadline || item.expiredAt > item.deadline + 8))
            throw new Error(`due at ${item.deadline}, expired at ${item.expiredAt}`);
        }
        if (wheel.size !== 0 || clock.holding !== 0) throw new Error("something is left");
      },
    ),
    { numRuns: 100 },
  );
  t.pass();
});

t.test("an aborted sleep rejects with the reason and keeps no timer", async (t) => {
  const abort = new AbortController();
  const sleeping = systemClock.sleep(60_000, abort.signal);
  abort.abort(new Error("enough"));
  await t.rejects(sleeping, { message: "enough" });
  await t.rejects(systemClock.sleep(1, abort.signal), { message: "enough" });
});

t.test("definitions that contradict themselves are refused where they are made", (t) => {
  t.throws(() => resource("", { start: () => 1 }), { code: "DEFINITION_INVALID" });
  t.throws(
    () =>
      resource("both", {
        *start() {
          yield 1;
        },
        stop: () => {},
      }),
    { code: "DEFINITION_INVALID", message: /generator as start and a stop/ },
  );
  const keys = resource("keys", { start: () => 1 });
  t.throws(() => cached(keys, { ttlMs: 0 }), { code: "OPTIONS_INVALID", message: /ttlMs: must be at least 1 ms/ });
  t.ok(isDefinition(keys));
  for (const other of [undefined, null, 1, {}, cached(keys, { ttlMs: 1 })]) t.notOk(isDefinition(other));
  t.ok(Object.keys(CORE_CODES).every((code) => /^[A-Z_]+$/.test(code)));
  t.end();
});

t.test("a process does not end before a pending deadline has passed, nor wait for one that was met", async (t) => {
  const program = `
    import { Guard, systemClock } from "@steward/core";
    const guard = new Guard({ resource: "x", clock: systemClock, timeoutMs: 30_000 });
    await guard.run(() => 1);
    console.log(await guard.run(() => new Promise(() => {}), { timeoutMs: 50 }).catch((error) => error.code));
  `;
  const { NODE_OPTIONS: _, ...env } = process.env;
  const began = performance.now();
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", program], { env });
  t.equal(stdout, "DEADLINE_EXCEEDED\n");
  t.ok(performance.now() - began < 20_000, "it did not wait 30 s for nothing");
});

t.test("options of breakers are checked alike for every driver", (t) => {
  const driver = v.strictObject({ breaker: v.optional(breakerSchema()) });
  t.strictSame(checkOptions("db", driver, { breaker: { stallMs: 5 } }), { breaker: { stallMs: 5 } });
  t.strictSame(checkOptions("db", driver, { breaker: false }), { breaker: false });
  const wrong = { breaker: { failureRatio: 2, breakDurationMs: 0, rampConcurrency: 1.5, stall: 1 } };
  for (const message of [
    /breaker\.failureRatio: must be at most 1/,
    /breaker\.stall: is not an option; did you mean "stallMs"\?/,
    /rampConcurrency: must be a whole/,
  ])
    t.throws(() => checkOptions("db", driver, wrong), { message });
  t.end();
});

t.test("of the trace that a caller sends only its known fields go on", (t) => {
  const known = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  t.equal(soundTraceparent(`00-${known}`), `00-${known}`);
  t.equal(soundTraceparent(`01-${known}`), `01-${known}`);
  t.equal(soundTraceparent(`01-${known}-'*/; drop table films`), `01-${known}`, "a later version may say more");
  for (const wrong of [
    `00-${known}-more`,
    `01-${known}more`,
    `00-${known.toUpperCase()}`,
    known,
    "",
    undefined,
    [known],
  ])
    t.equal(soundTraceparent(wrong), undefined, String(wrong));
  t.end();
});

t.test("tables that a request is the first to need are made outside of it", async (t) => {
  const contexts: unknown[] = [];
  const ready = tablesOnce({ query: async () => contexts.push(currentContext()) }, ["create table a ()"]);
  await runWithContext({ requestId: "r" }, ready);
  t.strictSame(contexts, [undefined]);
});
