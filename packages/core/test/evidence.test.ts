import fc from "fast-check";
import t from "tap";
import { GuardedUse } from "../src/driver.ts";
import { Guard } from "../src/index.ts";
import { FakeClock } from "../src/testing.ts";
import { scene } from "./remote.ts";

t.test(
  "a frozen peer is found by silence and a question, long before any timeout, and calls fail at once then",
  async (t) => {
    const { remote, guard, load } = scene();
    await load(5_000);
    t.equal(guard.evidence.failing, "");
    remote.state = "frozen";
    t.same(await load(1_400), {}, "a question gets its second");
    t.ok(guard.evidence.isSuspect);
    await load(200);
    t.match(
      guard.evidence.failing,
      /no call succeeded for \d+ ms while calls were in flight, and a question was not answered/,
    );
    t.equal(guard.breaker?.state, "open");
    t.same(await load(1_000), { CIRCUIT_OPEN: 50 });
    remote.state = "well";
    await load(1_200);
    t.same(await load(1_000), {});
    t.match(guard.evidence, { failing: "", isSuspect: false });
  },
);

t.test(
  "a slow but healthy server opens no breaker: it answers the question, and is asked less and less often",
  async (t) => {
    const { remote, guard, load } = scene();
    await load(5_000);
    remote.latencyMs = 20_000;
    remote.answersQuestions = true;
    t.same(await load(25_000), {});
    t.equal(guard.breaker?.stats().opened, 0);
    t.equal(guard.evidence.failing, "");
    t.ok(remote.questions >= 2 && remote.questions <= 8, `${remote.questions} questions in 25 s`);
  },
);

t.test("one slow call beside quick ones is not even suspected", async (t) => {
  const { clock, remote, guard, load } = scene();
  await load(3_000);
  void guard.run(() => clock.sleep(20_000));
  await load(10_000);
  t.equal(remote.questions, 0);
});

t.test("a server that refuses for less than a second costs no call that can wait for it", async (t) => {
  const { clock, remote, guard, load } = scene();
  await load(3_000);
  // Calls wait for a connection, as those of a database do.
  const wait = async (): Promise<string> => {
    while (remote.state === "refuses") await clock.sleep(10);
    return remote.call();
  };
  const failed: unknown[] = [];
  remote.state = "refuses";
  for (let at = 0; at < 1_500; at += 20) {
    if (at === 900) remote.state = "well";
    guard.run(wait).catch((error: unknown) => failed.push(error));
    await clock.advance(20);
  }
  t.same(failed, []);
  remote.state = "refuses";
  for (let at = 0; at < 1_200; at += 20) {
    guard.run(wait).catch((error: unknown) => failed.push(error));
    await clock.advance(20);
  }
  t.equal(guard.breaker?.state, "open");
  t.ok(failed.length > 0);
});

t.test("calls that fail in a row open the breaker at once, with a question or without", async (t) => {
  for (const ask of [undefined, () => Promise.reject(new Error("refused"))]) {
    const { remote, guard, load } = scene({ ask });
    await load(1_000);
    remote.state = "refuses";
    const failed = await load(1_000);
    t.equal(failed["failed"], ask === undefined ? failed["failed"] : 5);
    t.ok((failed["failed"] ?? 0) <= 12, "five, and those that try");
    t.equal(guard.evidence.failing, ask === undefined ? guard.evidence.failing : "5 failures in a row");
  }
});

t.test(
  "calls in flight together that fail together are one incident where the resource answers a question",
  async (t) => {
    const { clock, remote, guard } = scene();
    const breakAll: (() => void)[] = [];
    const calls = Array.from({ length: 40 }, () =>
      guard.run(() => new Promise((_, reject) => breakAll.push(() => reject(new Error("ECONNRESET"))))).catch(() => {}),
    );
    await clock.advance(100);
    for (const one of breakAll) one();
    await Promise.all(calls);
    t.ok(guard.evidence.isSuspect);
    await clock.advance(50);
    t.equal(guard.breaker?.state, "closed");
    t.equal(remote.questions, 1);
    t.match(guard.evidence, { failing: "", isSuspect: false });
  },
);

