import { appendFile, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { container } from "@steward/container";
import { resource, StewardError } from "@steward/core";
import { FakeClock, failure } from "@steward/testing";
import t from "tap";
import { dataParallelTrainer, runLog, RunLogManager, type RunLog } from "../src/index.ts";
import { Run } from "../src/runs/run.ts";
import { testTrainer } from "../src/testing.ts";
import { line, rowsOf } from "./line.ts";

const folder = await mkdtemp(join(tmpdir(), "steward-runs-"));
const clock = new FakeClock();
const manager = new RunLogManager({ folder }, { clock });
const log: RunLog = manager.client;

t.before(() => manager.start());
t.teardown(() => manager.stop());

t.test("a run is lines of JSON, each there once its step resolves", async (t) => {
  const run = await log.start({ id: "first", model: "scorer", seed: 7, config: { rate: 0.1 } });
  await run.step(1, { loss: 0.5 });
  await run.step(2, { loss: Number.NaN, norm: Number.POSITIVE_INFINITY });
  const text = await readFile(join(folder, "first.jsonl"), "utf8");
  t.equal(text.split("\n").length, 4);
  t.match(await log.read("first"), { status: "running", endedAt: undefined });
  await run.finish({ accuracy: 0.9 });
  const record = await log.read("first");
  t.match(record, { run: "first", status: "finished", model: "scorer", seed: 7, config: { rate: 0.1 }, resumes: 0 });
  t.same(record.result, { accuracy: 0.9 });
  t.same(
    record.steps.map(({ step, metrics }) => [step, metrics]),
    [
      [1, { loss: 0.5 }],
      [2, { loss: Number.NaN, norm: Number.POSITIVE_INFINITY }],
    ],
  );
  t.match(await failure(run.step(3, {})), { code: "RUN_ENDED" });
  t.match(await failure(log.resume("first", 2)), { code: "RUN_ENDED" });
});

t.test("a torn last line is left out, and cut off by a resume; a broken one before it is an error", async (t) => {
  const run = await log.start({ id: "torn" });
  await run.step(1, { loss: 3 });
  await run.step(2, { loss: 2 });
  t.match(await failure(log.resume("torn", 1)), { code: "RUN_ENDED" }, "it is being written");
  await run.leave();
  await appendFile(join(folder, "torn.jsonl"), '{"type":"step","st');
  t.match(await log.read("torn"), { status: "running", steps: [{ step: 1 }, { step: 2 }] });
  const again = await log.resume("torn", 1);
  await again.step(2, { loss: 1.5 });
  await again.fail(new StewardError("TRAINING_STOPPED", "stopped"));
  const record = await log.read("torn");
  t.match(record, { status: "failed", resumes: 1, error: { code: "TRAINING_STOPPED", message: "stopped" } });
  t.same(
    record.steps.map(({ metrics }) => metrics["loss"]),
    [3, 1.5],
    "a step that was done again is there once",
  );
  await (await log.resume("torn", 2)).finish();
  t.match(await log.read("torn"), { status: "finished", error: undefined });

  await writeFile(join(folder, "broken.jsonl"), '{"type":"start"}\n{"type":"st\n{"type":"end"}\n');
  t.match(await failure(log.read("broken")), { code: "RUN_LOG_INVALID", message: /line 2/ });
  await writeFile(join(folder, "no-metrics.jsonl"), '{"type":"start"}\n{"type":"step","step":1,"metrics":null}\n');
  t.match(await failure(log.read("no-metrics")), { code: "RUN_LOG_INVALID", message: /line 2/ });
  const odd = '{"type":"start"}\n{"type":"step","step":1,"metrics":{"loss":{"valueOf":1,"toString":1}}}\n';
  await writeFile(join(folder, "odd.jsonl"), odd);
  t.same((await log.read("odd")).steps[0]?.metrics, { loss: Number.NaN });
  await writeFile(join(folder, "empty.jsonl"), "");
  t.match(await failure(log.read("empty")), { code: "RUN_LOG_INVALID" });
});

t.test("ids are names of files in the folder and nothing else", async (t) => {
  for (const id of ["../x", "a/b", ".hidden", "A", "", "x".repeat(81)])
    t.match(await failure(log.start({ id })), { code: id === "" ? "OPTIONS_INVALID" : "RUN_ID_INVALID" }, id);
  t.match(await failure(log.start({ id: "first" })), { code: "RUN_ID_INVALID", message: /exists/ });
  for (const id of ["../first", "none"]) t.match(await failure(log.read(id)), { code: "RUN_UNKNOWN" });
  const made = await log.start();
  t.match(made.id, /^\d{8}t\d{6}z-[0-9a-f]{8}$/);
  t.ok((await log.list()).includes(made.id));
  await t.rejects(log.remove(made.id), { code: "RUN_ENDED" }, "it is being written");
  await made.finish();
  for (const id of ["../first", "none"]) t.match(await failure(log.remove(id)), { code: "RUN_UNKNOWN" });
  await log.remove(made.id);
  t.notOk((await log.list()).includes(made.id));
  await t.rejects(log.read(made.id), { code: "RUN_UNKNOWN" });
});

t.test("a run that is left without an end has failed; one that is open at a stop can be resumed", async (t) => {
  {
    await using run = await log.start({ id: "left" });
    await run.step(1, {});
  }
  t.match(await log.read("left"), { status: "failed", error: { message: "left without an end" } });
  const other = await new RunLogManager({ folder }).start();
  await other.client.start({ id: "open" });
  t.same(other.client.counts.open, 1);
  const samples = [...other.metrics()].map(({ name, ...rest }) => [name, "value" in rest ? rest.value : undefined]);
  t.same(samples, [
    ["steward.training.runs", 1],
    ["steward.training.lines", 1],
  ]);
  await other.stop();
  t.match(await log.read("open"), { status: "running" });
  t.match(await failure(other.client.start()), { code: "RESOURCE_UNAVAILABLE" });
  await (await log.resume("open", 0)).finish();
});

t.test("a run ends once, and by then its file may be that of another", async (t) => {
  const run = await log.start({ id: "once" });
  await run.fail("it broke");
  const again = await log.resume("once", 0);
  t.match(await failure(run.finish()), { code: "RUN_ENDED", message: /has ended/ });
  t.match(await failure(run.fail("it broke")), { code: "RUN_ENDED", message: /has ended/ });
  t.match(await failure(log.resume("once", 0)), { code: "RUN_ENDED", message: /is being written/ });
  await again.finish();
  t.match(await log.read("once"), { status: "finished" });
});

t.test("what cannot be written down leaves no file and no open run", async (t) => {
  const config: Record<string, unknown> = {};
  config["self"] = config;
  t.match(await failure(log.start({ id: "circle", config })), { name: "TypeError" });
  const run = await log.start({ id: "circle" });
  t.match(await failure(run.step(1, { loss: 1n as never })), { name: "TypeError" });
  await run.leave();
  t.match(await failure(log.resume("circle", 1n as never)), { name: "TypeError" });
  await (await log.resume("circle", 0)).finish();
});

t.test("what a full disk leaves of a line does not spoil those after it", async (t) => {
  await (await log.start({ id: "full" })).leave();
  const file = await open(join(folder, "full.jsonl"), "a");
  const append = file.appendFile.bind(file);
  let room = 20;
  file.appendFile = async (text) => {
    await append(String(text).slice(0, room));
    if (String(text).length > room) throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
  };
  const run = new Run({ resource: "runs", clock, id: "full", file, onLine: () => {}, onEnd: () => {} });
  for (const step of [1, 2]) {
    const error = await failure(run.step(step, { loss: 3 }));
    t.match(error, { code: "RUN_LOG_WRITE_FAILED", message: /no space left/, retryable: true });
  }
  room = 1_000;
  await run.step(3, { loss: 2 });
  await run.finish();
  t.match(await log.read("full"), { status: "finished", steps: { 0: { step: 3 }, length: 1 } });
});

t.test("a file that cannot be written is an error of the call", async (t) => {
  const gone = await mkdtemp(join(tmpdir(), "steward-gone-"));
  await using other = await new RunLogManager({ folder: gone }).start();
  await rm(gone, { recursive: true });
  t.match(await failure(other.client.start()), { code: "RUN_LOG_WRITE_FAILED", retryable: true });
});

t.test("a training as a resource writes its run and is stopped with the container", async (t) => {
  const runs = runLog("runs", { folder });
  const trainer = dataParallelTrainer("trainer", { module: new URL(import.meta.url), workers: 2 });
  const fit = resource("fit", {
    needs: { runs, trainer },
    start:
      ({ runs, trainer }) =>
      async () => {
        await using run = await runs.start({ id: "in-a-container", seed: 7 });
        const { steps } = await trainer.fit(rowsOf(20), { epochs: 2, onStep: run.step });
        await run.finish({ steps });
      },
  });
  const app = container([fit]).override(trainer, testTrainer.definition(trainer, { network: line }));
  await using running = await app.start();
  await running.get(fit)();
  t.match(await log.read("in-a-container"), {
    status: "finished",
    result: { steps: 2 },
    steps: [{ step: 1 }, { step: 2 }],
  });
});
