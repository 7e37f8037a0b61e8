import t from "tap";
import { FakeClock } from "../src/testing.ts";
import { Guard, type GuardOptions } from "../src/index.ts";
import { scene } from "./remote.ts";

/** A guard that nothing can be asked behind, with `warm` answers of 10 ms so that latencies are known. */
async function unasked(warm: number, options: Partial<GuardOptions> = {}): Promise<{ clock: FakeClock; guard: Guard }> {
  const clock = new FakeClock();
  const guard = new Guard({ resource: "api", clock, breaker: {}, ...options });
  for (let i = 0; i < warm; i++) await clock.runUntil(guard.run(() => clock.sleep(10)));
  await clock.advance(1);
  return { clock, guard };
}

const hang = (guard: Guard): void => void guard.run(() => new Promise(() => {})).catch(() => {});

t.test("where nothing can be asked, as many calls as otherwise have to fail must hang", async (t) => {
  const { clock, guard } = await unasked(200);
  for (let i = 0; i < 4; i++) hang(guard);
  await clock.advance(10_000);
  t.equal(guard.breaker?.state, "closed", "four hang");
  hang(guard);
  await clock.advance(500);
  t.equal(guard.breaker?.state, "open", "five hang");
  t.match(guard.evidence.failing, /^no call succeeded for \d+ ms while calls were in flight$/);
  guard.stop();
});

t.test("how many have to hang follows the option", async (t) => {
  const { clock, guard } = await unasked(200, { breaker: { consecutiveFailures: 2 } });
  hang(guard);
  await clock.advance(5_000);
  t.equal(guard.breaker?.state, "closed");
  hang(guard);
  await clock.advance(1_000);
  t.equal(guard.breaker?.state, "open");
  guard.stop();
});

t.test("where no latencies are known and nothing can be asked, hanging alone shows nothing", async (t) => {
  const { clock, guard } = await unasked(99);
  for (let i = 0; i < 10; i++) hang(guard);
  await clock.advance(60_000);
  t.equal(guard.breaker?.state, "closed");
  t.equal(guard.evidence.failing, "");
  guard.stop();
});

t.test("a stall is as long as its option says, and never below three times the usual p99", async (t) => {
  const openAfter = async (stallMs: number | undefined, usualMs: number): Promise<number> => {
    const clock = new FakeClock();
    const guard = new Guard({ resource: "api", clock, breaker: { stallMs } });
    for (let i = 0; i < 200; i++) await clock.runUntil(guard.run(() => clock.sleep(usualMs)));
    await clock.advance(2_000);
    const since = clock.now();
    for (let i = 0; i < 10; i++) hang(guard);
    while (guard.breaker?.state === "closed" && clock.now() - since < 20_000) await clock.advance(1);
    guard.stop();
    return clock.now() - since;
  };
  const usual = await openAfter(undefined, 10);
  t.ok(usual > 450 && usual <= 500, `${usual} ms`);
  const short = await openAfter(100, 10);
  t.ok(short > 100 && short <= 150, `${short} ms`);
  const long = await openAfter(2_000, 10);
  t.ok(long > 2_000 && long <= 2_050, `${long} ms`);
  const slow = await openAfter(100, 400);
  t.ok(slow > 1_200 && slow <= 1_600, `${slow} ms, three times a p99 of about 400 to 500`);
});

t.test("the first question comes after 450 ms of silence, as fits what answers usually take", async (t) => {
  const askedAfter = async (usualMs: number, stallMs?: number): Promise<number> => {
    const { clock, remote, guard } = scene({ breaker: { stallMs } });
    remote.latencyMs = usualMs;
    remote.answersQuestions = true;
    await clock.runUntil(Promise.all(Array.from({ length: 150 }, () => guard.run(() => remote.call()))));
    await clock.advance(2_000);
    remote.state = "frozen";
    remote.questions = 0;
    const since = clock.now();
    guard.run(() => remote.call()).catch(() => {});
    while (remote.questions === 0 && clock.now() - since < 20_000) await clock.advance(1);
    guard.stop();
    return clock.now() - since;
  };
  const quick = await askedAfter(5);
  t.ok(quick > 450 && quick <= 470, `${quick} ms`);
  const medium = await askedAfter(200);
  t.ok(medium > 600 && medium <= 770, `${medium} ms: three times the usual`);
  const slow = await askedAfter(2_000);
  t.ok(slow > 750 && slow <= 770, `${slow} ms: no longer, however slow answers are`);
  const set = await askedAfter(5, 3_000);
  t.ok(set > 3_000 && set <= 3_020, `${set} ms: as the option says`);
});

