import t from "tap";
import { Breaker } from "../src/guard/breaker.ts";
import { CHANNELS, type BreakerEvent, type BreakerOptions } from "../src/index.ts";
import { subscribe, unsubscribe } from "node:diagnostics_channel";

const NEVER_IN_A_ROW = { consecutiveFailures: 1_000 };

/** Lets calls end one after another at `now`: `s` succeeds after `tookMs`, `f` fails. */
function calls(breaker: Breaker, outcomes: string, now = 0, tookMs = 1): void {
  for (const outcome of outcomes) {
    const ticket = breaker.admit(now);
    if (outcome === "f") breaker.failed(ticket, now);
    else breaker.succeeded(ticket, now, tookMs);
  }
}

function opened(options: BreakerOptions = {}): Breaker {
  const breaker = new Breaker("db", options);
  calls(breaker, "fffff");
  return breaker;
}

t.test("a share of failures opens it from the least number of calls on, and from the share itself on", (t) => {
  const options = { ...NEVER_IN_A_ROW, minimumThroughput: 4, failureRatio: 0.5 };
  const early = new Breaker("db", options);
  calls(early, "fff");
  t.equal(early.state, "closed", "three calls are too few");
  const exact = new Breaker("db", options);
  calls(exact, "ssf");
  t.equal(exact.state, "closed");
  calls(exact, "f");
  t.equal(exact.state, "open");
  t.equal(exact.reason, "2 of 4 calls failed");
  const below = new Breaker("db", options);
  calls(below, "sssff");
  t.equal(below.state, "closed", "2 of 5 are less than half");
  t.end();
});

t.test("a call is slow beyond the bound, not at it, and a share of slow calls opens it", (t) => {
  const options = { slowCallMs: 100, slowCallRatio: 0.5, minimumThroughput: 4 };
  const atBound = new Breaker("db", options);
  calls(atBound, "ssss", 0, 100);
  t.equal(atBound.state, "closed");
  const mixed = new Breaker("db", options);
  calls(mixed, "sss", 0, 1);
  calls(mixed, "ss", 0, 101);
  t.equal(mixed.state, "closed", "2 of 5 are less than half");
  calls(mixed, "s", 0, 101);
  t.equal(mixed.state, "open");
  t.equal(mixed.reason, "3 of 6 calls were slow");
  t.end();
});

t.test("where nothing is said no call is slow", (t) => {
  const breaker = new Breaker("db");
  calls(breaker, "s".repeat(100), 0, 1e9);
  t.equal(breaker.state, "closed");
  t.end();
});

t.test("it stays open for its duration, varied by a fifth", (t) => {
  const waits = Array.from({ length: 300 }, () => opened({ breakDurationMs: 1_000 }).refusal(0).retryAfterMs ?? 0);
  const [least, most] = [Math.min(...waits), Math.max(...waits)];
  t.ok(least >= 800 && least < 850, `${least} ms`);
  t.ok(most <= 1_200 && most > 1_150, `${most} ms`);
  t.end();
});

t.test("a caller that is refused learns when to come back: what is left of the time, and at least 1 ms", (t) => {
  const breaker = opened({ breakDurationMs: 1_000 });
  const whole = breaker.refusal(0).retryAfterMs ?? 0;
  t.equal(breaker.refusal(300).retryAfterMs, whole - 300);
  t.equal(breaker.refusal(5_000).retryAfterMs, 1);
  breaker.admit(1_200);
  t.equal(breaker.state, "half-open");
  t.equal(breaker.refusal(1_200).retryAfterMs, 1_000, "one tries: as long as it would be open again");
  t.end();
});

t.test(
  "where the resource is asked without a call, calls try after 5 s only, and callers come back within one",
  (t) => {
    const breaker = new Breaker("db", { breakDurationMs: 100 }, { isAsked: true });
    calls(breaker, "fffff");
    t.equal(breaker.refusal(0).retryAfterMs, 1_000);
    t.equal(breaker.admit(3_900), -1);
    t.ok(breaker.admit(6_001) >= 0);
    const patient = new Breaker("db", { breakDurationMs: 60_000 }, { isAsked: true });
    calls(patient, "fffff");
    t.equal(patient.admit(47_000), -1, "the longer of the two counts");
    t.end();
  },
);

t.test("it announces each change with its cause, and its owner learns when it opens", (t) => {
  const events: BreakerEvent[] = [];
  const listen = (event: unknown): void => void events.push(event as BreakerEvent);
  subscribe(CHANNELS.breaker, listen);
  t.teardown(() => unsubscribe(CHANNELS.breaker, listen));
  let opens = 0;
  const breaker = new Breaker(
    "db",
    { breakDurationMs: 100, rampMs: 500 },
    { subject: "db one", onOpen: () => opens++ },
  );
  calls(breaker, "fffff");
  t.equal(opens, 1);
  calls(breaker, "s", 130);
  calls(breaker, "s", 700);
  const reason = "5 failures in a row";
  t.match(events, [
    { resource: "db", subject: "db one", from: "closed", to: "open", reason },
    { from: "open", to: "half-open", reason },
    { from: "half-open", to: "ramp", reason },
    { from: "ramp", to: "closed", reason },
  ]);
  t.equal(events.length, 4);
  t.end();
});

