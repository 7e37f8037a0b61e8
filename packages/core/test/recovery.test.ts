import t from "tap";
import { currentContext, Guard, runWithContext, StewardError } from "../src/index.ts";
import { FakeClock } from "../src/testing.ts";
import { Inquiry } from "../src/health/inquiry.ts";
import { scene, type Scene } from "./remote.ts";

/** Opens the breaker by failures, and takes the remote down with it. */
async function down(options: Parameters<typeof scene>[0] = {}): Promise<Scene> {
  const made = scene(options);
  made.remote.state = "refuses";
  for (let i = 0; i < 5; i++) await made.guard.run(() => made.remote.call()).catch(() => {});
  return made;
}

/** The instants of the questions within `ms`. */
async function questions({ clock, remote }: Scene, ms: number): Promise<number[]> {
  const at: number[] = [];
  for (const end = clock.now() + ms; clock.now() < end;) {
    const before = remote.questions;
    await clock.advance(1);
    if (remote.questions > before) at.push(clock.now());
  }
  return at;
}

t.test(
  "while it is open the resource is asked about as often as calls would try, then less often, to once a second",
  async (t) => {
    const made = await down();
    t.equal(made.guard.breaker?.state, "open");
    const at = await questions(made, 60_000);
    const pauses = at.map((instant, i) => instant - (at[i - 1] ?? 0));
    t.ok((pauses[0] ?? 0) >= 120 && (pauses[0] ?? 0) <= 181, `first after ${pauses[0]} ms`);
    const late = pauses.slice(20);
    t.ok(
      late.every((pause) => pause >= 800 && pause <= 1_202),
      "a second, varied by a fifth",
    );
    t.ok(Math.max(...late) > 1_100 && Math.min(...late) < 900);
    t.ok(Math.max(...pauses.slice(1, 5)) < 500, "it grows by a fifth each time");
    t.equal(made.guard.breaker?.stats().opened, 1);
    made.guard.stop();
  },
);

t.test("a break that is longer than a second is the time between two questions", async (t) => {
  const made = await down({ breaker: { breakDurationMs: 3_000 } });
  const at = await questions(made, 60_000);
  t.ok(at.length >= 16 && at.length <= 25, `${at.length} questions in a minute`);
  made.guard.stop();
});

t.test("the first answer lets one call try, and no question is asked from then on", async (t) => {
  const made = await down();
  const { clock, remote, guard } = made;
  remote.state = "well";
  await clock.advance(200);
  t.equal(guard.breaker?.state, "half-open");
  t.equal(clock.holding, 0, "nothing keeps the process alive");
  const asked = remote.questions;
  await clock.advance(60_000);
  t.equal(remote.questions, asked);
  t.equal(await clock.runUntil(guard.run(() => remote.call())), "answer");
});

t.test("a resource that accepts nothing for another reason is not asked, and asked again once it does", async (t) => {
  let refuses = false;
  const made = await down({ refusal: () => (refuses ? new StewardError("RESOURCE_UNAVAILABLE", "down") : undefined) });
  const { clock, remote, guard } = made;
  refuses = true;
  t.strictSame(await questions(made, 3_000), []);
  t.equal(guard.breaker?.state, "open");
  refuses = false;
  remote.state = "well";
  await clock.advance(1_500);
  t.equal(guard.breaker?.state, "half-open");
});

t.test("what is stopped asks no more, and no late answer counts", async (t) => {
  const made = await down({ timeoutMs: undefined });
  const { clock, remote, guard } = made;
  remote.state = "well";
  remote.latencyMs = 500;
  await clock.advance(190);
  t.equal(remote.questions, 1, "a question is asked");
  guard.stop();
  await clock.advance(5_000);
  t.equal(remote.questions, 1);
  t.equal(guard.breaker?.state, "open");
  t.equal(clock.pending, 0);
});

t.test("it opens again, is asked again, when the call that tries fails", async (t) => {
  const { clock, remote, guard } = await down();
  remote.answersQuestions = true;
  await clock.advance(200);
  t.equal(guard.breaker?.state, "half-open");
  await guard.run(() => remote.call()).catch(() => {});
  t.equal(guard.breaker?.state, "open");
  const asked = remote.questions;
  await clock.advance(200);
  t.equal(remote.questions, asked + 1);
  guard.stop();
});

