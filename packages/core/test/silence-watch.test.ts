import { FakeClock } from "../src/testing.ts";
import t from "tap";
import { SilenceWatch, type AnswerProgress } from "../src/driver.ts";

interface Line {
  progress: AnswerProgress | undefined;
  cutAfterMs?: number;
}

/** A watch over connections, whose server says which of them it does not work for. */
function watched(silenceMs = 1_000, clock: FakeClock = new FakeClock(60_000)) {
  const lines: Line[] = [];
  const server = { gone: new Set<Line>(), asked: 0, isAway: false, lost: 0, ticks: 0 };
  const watch = new SilenceWatch<Line>({
    clock,
    silenceMs,
    connections: () => lines,
    progressOf: ({ progress }) => progress,
    ask: async () => {
      server.asked++;
      if (server.isAway) throw new Error("away");
      return server.gone;
    },
    cutOff: (line, silentMs) => {
      line.cutAfterMs = silentMs;
      line.progress = undefined;
    },
    onLost: () => void server.lost++,
    onTick: () => void server.ticks++,
  });
  watch.start();
  const busy = (received = 0): Line => {
    const line: Line = { progress: { begun: 1, received } };
    lines.push(line);
    return line;
  };
  return { clock, watch, server, busy };
}

/** In steps as small as the looks, so that each has its turn. */
async function pass(clock: FakeClock, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 100) await clock.advance(Math.min(100, left));
}

t.test("a silent connection that the server does not work for is cut off; one that it works for is not", async (t) => {
  const { clock, watch, server, busy } = watched();
  const [dead, slow] = [busy(), busy()];
  server.gone.add(dead);
  await pass(clock, 900);
  t.equal(server.asked, 0, "not before its time");
  await pass(clock, 600);
  t.ok(dead.cutAfterMs !== undefined && dead.cutAfterMs >= 1_200 && dead.cutAfterMs <= 1_500, `${dead.cutAfterMs}`);
  t.equal(slow.cutAfterMs, undefined);
  t.equal(server.lost, 1);
  watch.stop();
});

t.test("an answer that was on its way when the server said that it is not at work saves its connection", async (t) => {
  const { clock, watch, server, busy } = watched();
  const line = busy();
  server.gone.add(line);
  while (server.asked === 0) await pass(clock, 100);
  await pass(clock, 100);
  t.equal(line.cutAfterMs, undefined);
  line.progress = { begun: 1, received: 5 };
  await pass(clock, 1_000);
  t.equal(line.cutAfterMs, undefined);
  watch.stop();
});

t.test("a watch that is stopped while last bytes have their time cuts nothing off", async (t) => {
  const { clock, watch, server, busy } = watched();
  const line = busy();
  server.gone.add(line);
  while (server.asked === 0) await pass(clock, 100);
  watch.stop();
  await pass(clock, 1_000);
  t.equal(line.cutAfterMs, undefined);
});

t.test("bytes that come, and other work, begin the silence anew", async (t) => {
  const { clock, watch, server, busy } = watched();
  const line = busy();
  server.gone.add(line);
  for (let i = 1; i <= 10; i++) {
    await pass(clock, 600);
    line.progress = i % 2 === 0 ? { begun: i, received: 0 } : { begun: line.progress?.begun ?? 0, received: i };
  }
  t.equal(server.asked, 0);
  line.progress = undefined;
  await pass(clock, 5_000);
  t.equal(server.asked, 0, "who owes nothing may be silent");
  watch.stop();
});

t.test(
  "one that the server works for is asked about again after as long as it has been silent, not at every look",
  async (t) => {
    const { clock, watch, server, busy } = watched();
    busy();
    await pass(clock, 60_000);
    t.ok(server.asked >= 4 && server.asked <= 7, `${server.asked}`);
    watch.stop();
  },
);

t.test("what has been silent for less than 200 ms is not asked about with the rest", async (t) => {
  const { clock, watch, server, busy } = watched();
  const old = busy();
  await pass(clock, 1_100);
  const young = busy();
  server.gone.add(old).add(young);
  await pass(clock, 500);
  t.not(old.cutAfterMs, undefined);
  t.equal(young.cutAfterMs, undefined);
  watch.serverAnswers();
  await pass(clock, 300);
  t.not(young.cutAfterMs, undefined, "it has been silent for long enough by now");
  t.equal(server.lost, 2, "each time that some were lost");
  watch.stop();
});

t.test(
  "a short silence is looked for more often, none never; what else is to be done is done all the same",
  async (t) => {
    const short = watched(250);
    short.busy();
    await pass(short.clock, 400);
    t.equal(short.server.asked, 1);
    short.watch.stop();
    const none = watched(0);
    none.busy();
    await pass(none.clock, 10_000);
    none.watch.serverAnswers();
    await pass(none.clock, 500);
    t.match(none.server, { asked: 0, ticks: 52 }, "five times a second");
    none.watch.stop();
  },
);

t.test("silence begins anew with a watch that is started again, and where this process stood still", async (t) => {
  class Stalling extends FakeClock {
    late = 0;
    override now(): number {
      return super.now() + this.late;
    }
  }
  const clock = new Stalling();
  const { watch, server, busy } = watched(1_000, clock);
  busy();
  await pass(clock, 1_100);
  watch.stop();
  await pass(clock, 1_000);
  watch.start();
  await pass(clock, 1_100);
  t.equal(server.asked, 0);
  clock.late = 5_000;
  await pass(clock, 1_000);
  t.equal(server.asked, 0, "nothing could have come meanwhile");
  await pass(clock, 500);
  t.equal(server.asked, 1);
  watch.stop();
});

t.test("no answer proves nothing, and is asked for again", async (t) => {
  const { clock, watch, server, busy } = watched();
  const line = busy();
  server.gone.add(line);
  server.isAway = true;
  await pass(clock, 5_000);
  t.equal(line.cutAfterMs, undefined);
  t.ok(server.asked >= 3, `${server.asked}`);
  server.isAway = false;
  await pass(clock, 1_500);
  t.not(line.cutAfterMs, undefined);
  watch.stop();
});

t.test(
  "when the server answers elsewhere, what is silent is asked about at once, and after a stop never",
  async (t) => {
    const { clock, watch, server, busy } = watched(10_000);
    const line = busy();
    server.gone.add(line);
    await pass(clock, 3_000);
    t.equal(server.asked, 0);
    watch.serverAnswers();
    await pass(clock, 100);
    t.equal(server.asked, 1);
    await pass(clock, 200);
    t.not(line.cutAfterMs, undefined);
    busy();
    await pass(clock, 3_000);
    watch.stop();
    watch.serverAnswers();
    await pass(clock, 30_000);
    t.equal(server.asked, 1);
  },
);