t.test("... and an outage where it does not", async (t) => {
  const { clock, remote, guard } = scene();
  const breakAll: (() => void)[] = [];
  for (let i = 0; i < 40; i++)
    guard.run(() => new Promise((_, reject) => breakAll.push(() => reject(new Error("ECONNRESET"))))).catch(() => {});
  await clock.advance(100);
  remote.state = "refuses";
  for (const one of breakAll) one();
  await clock.advance(900);
  t.equal(guard.breaker?.state, "closed", "it may be back in a moment");
  await clock.advance(300);
  t.equal(guard.breaker?.state, "open");
});

t.test(
  "where calls hang behind something that answers questions, those begun after the answer count by themselves",
  async (t) => {
    const { remote, guard, load } = scene({ timeoutMs: 2_000 });
    await load(3_000);
    remote.state = "frozen";
    remote.answersQuestions = true;
    await load(6_000);
    t.ok((guard.breaker?.stats().opened ?? 0) >= 1, "it is not believed for ever");
  },
);

t.test("what waits for a connection is refused when the breaker opens, what has one goes on", async (t) => {
  class Use extends GuardedUse {
    readonly ended: unknown[] = [];
    readonly #hasConnection: boolean;
    constructor(hasConnection: boolean) {
      super();
      this.#hasConnection = hasConnection;
    }
    override get isAcquiring(): boolean {
      return !this.#hasConnection;
    }
    protected override begin(): void {}
    protected override giveUp(error: unknown): void {
      this.ended.push(error);
    }
  }
  const { guard } = scene({ breaker: { consecutiveFailures: 5 }, ask: undefined });
  const [waiting, connected] = [new Use(false), new Use(true)];
  guard.enter(waiting);
  guard.enter(connected);
  for (let i = 0; i < 5; i++) await guard.run(() => Promise.reject(new Error("ECONNREFUSED"))).catch(() => {});
  t.match(waiting.ended, [{ code: "CIRCUIT_OPEN" }]);
  t.same(connected.ended, []);
  waiting.succeed();
  connected.succeed();
  t.match(guard.stats(), { inUse: 0, breaker: { state: "open" } });
});

t.test(
  "calls that an outage swallowed make room when they hold all places and the resource answers again",
  async (t) => {
    const { clock, remote, guard } = scene({ maxConcurrent: 20, timeoutMs: 30_000 });
    const ended: unknown[] = [];
    remote.state = "frozen";
    for (let i = 0; i < 20; i++) guard.run(() => remote.call()).catch((error: unknown) => ended.push(error));
    await clock.advance(3_000);
    t.match(guard.stats(), { inUse: 20, breaker: { state: "open" } });
    remote.state = "well";
    await clock.advance(1_000 + 1_200);
    t.match(
      ended,
      Array.from({ length: 20 }, () => ({ code: "DEADLINE_EXCEEDED" })),
    );
    t.equal(await (guard.run(() => "answer") as Promise<string>), "answer");
  },
);

t.test("... and go on where there is room for the call that tries", async (t) => {
  const { clock, remote, guard, load } = scene({ maxConcurrent: 20, timeoutMs: 30_000 });
  remote.state = "frozen";
  let ended = false;
  for (let i = 0; i < 19; i++)
    guard
      .run(() => remote.call())
      .finally(() => (ended = true))
      .catch(() => {});
  await clock.advance(3_000);
  t.equal(guard.breaker?.state, "open");
  remote.state = "well";
  await clock.advance(1_200);
  await load(2_000);
  t.equal(guard.breaker?.state, "closed");
  t.notOk(ended);
});

t.test("however slow answers usually are, calls that hang are suspected within 750 ms", async (t) => {
  const { clock, remote, guard, load } = scene();
  remote.latencyMs = 600;
  await load(5_000);
  remote.state = "frozen";
  remote.questions = 0;
  await load(600 + 750);
  t.ok(remote.questions > 0);
  await clock.advance(1_500);
  t.equal(guard.breaker?.state, "open");
});

