import { execFileSync } from "node:child_process";
import { appendFile, mkdtemp, open, readdir, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { RunLogManager, type RunLog, type RunSketch } from "../src/index.ts";
import { testTrainer } from "../src/testing.ts";
import { line, rowsOf } from "./line.ts";

async function made(t: Test): Promise<{ readonly folder: string; readonly log: RunLog }> {
  const folder = await mkdtemp(join(tmpdir(), "steward-follow-"));
  const manager = await new RunLogManager({ folder }).start();
  t.teardown(() => manager.stop());
  return { folder, log: manager.client };
}

function pointsOf(run: RunSketch | undefined, name: string): unknown {
  return run?.metrics.find((metric) => metric.name === name)?.points();
}

t.test("each look says how runs are now, what other processes write included", async (t) => {
  const { folder, log } = await made(t);
  const follower = log.follow();
  t.same(await follower.look(), { runs: [], unreadable: [], total: 0, isBehind: false });
  const run = await log.start({ id: "one", model: "scorer", seed: 7, config: { rate: 0.1 } });
  await run.resumed(0);
  await run.step(1, { loss: 3 });
  t.same((await follower.look()).runs[0]?.resumes, [], "it has only begun");
  t.match((await follower.look()).runs, [
    { run: "one", status: "running", isOpen: true, model: "scorer", seed: 7, config: '{"rate":0.1}', step: 1 },
  ]);
  await run.checkpoint(1);
  await run.step(2, { loss: Number.NaN, norm: 2 });
  await run.step(3, { loss: 1 });
  await run.checkpoint(3);
  const [three] = (await follower.look()).runs;
  t.match(three, { step: 3, checkpoints: [1, 3], resumes: [] });
  const first = [1, 3] as const;
  t.same(pointsOf(three, "loss"), [first, [2, Number.NaN], [3, 1]]);
  await run.leave();

  await appendFile(join(folder, "one.jsonl"), '{"type":"step","at":"","st');
  t.match((await follower.look()).runs, [{ status: "running", isOpen: false, step: 3 }], "a torn line waits");
  const again = await log.resume("one", 1);
  t.match((await follower.look()).runs, [{ step: 1, checkpoints: [1], resumes: [1] }]);
  await again.step(2, { loss: 2 });
  const [two] = (await follower.look()).runs;
  t.match(two, { step: 2, checkpoints: [1], resumes: [1] }, "what is done again counts once");
  t.same(pointsOf(two, "loss"), [first, [2, 2]]);
  t.equal(two?.metrics[0]?.last, 2);
  t.same(pointsOf(two, "norm"), []);
  await again.fail(new Error("no power"));
  t.match((await follower.look()).runs, [{ status: "failed", error: { message: "no power" } }]);
  await (await log.resume("one", 2)).finish({ accuracy: 0.9 });
  t.match((await follower.look()).runs, [{ status: "finished", result: '{"accuracy":0.9}', error: undefined }]);
  t.same((await log.read("one")).checkpoints, [1]);
  await log.remove("one");
  t.match(await follower.look(), { runs: [], total: 0 });
});

t.test(
  "a run of any length is some hundred points, none of its peaks and nothing that is not finite lost",
  async (t) => {
    const { log } = await made(t);
    const run = await log.start({ id: "long" });
    const steps = 6_000;
    const follower = log.follow();
    for (let step = 1; step <= steps; step++) {
      const loss = step === 777 ? 1_000 : step === 4_501 ? Number.POSITIVE_INFINITY : 1 / step;
      void run.step(step, { loss });
      if (step % 1_000 === 0) await follower.look();
    }
    await run.finish();
    let seen = await follower.look();
    while (seen.isBehind) seen = await follower.look();
    const points = seen.runs[0]?.metrics[0]?.points() ?? [];
    t.ok(points.length > 200 && points.length <= 501, `${points.length} points`);
    t.same(points[0], [1, 1]);
    t.same(points.at(-1), [steps, 1 / steps]);
    for (const step of [777, 4_501])
      t.ok(
        points.some(([at]) => at === step),
        `step ${step} is seen`,
      );
    const order = points.map(([at]) => at);
    t.same(
      order,
      [...order].sort((a, b) => a - b),
    );
  },
);

t.test("one look reads no more than 4 MiB, and what was read is not read again", async (t) => {
  const { folder, log } = await made(t);
  const config = { text: "x".repeat(1_000_000) };
  for (let i = 0; i < 6; i++) await (await log.start({ id: `run-${i}`, config })).finish();
  const follower = log.follow();
  const first = await follower.look();
  t.match(first, { isBehind: true, total: 6 });
  t.ok(first.runs.length < 6);
  t.match(await follower.look(), { isBehind: false, runs: { length: 6 } });
  t.ok(
    first.runs.every((run) => run.config === undefined),
    "what is long is left out",
  );
  const one = join(folder, "run-0.jsonl");
  await appendFile(one, `${JSON.stringify({ type: "resume", at: "", step: 0 })}\n`);
  t.match((await follower.look()).isBehind, false);
  const other = join(folder, "other.jsonl");
  await writeFile(other, `${JSON.stringify({ type: "start", run: "run-0", at: "2026", model: "other" })}\n`);
  await rename(other, one);
  t.match(
    (await follower.look()).runs.find(({ run }) => run === "run-0"),
    { model: "other", resumes: [] },
    "a file that was replaced is read as a whole",
  );
});

t.test("of what is in a file nothing but that run suffers", async (t) => {
  const { folder, log } = await made(t);
  const start = '{"type":"start","at":"2026"}\n';
  const metrics = '{"__proto__":1,"constructor":"toString","loss":"NaN"}';
  await writeFile(join(folder, "odd.jsonl"), `${start}{"type":"step","at":"","step":1,"metrics":${metrics}}\n`);
  await writeFile(join(folder, "broken.jsonl"), `${start}{"type":"st\n`);
  await writeFile(join(folder, "twice.jsonl"), start + start);
  await writeFile(join(folder, "no-start.jsonl"), '{"type":"end","at":""}\n');
  await writeFile(join(folder, "no-step.jsonl"), `${start}{"type":"checkpoint","at":"","step":"<img>"}\n`);
  await writeFile(join(folder, "endless.jsonl"), "x".repeat(1_100_000));
  await writeFile(join(folder, "many.jsonl"), start);
  const all = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`m${i}`, i]));
  const many = JSON.stringify({ type: "step", at: "", step: 1, metrics: all });
  await appendFile(join(folder, "many.jsonl"), `${many}\n`);
  const follower = log.follow();
  const { runs, unreadable } = await follower.look();
  t.same(runs.map(({ run }) => run).sort(), ["many", "odd"]);
  t.same(
    runs.map(({ metrics }) => metrics.length).sort((a, b) => a - b),
    [3, 24],
  );
  t.same(
    runs.find(({ run }) => run === "odd")?.metrics.map(({ name, last }) => [name, last]),
    [
      ["__proto__", 1],
      ["constructor", Number.NaN],
      ["loss", Number.NaN],
    ],
  );
  t.match(
    [...unreadable].sort((a, b) => (a.run < b.run ? -1 : 1)),
    [
      { run: "broken", reason: /line 2 cannot be read/ },
      { run: "endless", reason: /line 1 is longer than 1 MiB/ },
      { run: "no-start", reason: /line 1 is out of place/ },
      { run: "no-step", reason: /line 2 is out of place/ },
      { run: "twice", reason: /line 2 is out of place/ },
    ],
  );
  await writeFile(join(folder, "broken.jsonl"), start);
  t.match(
    (await follower.look()).runs.find(({ run }) => run === "broken"),
    { status: "running" },
    "it was mended",
  );
  await rm(folder, { recursive: true });
  await t.rejects(follower.look(), { code: "ENOENT" });
});

