import t from "tap";
import { Guard, StewardError, type GuardOptions } from "../src/index.ts";
import { FakeClock } from "../src/testing.ts";
import { scene } from "./remote.ts";

const NEVER = Number.NEGATIVE_INFINITY;

function guardOn(clock: FakeClock, options: Partial<GuardOptions> = {}): Guard {
  return new Guard({ resource: "api", clock, ...options });
}

async function fail(guard: Guard, times = 1, message = "refused"): Promise<void> {
  for (let i = 0; i < times; i++) await guard.run(() => Promise.reject(new Error(message))).catch(() => {});
}

t.test("before the first call nothing speaks for a resource or against it", (t) => {
  const { evidence } = guardOn(new FakeClock());
  t.strictSame(evidence, { lastSuccessAt: NEVER, activeAt: NEVER, failing: "", degraded: "", isSuspect: false });
  t.end();
});

t.test("it is as recent as the last call that said something, and as now while one is in flight", async (t) => {
  const clock = new FakeClock(100);
  const guard = guardOn(clock);
  await guard.run(() => 1);
  t.match(guard.evidence, { lastSuccessAt: 100, activeAt: 100 });
  await clock.advance(50);
  await fail(guard);
  t.match(guard.evidence, { lastSuccessAt: 100, activeAt: 150, isSuspect: true });
  await clock.advance(50);
  const running = guard.run(() => clock.sleep(50));
  await clock.advance(20);
  t.equal(guard.evidence.activeAt, 220);
  await clock.runUntil(running);
  await clock.advance(1_000);
  t.match(guard.evidence, { lastSuccessAt: 250, activeAt: 250, isSuspect: false });
  const bad = guardOn(clock, { judge: () => "degraded" });
  await fail(bad);
  const at = clock.now();
  await clock.advance(10);
  t.match(bad.evidence, { lastSuccessAt: NEVER, activeAt: at });
});

t.test("five failures in a row are an outage, as many as the option of its breaker says with one", async (t) => {
  const clock = new FakeClock();
  const guard = guardOn(clock);
  await fail(guard, 4);
  t.match(guard.evidence, { failing: "", isSuspect: true });
  await fail(guard);
  t.equal(guard.evidence.failing, "5 calls in a row failed: refused");
  await guard.run(() => 1);
  t.match(guard.evidence, { failing: "", isSuspect: false });
  const quick = guardOn(clock, { breaker: { consecutiveFailures: 2 } });
  await fail(quick);
  t.equal(quick.evidence.failing, "");
  await fail(quick);
  t.equal(quick.evidence.failing, "2 failures in a row");
});

t.test("what is isolated by hand fails, whatever its calls showed", async (t) => {
  const guard = guardOn(new FakeClock(), { breaker: {} });
  await guard.run(() => 1);
  const release = guard.breaker?.isolate();
  t.equal(guard.evidence.failing, "isolated by hand");
  release?.();
  t.equal(guard.evidence.failing, "");
});

t.test("a call that had less time than two usual answers take says nothing when it runs out of it", async (t) => {
  const after = async (timeoutMs: number): Promise<boolean> => {
    const clock = new FakeClock();
    const guard = guardOn(clock);
    await clock.runUntil(guard.run(() => clock.sleep(80)));
    await clock.runUntil(guard.run(() => new Promise(() => {}), { timeoutMs }).catch(() => {}));
    return guard.evidence.isSuspect;
  };
  t.notOk(await after(152));
  t.ok(await after(160));
});

t.test("errors about ourselves say nothing", async (t) => {
  const guard = guardOn(new FakeClock());
  for (const code of ["CALL_ABORTED", "OVERLOADED", "RESOURCE_UNAVAILABLE", "CIRCUIT_OPEN"])
    await guard.run(() => Promise.reject(new StewardError(code, "own"))).catch(() => {});
  t.notOk(guard.evidence.isSuspect);
  await guard.run(() => Promise.reject(new StewardError("OTHER", "not own"))).catch(() => {});
  t.ok(guard.evidence.isSuspect);
});

t.test("listeners hear of the first failure, of each from the fifth on, and of the success that ends it", async (t) => {
  let heard = 0;
  const guard = guardOn(new FakeClock(), { onEvidence: () => heard++ });
  const heardBy = async (work: () => Promise<unknown>): Promise<number> => {
    const before = heard;
    await work();
    return heard - before;
  };
  t.equal(await heardBy(() => guard.run(() => 1)), 0);
  t.equal(await heardBy(() => fail(guard)), 1);
  t.equal(await heardBy(() => fail(guard, 3)), 0);
  t.equal(await heardBy(() => guard.run(() => 1)), 0, "that was no outage");
  await fail(guard, 4);
  t.equal(await heardBy(() => fail(guard)), 1);
  t.equal(await heardBy(() => fail(guard)), 1);
  t.equal(await heardBy(() => guard.run(() => 1)), 1);
  t.equal(await heardBy(() => guard.run(() => 1)), 0);
});