t.test("without a breaker the same evidence speaks, and nothing is refused", async (t) => {
  const { remote, guard, load } = scene({ breaker: undefined, timeoutMs: 100, ask: undefined });
  await load(1_000);
  remote.state = "refuses";
  t.same(await load(1_000), { failed: 50 });
  t.match(guard.evidence.failing, /^\d+ calls in a row failed: connect ECONNREFUSED$/);
  remote.state = "well";
  t.same(await load(100), {});
  t.match(guard.evidence, { failing: "", isSuspect: false });
  remote.state = "frozen";
  await load(400);
  t.match(guard.evidence.failing, /calls in a row failed: api: no answer after/);
});

t.test("a share of failures counts where none follow in a row, and for a second after the last of them", async (t) => {
  const { clock, remote, guard } = scene({ breaker: undefined, ask: undefined });
  for (let i = 0; i < 60; i++) {
    remote.state = i % 3 === 0 ? "well" : "refuses";
    guard.run(() => remote.call()).catch(() => {});
    await clock.advance(50);
  }
  t.match(guard.evidence.failing, /most calls fail: connect ECONNREFUSED/);
  await clock.advance(1_001);
  t.equal(guard.evidence.failing, "");
});

t.test("what is our own doing speaks against nobody: overload, aborts, too little time", async (t) => {
  const { clock, remote, guard } = scene({ maxConcurrent: 1, maxPending: 1 });
  remote.latencyMs = 100;
  await Promise.all([guard.run(() => remote.call()), clock.advance(200)]);
  const aborted = new AbortController();
  for (let i = 0; i < 30; i++) guard.run(() => remote.call(), { signal: aborted.signal }).catch(() => {});
  aborted.abort();
  for (let i = 0; i < 10; i++) {
    guard.run(() => remote.call(), { timeoutMs: 10 }).catch(() => {});
    await clock.advance(150);
  }
  t.match(guard.evidence, { failing: "", isSuspect: false });
  t.equal(guard.breaker?.stats().opened, 0);
});

t.test("answers that are no good degrade, never open, and are forgotten with a good one", async (t) => {
  const { clock, guard } = scene({ judge: () => "degraded" });
  const bad = async (): Promise<void> => {
    await guard.run(() => Promise.reject(new Error("status 503"))).catch(() => {});
    await clock.advance(10);
  };
  for (let i = 0; i < 4; i++) await bad();
  t.equal(guard.evidence.degraded, "", "four are few");
  await bad();
  t.match(guard.evidence, { failing: "", degraded: "it answers badly: status 503" });
  for (let i = 0; i < 30; i++) await bad();
  t.equal(guard.breaker?.stats().opened, 0);
  await guard.run(() => "good");
  await clock.advance(1_001);
  t.equal(guard.evidence.degraded, "");
});

t.test("what is held says nothing, however long it is held and however it ends", async (t) => {
  const { clock, remote, guard } = scene();
  const held = guard.run((call) => {
    call.held(60_000);
    return new Promise(() => {});
  });
  held.catch(() => {});
  await clock.advance(59_000);
  t.equal(remote.questions, 0);
  t.match(guard.evidence, { failing: "", isSuspect: false });
  await clock.advance(1_100);
  await t.rejects(held, { code: "DEADLINE_EXCEEDED" });
  t.match(guard.evidence, { failing: "", isSuspect: false });
});

t.test("calls of a lent connection are evidence of the guard that lent it", async (t) => {
  const { clock, remote, guard } = scene();
  const lease = new Guard({ resource: "api", clock, evidence: guard });
  remote.state = "refuses";
  for (let i = 0; i < 5; i++) await lease.run(() => remote.call()).catch(() => {});
  t.equal(guard.breaker?.state, "open");
  t.match(guard.evidence.failing, /5 failures in a row/);
  t.equal(lease.breaker, undefined, "what was let in once is let in");
  remote.state = "well";
  await clock.advance(500);
  await clock.runUntil(guard.run(() => remote.call()));
  await clock.advance(2_000);
  await clock.runUntil(guard.run(() => remote.call()));
  t.equal(guard.breaker?.state, "closed");
  remote.state = "refuses";
  for (let i = 0; i < 5; i++) await lease.run(() => remote.call()).catch(() => {});
  t.equal(guard.breaker?.state, "open", "after an outage as before it");
});