t.test(
  "calls from before the outage keep their places for a second, those that began since for their own time",
  async (t) => {
    const { clock, remote, guard } = scene({ maxConcurrent: 2 });
    const ended: string[] = [];
    const call = (name: string): void => {
      guard.run(() => remote.call()).catch((error: unknown) => ended.push(`${name} ${(error as StewardError).code}`));
    };
    remote.state = "frozen";
    call("old");
    call("old");
    await clock.advance(3_000);
    t.equal(guard.breaker?.state, "open");
    remote.state = "well";
    for (let waited = 0; guard.breaker?.state === "open" && waited < 2_000; waited++) await clock.advance(1);
    await clock.advance(999);
    t.strictSame(ended, []);
    await clock.advance(20);
    t.strictSame(ended, ["old DEADLINE_EXCEEDED", "old DEADLINE_EXCEEDED"]);
    t.equal(guard.stats().inUse, 0);
  },
);

t.test("all who ask at once share one question, and the next one is another", async (t) => {
  const clock = new FakeClock();
  let asked = 0;
  const inquiry = new Inquiry(
    clock,
    async () => {
      asked++;
      await clock.sleep(10);
    },
    100,
  );
  const both = Promise.all([inquiry.answer(), inquiry.answer()]);
  t.strictSame(await clock.runUntil(both), [undefined, undefined]);
  t.equal(asked, 1);
  await clock.runUntil(inquiry.answer());
  t.equal(asked, 2);
  t.equal(inquiry.unansweredAt, Number.NEGATIVE_INFINITY);
});

t.test("a question that comes up in a request is none of its work", async (t) => {
  const seen: unknown[] = [];
  const inquiry = new Inquiry(new FakeClock(), () => void seen.push(currentContext()), 100);
  t.equal(await runWithContext({ deadline: 0 }, () => inquiry.answer()), undefined);
  t.same(seen, [undefined]);
});

t.test("a question without an answer in time is aborted, and says so", async (t) => {
  const clock = new FakeClock();
  let signal: AbortSignal | undefined;
  let asked = 0;
  const inquiry = new Inquiry(
    clock,
    (given) => {
      asked++;
      signal = given;
      return new Promise(() => {});
    },
    100,
  );
  t.match(await clock.runUntil(inquiry.answer()), { message: "no answer within 100 ms" });
  t.ok(signal?.aborted);
  t.equal(asked, 1);
  t.equal(inquiry.unansweredAt, 100);
  const refusing = new Inquiry(clock, () => Promise.reject(new Error("refused")), 100);
  t.match(await refusing.answer(), { message: "refused" });
});

t.test("a question is asked once more, and only once, where this process stood still", async (t) => {
  class Stalling extends FakeClock {
    late = 0;
    override now(): number {
      return super.now() + this.late;
    }
  }
  for (const [lateMs, times] of [
    [200, 1],
    [201, 2],
  ] as const) {
    const clock = new Stalling();
    let asked = 0;
    const inquiry = new Inquiry(
      clock,
      () => {
        asked++;
        clock.late += lateMs;
        return new Promise(() => {});
      },
      100,
    );
    t.match(await clock.runUntil(inquiry.answer()), { message: "no answer within 100 ms" });
    t.equal(asked, times, `${lateMs} ms late`);
  }
});

t.test("what waits for a place is refused when it opens, and what comes while all places are taken", async (t) => {
  const clock = new FakeClock();
  const guard = new Guard({ resource: "db", clock, maxConcurrent: 1, maxPending: 5, breaker: {} });
  const running = guard.run(() => clock.sleep(1_000));
  const waiting = guard.run(() => t.fail("it began")).catch((error: unknown) => error);
  t.match(guard.stats(), { inUse: 1, pending: 1 });
  guard.breaker?.trip(clock.now(), "calls hang");
  t.match(await waiting, { code: "CIRCUIT_OPEN" });
  await t.rejects(
    guard.run(() => t.fail("it began")),
    { code: "CIRCUIT_OPEN" },
  );
  t.equal(guard.stats().pending, 0);
  await clock.runUntil(running);
});
