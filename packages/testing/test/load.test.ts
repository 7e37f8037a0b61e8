import { spawn } from "node:child_process";
import { once } from "node:events";
import t from "tap";
import { Load, sleep, Watch } from "../src/index.ts";

/** Stops this process for a while, as a machine that is busy with others does. */
async function stopped(ms: number): Promise<void> {
  const script = `kill -STOP ${process.pid}; sleep ${ms / 1_000}; kill -CONT ${process.pid}`;
  await once(spawn("sh", ["-c", script], { stdio: "ignore" }), "exit");
}

t.test("a watch takes from a span what the machine took of it", async (t) => {
  using watch = new Watch();
  const from = performance.now();
  await sleep(20);
  await stopped(400);
  await sleep(20);
  const to = performance.now();
  t.ok(watch.stolen(from, to) >= 300, `${watch.stolen(from, to)} of ${to - from} ms were stolen`);
  t.ok(watch.stolen(from, to) <= to - from);
  t.equal(watch.elapsed(from, to), to - from - watch.stolen(from, to));
  t.ok(watch.stolen(from, from + 1) <= 1, "before it nothing was");
});

t.test("a watch leaves in a span what this process computed itself", async (t) => {
  using watch = new Watch();
  const from = performance.now();
  const began = process.cpuUsage();
  const usedMs = (): number => {
    const { user, system } = process.cpuUsage(began);
    return (user + system) / 1_000;
  };
  while (usedMs() < 200);
  t.ok(watch.elapsed(from) >= 150, `${watch.elapsed(from)} ms`);
  await sleep(1);
});

t.test("a load begins calls at its rate, whatever becomes of the earlier ones", async (t) => {
  let open = 0;
  const answers: (() => void)[] = [];
  let isHanging = false;
  const load = await Load.begin(100, () => {
    if (!isHanging) return Promise.resolve();
    open++;
    return new Promise<void>((resolve) => answers.push(resolve));
  });
  t.ok(load.rate <= 100);
  isHanging = true;
  await load.run(300);
  t.ok(open > 1, `${open} are under way together`);
  t.equal(await load.end(20), open, "those that never end are counted");
  for (const answer of answers) answer();
});

t.test("a load notes how each call ended, and excuses those that the machine kept waiting", async (t) => {
  let error: Error | undefined;
  const load = await Load.begin(100, async () => {
    if (error !== undefined) throw error;
  });
  await load.run(100);
  error = Object.assign(new Error("gone"), { code: "ECONNRESET" });
  await load.run(100);
  error = undefined;
  const healedAt = await load.run(50);
  await load.run(100);
  t.equal(await load.end(), 0);
  t.ok(load.failures.length > 0);
  t.equal(load.outcomes["ECONNRESET"], load.failures.length);
  t.equal((load.outcomes["ok"] ?? 0) + load.failures.length, load.samples.length);
  t.same(load.failed(healedAt), [], "none after it healed");
});

t.test("a load goes on until its calls succeed again", async (t) => {
  let failing = 30;
  const load = await Load.begin(100, async () => {
    if (failing-- > 0) throw new Error("not yet");
  });
  const since = performance.now();
  failing = 10;
  t.equal(await load.runUntilWell(since), true);
  await load.end();
  t.ok(failing <= -load.rate / 2, "half a second of calls went well");
});

t.test(
  "a call that takes longer than an alarm set with it is late, and one that the machine kept waiting is not",
  async (t) => {
    let take = (): Promise<void> => Promise.resolve();
    const load = await Load.begin(100, () => take(), 30);
    take = () => sleep(20);
    await load.run(30);
    await stopped(400);
    take = () => Promise.resolve();
    await load.run(100);
    t.strictSame(load.late, [], "the alarms were as late as the answers");
    take = () => sleep(200);
    await load.run(100);
    await load.end();
    t.ok(load.late.length > 0);
  },
);

t.test("a call that failed while the machine stood still counts as failed, and as excused", async (t) => {
  let isSlow = false;
  const load = await Load.begin(100, async () => {
    if (!isSlow) return;
    await sleep(200); // longer than what comes before the stop, so that some are under way
    throw new Error("timed out");
  });
  isSlow = true;
  await load.run(30);
  await stopped(500);
  isSlow = false;
  await load.end();
  t.ok(
    load.failures.length > load.failed().length,
    `${load.failures.length} failed, ${load.failed().length} unexcused`,
  );
});