t.test("listeners hear of the first bad answer, of the fifth, and of the good one behind them", async (t) => {
  let heard = 0;
  const guard = guardOn(new FakeClock(), { judge: () => "degraded", onEvidence: () => heard++ });
  const heardAfter: number[] = [];
  for (let i = 0; i < 7; i++) {
    await fail(guard);
    heardAfter.push(heard);
  }
  t.strictSame(heardAfter, [1, 1, 1, 1, 2, 2, 2]);
  t.match(guard.evidence, { failing: "", isSuspect: true });
  await guard.run(() => 1);
  t.equal(heard, 3);
  t.match(guard.evidence, { degraded: "", isSuspect: false });
});

t.test("a bad answer is an answer: failures before it do not add up with those behind it", async (t) => {
  const clock = new FakeClock();
  let verdict: "failure" | "degraded" = "failure";
  const guard = guardOn(clock, { judge: () => verdict, breaker: {} });
  await fail(guard, 4);
  verdict = "degraded";
  await fail(guard);
  verdict = "failure";
  await fail(guard, 4);
  t.equal(guard.evidence.failing, "");
  t.equal(guard.breaker?.state, "closed");
});

t.test("most answers bad, though none follow one another, is degraded for a second", async (t) => {
  const clock = new FakeClock();
  const guard = guardOn(clock, { judge: () => "degraded" });
  for (let i = 0; i < 15; i++) {
    await fail(guard, 2);
    await guard.run(() => 1);
  }
  t.equal(guard.evidence.degraded, "it answers badly: refused");
  await clock.advance(999);
  t.not(guard.evidence.degraded, "");
  await clock.advance(1);
  t.equal(guard.evidence.degraded, "");
  await fail(guard, 2);
  guard.renewed();
  t.equal(guard.evidence.degraded, "", "a renewal forgets it");
});

t.test(
  "a success behind an outage forgets the share of failures too, one behind single failures does not",
  async (t) => {
    const clock = new FakeClock();
    const outage = guardOn(clock);
    await fail(outage, 30);
    t.not(outage.evidence.failing, "");
    await outage.run(() => 1);
    t.equal(outage.evidence.failing, "");
    const mixed = guardOn(clock);
    for (let i = 0; i < 10; i++) {
      await fail(mixed, 2);
      await mixed.run(() => 1);
    }
    t.match(mixed.evidence.failing, /^most calls fail: refused/);
    mixed.renewed();
    t.equal(mixed.evidence.failing, "", "it was one of the connections that were replaced");
  },
);

t.test("calls on connections that were replaced since say nothing, those begun afterwards do", async (t) => {
  const clock = new FakeClock();
  const guard = guardOn(clock, { breaker: {} });
  const breakAll: (() => void)[] = [];
  const begin = (): void => {
    guard.run(() => new Promise((_, reject) => breakAll.push(() => reject(new Error("ECONNRESET"))))).catch(() => {});
  };
  for (let i = 0; i < 10; i++) begin();
  await clock.advance(1);
  guard.renewed();
  for (const one of breakAll.splice(0)) one();
  await clock.settle();
  t.equal(guard.breaker?.state, "closed");
  t.notOk(guard.evidence.isSuspect);
  for (let i = 0; i < 5; i++) begin();
  for (const one of breakAll) one();
  await clock.settle();
  t.equal(guard.breaker?.state, "open");
  guard.stop();
});

t.test(
  "a question that was asked before a start, a renewal or another answer says nothing when it fails behind it",
  async (t) => {
    for (const show of ["started", "renewed", "answers"] as const) {
      const { clock, remote, guard } = scene();
      remote.state = "frozen";
      guard.run(() => remote.call()).catch(() => {});
      while (remote.questions === 0) await clock.advance(10);
      await clock.advance(500);
      remote.state = "well";
      guard[show]();
      await clock.advance(600);
      t.equal(guard.breaker?.state, "closed", show);
      t.equal(guard.evidence.failing, "", show);
      guard.stop();
    }
  },
);

t.test("something else that shows an answer clears what speaks against it, and lets a call try", async (t) => {
  const { clock, guard, remote } = scene({ ask: undefined });
  remote.state = "refuses";
  for (let i = 0; i < 5; i++) await guard.run(() => remote.call()).catch(() => {});
  t.equal(guard.breaker?.state, "open");
  guard.answers();
  t.equal(guard.breaker?.state, "half-open");
  t.match(guard.evidence, { failing: "", isSuspect: false });
  remote.state = "well";
  t.equal(await clock.runUntil(guard.run(() => remote.call())), "answer");
});

