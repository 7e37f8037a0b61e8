import t from "tap";
import { ConnectionWatch, Lookout } from "../src/driver.ts";
import type { Clock, Timer } from "../src/index.ts";
import { FakeClock } from "../src/testing.ts";

/** A clock that can be told that this process stood still: its timers come late then. */
class StallingClock extends FakeClock {
  stalledMs = 0;
  /** What comes to pass in the turn of a timer, behind it. */
  meanwhile = (): void => {};

  override setTimeout(callback: () => void, delayMs: number, options?: Parameters<Clock["setTimeout"]>[2]): Timer {
    const both = (): void => {
      callback();
      this.meanwhile();
    };
    return super.setTimeout(both, delayMs, options);
  }

  override now(): number {
    return super.now() + this.stalledMs;
  }
}

interface Scene {
  readonly clock: StallingClock;
  readonly watch: ConnectionWatch;
  readonly connection: { owed: unknown; received: number };
  /** What was said of it, since this was asked last. */
  said(): { readonly silentMs: number; readonly owes: boolean }[];
}

function watched(heartbeatMs?: number): Scene {
  const clock = new StallingClock();
  const connection: Scene["connection"] = { owed: undefined, received: 0 };
  const said: { silentMs: number; owes: boolean }[] = [];
  const watch = new ConnectionWatch({
    clock,
    silenceMs: 1_000,
    heartbeatMs,
    owed: () => connection.owed,
    received: () => connection.received,
    onSilence: (silentMs, owes) => said.push({ silentMs, owes }),
  }).start();
  return { clock, watch, connection, said: () => said.splice(0) };
}

t.test("silence is reported at every look while an answer is owed, and never where none is", async (t) => {
  const { clock, watch, connection, said } = watched();
  await clock.advance(600_000);
  t.strictSame(said(), []);
  connection.owed = "a reply";
  t.equal(watch.silentMs, 0, "it counts from when it was first owed, however quiet it was before");
  await clock.advance(999);
  t.strictSame([said(), watch.isSilent], [[], false]);
  await clock.advance(601);
  t.strictSame(
    said().map(({ silentMs, owes }) => `${silentMs} ${owes}`),
    ["1000 true", "1200 true", "1400 true", "1600 true"],
  );
  t.equal(watch.isSilent, true);
  connection.owed = undefined;
  await clock.advance(5_000);
  t.strictSame([said(), watch.silentMs], [[], 0]);
  watch.stop();
});

t.test("what comes, and another answer than before, begin the silence anew", async (t) => {
  const { clock, watch, connection, said } = watched();
  connection.owed = 0;
  for (let i = 1; i <= 10; i++) {
    await clock.advance(900);
    if (i % 2 === 0) connection.owed = i;
    else connection.received++;
  }
  await clock.advance(900);
  t.strictSame(said(), []);
  const { heardAt } = watch;
  t.ok(heardAt >= 9 * 900 && heardAt <= 9 * 900 + 200, `${heardAt}: another answer is no sign of life`);
  await clock.advance(400);
  t.not(said().length, 0);
  watch.stop();
});

t.test(
  "one that owes nothing is to be asked after heartbeatMs, and the answer to that may take silenceMs",
  async (t) => {
    const { clock, watch, connection, said } = watched(5_000);
    await clock.advance(4_900);
    connection.received++; // a message that nobody had asked for
    await clock.advance(4_900);
    t.strictSame(said(), []);
    await clock.advance(200);
    t.strictSame(
      said().map(({ owes }) => owes),
      [false],
    );
    connection.owed = "a pong";
    await clock.advance(1_000);
    t.strictSame(said(), []);
    await clock.advance(200);
    t.strictSame(
      said().map(({ owes }) => owes),
      [true],
    );
    watch.stop();
  },
);

t.test("a time in which this process stood still is not silence of the other side", async (t) => {
  const { clock, watch, connection, said } = watched();
  connection.owed = "a reply";
  await clock.advance(300);
  clock.stalledMs = 60_000;
  await clock.advance(800);
  t.strictSame(said(), []);
  await clock.advance(600);
  t.ok(said().every(({ silentMs }) => silentMs < 2_000));
  watch.stop();
});

t.test("what lies in the socket is read before a look judges", async (t) => {
  const { clock, watch, connection, said } = watched();
  connection.owed = "a reply";
  await clock.advance(1_100);
  // As what came during a short stall.
  clock.meanwhile = () => void connection.received++;
  await clock.advance(100);
  t.strictSame(said(), []);
  watch.stop();
});

t.test("nothing is left of a watch that has stopped, even within a look", async (t) => {
  const { clock, watch, connection, said } = watched();
  connection.owed = "a reply";
  await clock.advance(1_200); // the first look sees what is owed
  t.equal(said().length, 1);
  clock.meanwhile = () => watch.stop();
  await clock.advance(1_000);
  t.strictSame([said(), clock.pending], [[], 0]);
  let looks = 0;
  const lookout: Lookout = new Lookout(clock, 10, () => {
    looks++;
    lookout.stop();
  });
  lookout.start();
  await clock.advance(100);
  t.strictSame([looks, clock.pending, lookout.isLooking], [1, 0, false]);
});