t.test("calls begun after the first failure count each, though they fail together", async (t) => {
  const { clock, remote, guard } = scene();
  const failIn = (ms: number): void =>
    void guard.run(() => clock.sleep(ms).then(() => Promise.reject(new Error("reset")))).catch(() => {});
  failIn(5);
  await clock.advance(10);
  for (let i = 0; i < 4; i++) failIn(20 + i);
  await clock.advance(30);
  t.equal(guard.breaker?.state, "open");
  t.equal(remote.questions, 0, "there is nothing to ask");
});

t.test("what shows an answer otherwise, and a renewal, give calls in flight their time anew", async (t) => {
  for (const show of ["answers", "renewed"] as const) {
    const { clock, remote, guard } = scene();
    remote.state = "frozen";
    guard.run(() => remote.call()).catch(() => {});
    await clock.advance(400);
    guard[show]();
    await clock.advance(400);
    t.equal(remote.questions, 0, show);
    await clock.advance(100);
    t.equal(remote.questions, 1, show);
    guard.stop();
  }
});

t.test("a renewal clears what calls on the old connections showed, and lets one call try", async (t) => {
  const { remote, guard, load } = scene();
  await load(1_000);
  remote.state = "refuses";
  await load(500);
  t.equal(guard.breaker?.state, "open");
  remote.state = "well";
  guard.renewed();
  t.match(guard.evidence, { failing: "", isSuspect: false });
  t.same(await load(100), {}, "one at a time is what comes at this rate");
});

t.test("listeners hear of the first failure, of an outage and of its end, not of every call", async (t) => {
  let heard = 0;
  const { remote, load } = scene({ onEvidence: () => heard++ });
  await load(2_000);
  t.equal(heard, 0);
  remote.state = "refuses";
  await load(2_000);
  const duringOutage = heard;
  t.ok(duringOutage >= 2 && duringOutage <= 12, `${duringOutage} times in an outage`);
  remote.state = "well";
  await load(3_000);
  t.ok(heard > duringOutage);
  const after = heard;
  await load(2_000);
  t.equal(heard, after);
});

t.test("a stopped guard keeps no timer", async (t) => {
  const { clock, remote, guard, load } = scene({ timeoutMs: undefined });
  await load(1_000);
  remote.state = "frozen";
  await load(3_000);
  guard.stop();
  remote.state = "well";
  await clock.advance(2_000);
  t.equal(clock.pending, 0);
});

t.test("... not even one that is stopped while it waits for an answer", async (t) => {
  const { clock, remote, guard } = scene({ timeoutMs: undefined });
  const call = (): void => void guard.run(() => remote.call()).catch(() => {});
  remote.state = "frozen";
  call();
  await clock.advance(100);
  t.equal(clock.pending, 1);
  guard.stop();
  t.equal(clock.pending, 0);
  call();
  await clock.advance(500);
  t.equal(remote.questions, 1);
  guard.stop();
  await clock.advance(3_000);
  t.equal(remote.questions, 1);
  t.equal(clock.pending, 0);
});

t.test("5 % of slow calls open nothing and ask nothing in ten minutes", async (t) => {
  const { remote, guard, load } = scene();
  for (let i = 0; i < 600; i++) {
    remote.latencyMs = i % 20 === 0 ? 800 : 5;
    await load(1_000);
  }
  t.equal(guard.breaker?.stats().opened, 0);
});

t.test(
  "a waiter is let in where a place is free, and by default ten may wait for each place, 1,000 at most",
  async (t) => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 300 }), async (maxConcurrent) => {
        const guard = new Guard({ resource: "api", clock: new FakeClock(), maxConcurrent });
        const most = maxConcurrent + Math.min(1_000, 10 * maxConcurrent);
        const calls = Array.from({ length: most + 1 }, () => guard.run(() => new Promise(() => {})));
        for (const call of calls) call.catch(() => {});
        await t.rejects(calls[most] ?? Promise.resolve(), { code: "OVERLOADED" });
        return guard.stats().inUse === maxConcurrent && guard.stats().pending === most - maxConcurrent;
      }),
      { numRuns: 20 },
    );
  },
);