t.test("each answered question vouches for silence, twice as long each time, to 30 s", async (t) => {
  const { clock, remote, guard } = scene({ timeoutMs: undefined });
  remote.state = "frozen";
  remote.answersQuestions = true;
  guard.run(() => remote.call()).catch(() => {});
  const at: number[] = [];
  while (clock.now() < 200_000) {
    const before = remote.questions;
    await clock.advance(50);
    if (remote.questions > before) at.push(clock.now());
  }
  const pauses = at.map((instant, i) => Math.round((instant - (at[i - 1] ?? 0)) / 450));
  t.match(pauses.slice(0, 6), [1, 2, 4, 8, 16, 32], "in units of 450 ms");
  const last = (at.at(-1) ?? 0) - (at.at(-2) ?? 0);
  t.ok(last >= 29_900 && last <= 30_200, `${last} ms between the last two`);
  t.equal(guard.breaker?.state, "closed");
  guard.stop();
});

t.test("a call that succeeds ends the patience that answers have earned", async (t) => {
  const { clock, remote, guard } = scene({ timeoutMs: undefined });
  remote.state = "frozen";
  remote.answersQuestions = true;
  guard.run(() => remote.call()).catch(() => {});
  await clock.advance(10_000);
  remote.state = "well";
  await clock.runUntil(guard.run(() => remote.call()));
  await clock.advance(1);
  const asked = remote.questions;
  remote.state = "frozen";
  guard.run(() => remote.call()).catch(() => {});
  await clock.advance(16_000);
  t.ok(remote.questions - asked >= 3, `${remote.questions - asked} more questions in 16 s`);
  guard.stop();
});

t.test("a call that others have overtaken is only slow; the oldest that none has overtaken counts", async (t) => {
  const { clock, remote, guard } = scene({ timeoutMs: undefined });
  hang(guard);
  for (let i = 0; i < 20; i++) {
    await clock.advance(100);
    await clock.runUntil(guard.run(() => remote.call()));
  }
  t.equal(remote.questions, 0);
  await clock.advance(400);
  hang(guard);
  await clock.advance(440);
  t.equal(remote.questions, 0, "the second is in flight for 440 ms");
  await clock.advance(100);
  t.equal(remote.questions, 1);
  guard.stop();
});

t.test(
  "a question that is refused is repeated for a second before it counts, and an answer meanwhile ends it",
  async (t) => {
    const refused = scene({ timeoutMs: undefined });
    refused.guard.run(() => new Promise(() => {})).catch(() => {});
    refused.remote.state = "refuses";
    await refused.clock.advance(990);
    t.equal(refused.guard.breaker?.state, "closed");
    t.ok(refused.remote.questions >= 4 && refused.remote.questions <= 7, `${refused.remote.questions} questions`);
    t.ok(refused.guard.evidence.isSuspect);
    await refused.clock.advance(150);
    t.equal(refused.guard.breaker?.state, "open");
    t.match(refused.guard.evidence.failing, /no call succeeded for 1\d\d\d ms .* not answered: connect ECONNREFUSED/);
    refused.guard.stop();
    const back = scene({ timeoutMs: undefined });
    back.guard.run(() => new Promise(() => {})).catch(() => {});
    back.remote.state = "refuses";
    await back.clock.advance(700);
    back.remote.state = "well";
    await back.clock.advance(200);
    const asked = back.remote.questions;
    t.match(back.guard.evidence, { failing: "", isSuspect: false });
    await back.clock.advance(400);
    t.equal(back.remote.questions, asked, "it is believed for a while");
    back.guard.stop();
  },
);

t.test("a call that succeeds while a question is asked speaks louder than the question", async (t) => {
  const { clock, remote, guard } = scene({ timeoutMs: undefined });
  hang(guard);
  remote.state = "frozen";
  await clock.advance(500);
  t.equal(remote.questions, 1);
  await guard.run(() => "answer");
  await clock.advance(1_200);
  t.equal(guard.breaker?.state, "closed");
  t.equal(guard.evidence.failing, "");
  guard.stop();
});

t.test("where nothing is in flight nothing is watched, and nothing is asked", async (t) => {
  const { clock, remote, guard } = scene({ timeoutMs: undefined });
  await clock.runUntil(guard.run(() => remote.call()));
  await clock.advance(1_000);
  t.equal(clock.pending, 0, "no timer is left");
  await clock.advance(60_000);
  t.equal(remote.questions, 0);
});

t.test("a timer that comes late shows that this process stood still, and silence is looked at once more", async (t) => {
  class Stalling extends FakeClock {
    late = 0;
    override now(): number {
      return super.now() + this.late;
    }
  }
  const clock = new Stalling();
  let questions = 0;
  const guard = new Guard({ resource: "api", clock, breaker: {}, ask: () => void questions++ });
  let answer: (value: string) => void = () => {};
  const call = guard.run(() => new Promise<string>((resolve) => (answer = resolve)));
  await clock.advance(440);
  clock.late = 600;
  await clock.advance(10);
  answer("it lay unread");
  await call;
  await clock.advance(1_000);
  t.equal(questions, 0);
});

t.test("a stopped guard watches again from the next call on", async (t) => {
  const { clock, remote, guard } = scene({ timeoutMs: undefined });
  remote.state = "frozen";
  hang(guard);
  guard.stop();
  await clock.advance(5_000);
  t.equal(remote.questions, 0);
  hang(guard);
  await clock.advance(1_000);
  t.equal(remote.questions, 1);
  guard.stop();
});