t.test("calls that were in flight when it answered otherwise say nothing about it any more", async (t) => {
  const clock = new FakeClock();
  const guard = guardOn(clock, { breaker: {}, ask: () => {} });
  const breakAll: (() => void)[] = [];
  for (let i = 0; i < 10; i++)
    guard.run(() => new Promise((_, reject) => breakAll.push(() => reject(new Error("ECONNRESET"))))).catch(() => {});
  await clock.advance(1);
  await fail(guard);
  guard.answers();
  t.notOk(guard.evidence.isSuspect);
  for (const one of breakAll) one();
  await clock.settle();
  t.notOk(guard.evidence.isSuspect);
  t.equal(guard.breaker?.state, "closed");
  guard.stop();
});

t.test("a lease ends the evidence of its call, and a lent connection passes on what its calls show", async (t) => {
  const clock = new FakeClock();
  const guard = guardOn(clock, { breaker: { consecutiveFailures: 1 } });
  const lent = new Guard({ resource: "api", clock, evidence: guard });
  await lent.run(() => 1);
  t.equal(guard.evidence.lastSuccessAt, 0);
  await clock.advance(10);
  await guard
    .run((call) => {
      call.held();
      return Promise.reject(new Error("its own doing"));
    })
    .catch(() => {});
  t.match(guard.evidence, { failing: "", isSuspect: false });
  t.equal(guard.breaker?.state, "closed");
  await fail(lent);
  t.equal(guard.breaker?.state, "open");
  await fail(lent, 3);
  t.equal(guard.breaker?.stats().opened, 1, "what was let in before says nothing new");
});

t.test("how long answers take is learnt from those that came while it answered", async (t) => {
  const { clock, guard, remote } = scene({ timeoutMs: undefined, maxConcurrent: 300 });
  await clock.runUntil(Promise.all(Array.from({ length: 120 }, () => guard.run(() => remote.call()))));
  await clock.advance(1);
  const late: (() => void)[] = [];
  for (let i = 0; i < 120; i++) void guard.run(() => new Promise<void>((resolve) => late.push(resolve)));
  await clock.advance(1);
  remote.state = "frozen";
  await clock.advance(5_000);
  t.equal(guard.breaker?.state, "open");
  remote.state = "well";
  for (const one of late) one();
  await clock.advance(3_000);
  remote.state = "frozen";
  remote.questions = 0;
  guard.run(() => remote.call()).catch(() => {});
  await clock.advance(500);
  t.equal(remote.questions, 1, "450 ms, as before the outage");
  guard.stop();
});

/** A guard whose breaker is in its ramp, where one call at a time may run. */
async function inRamp(clock: FakeClock): Promise<Guard> {
  const guard = guardOn(clock, { breaker: { breakDurationMs: 100, rampConcurrency: 1 } });
  await fail(guard, 5);
  await clock.advance(130);
  await guard.run(() => 1);
  t.equal(guard.breaker?.state, "ramp");
  return guard;
}

t.test(
  "what says nothing keeps no other out of the ramp: a call that was given up, or that holds what it has",
  async (t) => {
    const clock = new FakeClock();
    const given = await inRamp(clock);
    const abort = new AbortController();
    const call = given.run(() => new Promise(() => {}), { signal: abort.signal });
    await t.rejects(
      given.run(() => 1),
      { code: "CIRCUIT_OPEN" },
    );
    abort.abort();
    await t.rejects(call, { code: "CALL_ABORTED" });
    t.equal(await given.run(() => "next"), "next");
    const held = await inRamp(clock);
    held.run((lease) => (lease.held(), new Promise(() => {}))).catch(() => {});
    t.equal(await held.run(() => "next"), "next");
  },
);

t.test("a call from before an outage that fails behind it says nothing", async (t) => {
  const clock = new FakeClock();
  const guard = guardOn(clock, { breaker: { breakDurationMs: 100, rampMs: 100 } });
  let breakIt: () => void = () => {};
  guard.run(() => new Promise((_, reject) => (breakIt = () => reject(new Error("ECONNRESET"))))).catch(() => {});
  await fail(guard, 5);
  await clock.advance(130);
  await guard.run(() => 1);
  await clock.advance(100);
  await guard.run(() => 1);
  t.equal(guard.breaker?.state, "closed");
  breakIt();
  await clock.settle();
  t.notOk(guard.evidence.isSuspect);
  guard.stop();
});

t.test("without a breaker silence speaks too, once a question has no answer, and is announced", async (t) => {
  const clock = new FakeClock();
  let heard = 0;
  const guard = guardOn(clock, { ask: () => new Promise(() => {}), onEvidence: () => heard++ });
  guard.run(() => new Promise(() => {})).catch(() => {});
  await clock.advance(1_000);
  t.match(guard.evidence, { failing: "", isSuspect: true });
  const before = heard;
  await clock.advance(500);
  t.match(guard.evidence, { failing: /^no call succeeded for \d+ ms .* no answer within 1000 ms$/, isSuspect: true });
  t.equal(heard, before + 1);
  await guard.run(() => 1);
  t.match(guard.evidence, { failing: "", isSuspect: false });
  t.equal(heard, before + 2);
  guard.stop();
});