t.test("a pipe is not waited for, and what is too deep to write down again hides no other run", async (t) => {
  const { folder, log } = await made(t);
  await log.start({ id: "good" });
  const pipe = join(folder, "pipe.jsonl");
  execFileSync("mkfifo", [pipe]);
  const writer = await open(pipe, "r+"); // so that opening it to read waits for no one where it is done after all
  t.teardown(() => writer.close());
  await writer.write('{"type":"start","at":"2026"}\n');
  const deep = "[".repeat(100_000) + "]".repeat(100_000);
  await writeFile(join(folder, "deep.jsonl"), `{"type":"start","at":"2026","config":${deep}}\n`);
  const { runs, unreadable } = await log.follow().look();
  const seen = [...runs, ...unreadable].map(({ run }) => run); // some versions of Node can write it down
  t.same(seen.sort(), ["deep", "good"]);
});

t.test("a file that another was written over, in its place or under its number, is read as a whole", async (t) => {
  const { folder, log } = await made(t);
  const path = join(folder, "one.jsonl");
  const written = (at: string, steps: number): string =>
    [
      `{"type":"start","at":"${at}"}`,
      ...Array.from({ length: steps }, (_, i) => `{"type":"step","at":"","step":${i + 1},"metrics":{"loss":${i + 1}}}`),
      "",
    ].join("\n");
  await writeFile(path, `${written("2026-01-01", 1)}{"type":"st`);
  const follower = log.follow();
  t.match((await follower.look()).runs, [{ step: 1 }]);
  await writeFile(path, written("2026-01-01", 2));
  t.same(
    pointsOf((await follower.look()).runs[0], "loss"),
    [
      [1, 1],
      [2, 2],
    ],
    "the torn line was written anew",
  );
  await writeFile(path, written("2026-01-02", 3));
  const [seen] = (await follower.look()).runs;
  t.match(seen, { startedAt: "2026-01-02", step: 3 });
});

t.test("a fit notes its checkpoints in its run", async (t) => {
  const { folder, log } = await made(t);
  await using manager = await testTrainer({ network: line }).start();
  const run = await log.start({ id: "fit" });
  const checkpoint = { folder: join(folder, "checkpoints"), everySteps: 2 };
  await manager.client.fit(rowsOf(40), { batchRows: 8, checkpoint, onStep: run.step, onCheckpoint: run.checkpoint });
  t.match((await log.follow().look()).runs, [{ step: 5, checkpoints: [2, 4, 5] }]);
  t.equal((await readdir(checkpoint.folder)).length, 3);
});
