import { spawn } from "node:child_process";
import { mkdtemp, readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { failure } from "@steward/testing";
import t from "tap";
import { RunLogManager, TrainerManager, type FitOptions, type FitResult } from "../../src/index.ts";
import { testTrainer } from "../../src/testing.ts";
import { apart, line, rowsOf } from "../line.ts";

const data = rowsOf(64);
const options = { epochs: 4, batchRows: 16, seed: 7, optimizer: { type: "adam", learningRate: 0.05 } } as const;

function net(name: string): URL {
  return new URL(`./programs/${name}-net.js`, import.meta.url);
}

async function fit(name: string, workers: number, given: FitOptions = options): Promise<FitResult> {
  await using manager = await new TrainerManager({ module: net(name), workers }, { name: "fit" }).start();
  return await manager.client.fit(data, given);
}

t.test("threads give the same bits in every run, and the numbers of one thread", async (t) => {
  const [first, second] = [await fit("line", 2), await fit("line", 2)];
  t.equal(first.steps, 16);
  t.same(second, first);
  await using local = await testTrainer({ network: line }).start();
  const alone = await local.client.fit(data, options);
  t.ok(apart(first.parameters["w"], alone.parameters["w"]) <= 1e-6);
});

t.test("a network on tfjs learns in threads", async (t) => {
  const losses: number[] = [];
  const onStep = (_step: number, { loss = Number.NaN }: Readonly<Record<string, number>>): void =>
    void losses.push(loss);
  await fit("scorer", 2, { ...options, epochs: 12, accumulate: { steps: 2, clipNorm: 5 }, onStep });
  t.equal(losses.length, 24);
  t.ok((losses.at(-1) ?? 1) < (losses[0] ?? 0) / 4, `${losses[0]} to ${losses.at(-1)}`);
});

t.test("what goes wrong in a worker is an error with a code, and the trainer works on", async (t) => {
  await using manager = await new TrainerManager({ module: net("ending"), workers: 2 }, { name: "fit" }).start();
  const folder = await mkdtemp(join(tmpdir(), "steward-lost-"));
  const given = { ...options, checkpoint: { folder, everySteps: 1 } };
  t.match(await failure(manager.client.fit(data, given)), { code: "TRAINING_WORKER_LOST", retryable: true });
  const { length } = await readdir(folder);
  t.ok(length >= 1, "there is a checkpoint");
  t.match(
    await failure(manager.client.fit(data, given)),
    { code: "TRAINING_WORKER_LOST" },
    "it resumed, and ends again",
  );
  const names = (await readdir(folder)).sort();
  t.equal(names.at(-1), "step-000000000004.safetensors");
  t.equal((await fit("line", 1, given)).resumedAt, 4, "another number of workers may go on");
  t.match(await failure(fit("throwing", 1)), { code: "TRAINING_STEP_FAILED", message: /vocabulary/ });
  t.match(await failure(fit("engine", 1)), { code: "TRAINING_ENGINE_MISSING", message: /npm install @tensorflow/ });
  t.match(await failure(fit("none", 1)), { code: "TRAINING_NETWORK_INVALID", message: /exports no `network`/ });
});

t.test("an abort and a stop give up workers that are still starting", async (t) => {
  const trainer = { module: net("slow"), workers: 2, workerStartTimeoutMs: 600_000 };
  const manager = await new TrainerManager(trainer, { name: "fit" }).start();
  const abort = new AbortController();
  const given = failure(manager.client.fit(data, { signal: abort.signal }));
  abort.abort(new Error("enough"));
  t.match(await given, { code: "CALL_ABORTED", message: /before it began/, cause: { message: "enough" } });
  const stopped = failure(manager.client.fit(data));
  await manager.stop();
  t.match(await stopped, { code: "TRAINING_STOPPED" });
});

/** Runs the program until it has printed a step, kills it there, or lets it end. */
async function train(folder: string, killAt: number): Promise<string | null> {
  const program = fileURLToPath(new URL("./programs/train.js", import.meta.url));
  const child = spawn(process.execPath, [program, folder], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise<string | null>((resolve) => child.on("exit", (_code, signal) => resolve(signal)));
  for await (const step of createInterface(child.stdout)) if (Number(step) >= killAt) child.kill("SIGKILL");
  return ended;
}

t.test("after a SIGKILL the log reads, and the training goes on with the same losses", async (t) => {
  const [killed, whole] = await Promise.all([1, 2].map(() => mkdtemp(join(tmpdir(), "steward-kill-"))));
  t.equal(await train(killed ?? "", 23), "SIGKILL");
  await using log = await new RunLogManager({ folder: killed ?? "" }).start();
  const broken = await log.client.read("killed");
  t.equal(broken.status, "running");
  t.ok(broken.steps.length >= 23, `${broken.steps.length} steps`);
  t.equal(await train(killed ?? "", Number.POSITIVE_INFINITY), null);
  t.equal(await train(whole ?? "", Number.POSITIVE_INFINITY), null);
  await using other = await new RunLogManager({ folder: whole ?? "" }).start();
  const curve = async ({ client }: RunLogManager): Promise<unknown> =>
    (await client.read("killed")).steps.map(({ step, metrics: { loss, norm } }) => [step, loss, norm]);
  t.same(await curve(log), await curve(other));
  t.match(await log.client.read("killed"), { status: "finished", resumes: 1, steps: { length: 120 } });
});