t.test("one failure in the ramp opens it again, and the count of failures begins anew once it is closed", (t) => {
  const breaker = opened({ breakDurationMs: 100, rampMs: 500 });
  calls(breaker, "s", 130);
  t.equal(breaker.stats().consecutiveFailures, 0);
  calls(breaker, "f", 140);
  t.equal(breaker.state, "open");
  t.equal(breaker.reason, "it failed again while recovering");
  calls(breaker, "s", 300);
  calls(breaker, "s", 900);
  t.equal(breaker.state, "closed");
  calls(breaker, "ffff", 900);
  t.equal(breaker.state, "closed");
  calls(breaker, "f", 900);
  t.equal(breaker.state, "open");
  t.match(breaker.stats(), { opened: 3, consecutiveFailures: 5 });
  t.end();
});

t.test("the window of failures begins anew once it is closed", (t) => {
  const breaker = new Breaker("db", { ...NEVER_IN_A_ROW, minimumThroughput: 4, breakDurationMs: 100, rampMs: 100 });
  calls(breaker, "ffff");
  calls(breaker, "s", 130);
  calls(breaker, "s", 300);
  t.equal(breaker.state, "closed");
  calls(breaker, "fs", 300);
  t.equal(breaker.state, "closed", "3 calls since, not 8");
  t.end();
});

t.test("the ramp begins with two at once and doubles with each success, to its bound", (t) => {
  const breaker = opened({ breakDurationMs: 100, rampMs: 1_000, rampConcurrency: 3 });
  calls(breaker, "s", 130);
  const free = (): number[] => {
    const tickets: number[] = [];
    for (let next = breaker.admit(200); next >= 0; next = breaker.admit(200)) tickets.push(next);
    return tickets;
  };
  const two = free();
  t.equal(two.length, 2);
  breaker.succeeded(two[0] ?? -1, 210, 1);
  t.equal(free().length, 2, "one place was freed, and one came: the bound is three");
  const ramp = opened({ breakDurationMs: 100, rampMs: 1_000, rampConcurrency: 1 });
  calls(ramp, "s", 130);
  t.ok(ramp.admit(140) >= 0);
  t.equal(ramp.admit(140), -1, "never more than the bound, from its begin on");
  t.equal(ramp.stats().refused, 1);
  t.end();
});

t.test("a call in the ramp that says nothing frees its place, one from before the last change frees none", (t) => {
  const breaker = new Breaker("db", { breakDurationMs: 100, rampConcurrency: 1 });
  const early = breaker.admit(0);
  calls(breaker, "fffff");
  calls(breaker, "s", 130);
  const ticket = breaker.admit(140);
  breaker.ignored(early);
  t.equal(breaker.admit(140), -1);
  breaker.ignored(ticket);
  t.ok(breaker.admit(140) >= 0);
  t.end();
});

t.test("calls that end without a word while it is closed cost no place later", (t) => {
  const breaker = new Breaker("db", { breakDurationMs: 100 });
  for (let i = 0; i < 3; i++) breaker.ignored(breaker.admit(0));
  calls(breaker, "fffff");
  t.ok(breaker.admit(130) >= 0);
  t.equal(breaker.admit(130), -1, "one at a time");
  t.end();
});

t.test("calls that hang open it once, with their own reason", (t) => {
  const breaker = new Breaker("db");
  breaker.trip(0, "no answer for 3 s");
  breaker.trip(1, "no answer for 4 s");
  t.equal(breaker.reason, "no answer for 3 s");
  t.match(breaker.stats(), { state: "open", opened: 1 });
  t.match(breaker.refusal(1), { message: "db: the circuit is open: no answer for 3 s" });
  t.end();
});

t.test("an answer by other means changes nothing while it is closed or in its ramp", (t) => {
  const breaker = new Breaker("db", { breakDurationMs: 100 });
  breaker.tryNow();
  t.equal(breaker.state, "closed");
  calls(breaker, "fffff");
  calls(breaker, "s", 130);
  breaker.tryNow();
  t.equal(breaker.state, "ramp");
  t.end();
});

t.test("an answer by other means lets the next try where the one that tries gets none", (t) => {
  const breaker = opened({ breakDurationMs: 100 });
  breaker.admit(130);
  t.equal(breaker.admit(131), -1);
  breaker.tryNow();
  t.ok(breaker.admit(132) >= 0);
  t.end();
});

t.test("what need not be let in has a ticket only while it is closed", (t) => {
  const breaker = new Breaker("db", { breakDurationMs: 100 });
  t.ok(breaker.isCurrent(breaker.ticket));
  const { ticket } = breaker;
  calls(breaker, "fffff");
  t.equal(breaker.ticket, -1);
  t.notOk(breaker.isCurrent(ticket));
  t.end();
});

t.test("a refusal carries no stack, and errors of others keep theirs", (t) => {
  const refusal = opened().refusal(0);
  t.notMatch(refusal.stack ?? "", /\n {4}at /);
  t.match(new Error("other").stack ?? "", /\n {4}at /);
  t.match(refusal, { code: "CIRCUIT_OPEN", retryable: true });
  t.end();
});
