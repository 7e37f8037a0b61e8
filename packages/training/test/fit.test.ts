import { mkdtemp, readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeClock, failure, until } from "@steward/testing";
import t from "tap";
import { GradientAccumulator, autocast, multiGpuTrainer, TrainerManager } from "../src/index.ts";
import type { FitOptions, FitResult, Network } from "../src/index.ts";
import { testTrainer } from "../src/testing.ts";
import { apart, line, rowsOf } from "./line.ts";

const data = rowsOf(50);
const zero = { w: new Float32Array(3), b: new Float32Array(1) };

function part(from: number, to: number): { rows: number; inputs: Float32Array; targets: Float32Array; seed: number } {
  const inputs = data.inputs.slice(from * 3, to * 3);
  return { rows: to - from, inputs, targets: data.targets.slice(from, to), seed: 0 };
}

async function folder(): Promise<string> {
  return mkdtemp(join(tmpdir(), "steward-fit-"));
}

/** A fit, and the losses that it went through, by step. */
async function fit(
  options: FitOptions,
  { workers = 1, network = line }: { workers?: number; network?: Network } = {},
): Promise<{ result: FitResult | undefined; losses: ReadonlyMap<number, number>; error: unknown }> {
  await using manager = await testTrainer({ network, workers }).start();
  const losses = new Map<number, number>();
  const onStep = async (step: number, metrics: Readonly<Record<string, number>>): Promise<void> => {
    losses.set(step, metrics["loss"] ?? Number.NaN);
    await options.onStep?.(step, metrics);
  };
  const done = manager.client.fit(data, { batchRows: 8, seed: 7, ...options, onStep });
  const [settled] = await Promise.allSettled([done]);
  const error: unknown = settled.status === "rejected" ? settled.reason : undefined;
  return { result: settled.status === "fulfilled" ? settled.value : undefined, losses, error };
}

t.test("accumulated gradients are those of the whole batch, also where the last part is short", (t) => {
  const whole = line.gradients(zero, part(0, 50)).gradients;
  const accumulator = new GradientAccumulator({ steps: 4 });
  const cuts = [0, 16, 32, 48, 50];
  const full = cuts.slice(1).map((to, i) => {
    const batch = part(cuts[i] ?? 0, to);
    return accumulator.add(line.gradients(zero, batch).gradients, batch.rows);
  });
  t.same(full, [false, false, false, true]);
  const { gradients, rows } = accumulator.take();
  t.equal(rows, 50);
  t.ok(apart(gradients["w"], whole["w"]) <= 1e-6, `${apart(gradients["w"], whole["w"])}`);
  t.ok(apart(gradients["b"], whole["b"]) <= 1e-6);
  t.equal(accumulator.pending, 0);
  t.end();
});

t.test("a gradient that is too long is scaled over all parameters together, a short one stays", (t) => {
  const accumulator = new GradientAccumulator({ clipNorm: 1 });
  accumulator.add({ a: Float32Array.of(3), b: Float32Array.of(4) }, 1);
  const { gradients, norm } = accumulator.take();
  t.equal(norm, 5);
  t.ok(apart([...(gradients["a"] ?? []), ...(gradients["b"] ?? [])], [0.6, 0.8]) < 1e-6);
  accumulator.add({ a: Float32Array.of(0.5) }, 1);
  t.same([...(accumulator.take().gradients["a"] ?? [])], [0.5]);
  t.end();
});

t.test("a batch that is not finite is refused before it counts, or left out and counted", (t) => {
  const bad = { a: Float32Array.of(1, Number.NaN) };
  const strict = new GradientAccumulator();
  t.throws(() => strict.add(bad, 1), { code: "TRAINING_NOT_FINITE" });
  t.equal(strict.pending, 0);
  const lenient = new GradientAccumulator({ steps: 2, skipNonFinite: true });
  lenient.add(bad, 5);
  t.ok(lenient.add({ a: Float32Array.of(2, 4) }, 3));
  const { gradients, rows, skipped } = lenient.take();
  t.same([[...(gradients["a"] ?? [])], rows, skipped], [[2, 4], 3, 1]);
  lenient.add(bad, 5);
  t.throws(() => lenient.take(), { code: "TRAINING_GRADIENTS_INVALID" }, "there is nothing to learn from");
  t.end();
});

t.test("gradients that do not fit are refused", (t) => {
  const accumulator = new GradientAccumulator({ steps: 3 });
  accumulator.add({ a: { dataSync: () => Float32Array.of(1) } }, 1);
  const wrong = [{ a: Float32Array.of(1, 2) }, { b: Float32Array.of(1) }, {}, { a: { dataSync: () => [1] } }];
  for (const each of wrong)
    t.throws(() => accumulator.add(each, 1), { code: "TRAINING_GRADIENTS_INVALID" }, JSON.stringify(each));
  t.throws(() => accumulator.add({ a: Float32Array.of(1) }, 0), { code: "TRAINING_GRADIENTS_INVALID" });
  t.throws(() => new GradientAccumulator({ step: 1 } as object), { code: "OPTIONS_INVALID" });
  t.end();
});

t.test("what Node cannot do is refused by name, with where to do it", (t) => {
  t.throws(() => autocast(), { code: "TRAINING_UNSUPPORTED", message: /torch\.autocast/ });
  t.throws(() => multiGpuTrainer(), { code: "TRAINING_UNSUPPORTED", message: /DistributedDataParallel/ });
  t.end();
});

t.test("a step is the same however many workers share it, and however many batches make it up", async (t) => {
  for (const optimizer of [
    { type: "sgd", momentum: 0.9 },
    { type: "adam", learningRate: 0.1 },
  ] as const) {
    const options = { epochs: 6, optimizer };
    const { result: alone } = await fit({ ...options, batchRows: 16 });
    const { result: split } = await fit({ ...options, batchRows: 4, accumulate: { steps: 4 } }, { workers: 3 });
    t.equal(alone?.steps, 24);
    t.equal(split?.steps, 24);
    const difference = apart(split?.parameters["w"], alone?.parameters["w"]);
    t.ok(difference <= 1e-6, `${optimizer.type}: ${difference}`);
  }
});

t.test("a fit finds the line, and the same seed gives the same bits", async (t) => {
  const options = { epochs: 60, optimizer: { type: "sgd", learningRate: 0.05 } } as const;
  const { result, losses } = await fit(options, { workers: 2 });
  t.ok(apart(result?.parameters["w"], [2, -1, 0.5]) < 1e-3);
  t.ok(apart(result?.parameters["b"], [1]) < 1e-3);
  const again = await fit(options, { workers: 2 });
  t.same(again.losses, losses);
  t.same(again.result?.parameters, result?.parameters);
  t.not((await fit({ ...options, seed: 8 })).losses.get(1), losses.get(1), "another seed begins elsewhere");
});

t.test("a long gradient is clipped in a fit as in an accumulator", async (t) => {
  const clipped = {
    epochs: 1,
    batchRows: 50,
    optimizer: { type: "sgd", learningRate: 1 },
    accumulate: { clipNorm: 0.5 },
  } as const;
  const from = await fit({ ...clipped, optimizer: { type: "sgd", learningRate: 1e-30 } });
  const to = await fit(clipped, { workers: 2 });
  const moved = ["w", "b"].flatMap((name) =>
    Array.from(to.result?.parameters[name] ?? [], (value, i) => value - (from.result?.parameters[name]?.[i] ?? 0)),
  );
  t.ok(Math.abs(Math.hypot(...moved) - 0.5) < 1e-5, `${Math.hypot(...moved)}`);
});

t.test("a fit that was given up goes on at its checkpoint, with the losses of one that was not", async (t) => {
  const options = { epochs: 5, optimizer: { type: "adam", learningRate: 0.05 } } as const;
  const whole = await fit(options, { workers: 2 });
  const checkpoint = { folder: await folder(), everySteps: 2, keep: 3 };
  const abort = new AbortController();
  const onStep = (step: number): void => {
    if (step === 11) abort.abort(new Error("enough"));
  };
  const saved: number[] = [];
  const onCheckpoint = (step: number): void => void saved.push(step);
  const first = await fit({ ...options, checkpoint, signal: abort.signal, onStep, onCheckpoint }, { workers: 2 });
  t.same(saved, [2, 4, 6, 8, 10, 11]);
  t.match(first.error, { code: "CALL_ABORTED", message: /after step 11 of 35/ });
  t.same(
    (await readdir(checkpoint.folder)).sort(),
    [8, 10, 11].map((n) => `step-${String(n).padStart(12, "0")}.safetensors`),
  );
  const begun: unknown[] = [];
  const second = await fit({ ...options, checkpoint, onBegin: (begin) => void begun.push(begin) }, { workers: 2 });
  t.same(begun, [{ step: 11, steps: 35 }]);
  t.equal(second.result?.resumedAt, 11);
  t.same(new Map([...first.losses, ...second.losses]), whole.losses);
  t.same(second.result?.parameters, whole.result?.parameters, "bit by bit");
  const third = await fit({ ...options, checkpoint });
  t.equal(third.losses.size, 0, "what is done is not done again");
  t.same(third.result?.parameters, whole.result?.parameters);
});

t.test("a checkpoint that is spoilt is passed over, one of another fit is refused", async (t) => {
  const checkpoint = { folder: await folder(), everySteps: 7, keep: 2 };
  const options = { epochs: 2, checkpoint };
  await fit(options);
  const names = (await readdir(checkpoint.folder)).sort();
  t.equal(names.length, 2);
  const [older = "", newest = ""] = names.map((name) => join(checkpoint.folder, name));
  await truncate(newest, 300);
  t.equal((await fit(options)).result?.resumedAt, 7);
  t.match((await fit({ ...options, seed: 8 })).error, { code: "TRAINING_CHECKPOINT_MISMATCH" });
  t.match((await fit({ ...options, epochs: 1, optimizer: { type: "sgd" } })).error, {
    code: "TRAINING_CHECKPOINT_MISMATCH",
  });
  const header = await readFile(older);
  await writeFile(older, header.fill(1, header.length - 4));
  await writeFile(newest, "no");
  t.match((await fit(options)).error, { code: "TRAINING_CHECKPOINT_INVALID" });
  t.match((await fit({ checkpoint: { folder: join(older, "under-a-file") } })).error, {
    code: "TRAINING_CHECKPOINT_INVALID",
  });
});

t.test("a checkpoint of other numbers is refused, whatever their count", async (t) => {
  await using manager = await testTrainer({ network: line }).start();
  const options = { epochs: 2, checkpoint: { folder: await folder() } };
  await manager.client.fit(data, options);
  for (const name of ["inputs", "targets"] as const) {
    const other = { ...data, [name]: data[name].map((value, i) => (i === data[name].length - 1 ? value + 1 : value)) };
    t.match(await failure(manager.client.fit(other, options)), { code: "TRAINING_CHECKPOINT_MISMATCH" }, name);
  }
  const shared = new Float32Array(new SharedArrayBuffer(data.inputs.byteLength));
  shared.set(data.inputs);
  t.equal((await manager.client.fit({ ...data, inputs: shared }, options)).resumedAt, 4);
});

t.test(
  "what a checkpoint says of itself may be spoilt too, and a spoilt one takes no place of a sound one",
  async (t) => {
    const checkpoint = { folder: await folder(), everySteps: 7, keep: 1 };
    await fit({ epochs: 2, checkpoint });
    const [name = ""] = await readdir(checkpoint.folder);
    const newest = join(checkpoint.folder, name);
    const spoilt = (await readFile(newest)).toString("latin1").replace('"step":"14"', '"step":"13"');
    await writeFile(newest, spoilt, "latin1");
    t.match((await fit({ epochs: 2, checkpoint })).error, { code: "TRAINING_CHECKPOINT_INVALID", message: /damaged/ });

    await writeFile(join(checkpoint.folder, "step-000000000099.safetensors"), spoilt, "latin1");
    await writeFile(join(checkpoint.folder, ".1-cut.tmp"), "of a process that was killed");
    await truncate(newest, 0);
    const sound = await folder();
    await fit({ epochs: 1, checkpoint: { ...checkpoint, folder: sound } });
    const older = "step-000000000007.safetensors";
    await writeFile(join(checkpoint.folder, older), await readFile(join(sound, older)));
    const abort = new AbortController();
    const onStep = (step: number): void => (step === 9 ? abort.abort() : undefined);
    t.match((await fit({ epochs: 2, checkpoint, onStep, signal: abort.signal })).error, { code: "CALL_ABORTED" });
    t.same(await readdir(checkpoint.folder), ["step-000000000009.safetensors"]);
    t.equal((await fit({ epochs: 2, checkpoint })).result?.resumedAt, 9);
  },
);

t.test("checkpoints are safetensors, which others read too", async (t) => {
  const checkpoint = { folder: await folder() };
  await fit({ checkpoint });
  const file = await readFile(join(checkpoint.folder, "step-000000000007.safetensors"));
  const length = Number(file.readBigUInt64LE());
  const header = JSON.parse(file.toString("utf8", 8, 8 + length)) as Record<string, unknown>;
  t.same(header["weights"], { dtype: "F32", shape: [4], data_offsets: [0, 16] });
  t.same(Object.keys(header), ["__metadata__", "weights", "slot.mean", "slot.square"]);
  t.equal(file.length, 8 + length + 48);
});

t.test("time makes a checkpoint due as well", async (t) => {
  const clock = new FakeClock();
  await using manager = await testTrainer({ network: line }, { clock }).start();
  const checkpoint = { folder: await folder(), everyMs: 1_000 };
  const seen: number[] = [];
  const onStep = async (step: number): Promise<void> => {
    if (step === 3) await clock.advance(1_000);
    if (step >= 4) seen.push((await readdir(checkpoint.folder)).length);
  };
  await manager.client.fit(data, { batchRows: 10, checkpoint, onStep });
  t.same(seen, [1, 1]);
});

t.test("a network that diverges ends the fit, or its batches are left out", async (t) => {
  const broken: Network = {
    parameters: [{ name: "a", shape: [1] }],
    gradients: (_values, { inputs }) => ({
      loss: 1,
      gradients: { a: Float32Array.of(inputs[0] === data.inputs[0] ? Number.POSITIVE_INFINITY : 1) },
    }),
  };
  t.match((await fit({ batchRows: 1 }, { network: broken })).error, { code: "TRAINING_NOT_FINITE" });
  const { result } = await fit({ batchRows: 1, accumulate: { skipNonFinite: true } }, { network: broken });
  t.equal(result?.skipped, 1);
  t.equal(result?.steps, 50);
  const noLoss: Network = { ...broken, gradients: () => ({ loss: Number.NaN, gradients: { a: Float32Array.of(1) } }) };
  t.match((await fit({}, { network: noLoss })).error, { code: "TRAINING_NOT_FINITE", message: /loss is NaN/ });
  t.equal((await fit({ accumulate: { skipNonFinite: true } }, { network: noLoss })).result?.skipped, 7);
  const huge: Network = { ...broken, gradients: () => ({ loss: 1, gradients: { b: Float32Array.of(1) } }) };
  t.match((await fit({}, { network: huge })).error, { code: "TRAINING_GRADIENTS_INVALID" });
});

t.test("data, options and networks that do not fit are refused before anything starts", async (t) => {
  await using manager = await testTrainer({ network: { ...line, parameters: [] } }).start();
  const { client } = manager;
  t.match(await failure(client.fit({ ...data, rows: 7 })), { code: "TRAINING_DATA_INVALID" });
  t.match(await failure(client.fit({ ...data, targets: new Float32Array() })), { code: "TRAINING_DATA_INVALID" });
  t.match(await failure(client.fit({ ...data, inputs: [1] as never })), { code: "OPTIONS_INVALID" });
  t.match(await failure(client.fit(data, { epoch: 1 } as object)), { code: "OPTIONS_INVALID", message: /epochs/ });
  const mixed = { type: "adam", momentum: 0.5 } as const;
  t.match(await failure(client.fit(data, { optimizer: mixed })), { code: "OPTIONS_INVALID", message: /sgd alone/ });
  t.match(await failure(client.fit(data)), { code: "TRAINING_NETWORK_INVALID" });
  const nowhere = new TrainerManager({ module: new URL("./nowhere.js", import.meta.url) });
  t.match(await failure(nowhere.start()), { code: "TRAINING_NETWORK_INVALID", message: /nowhere\.js/ });
});

t.test("a trainer fits one network at a time; a stop ends the fit at a step, with a checkpoint", async (t) => {
  const manager = await testTrainer({ network: line, workers: 2 }).start();
  const checkpoint = { folder: await folder() };
  const fitting = failure(manager.client.fit(data, { epochs: 1_000_000, checkpoint }));
  await until(() => manager.stats().steps > 3, "steps");
  t.match(await failure(manager.client.fit(data)), { code: "TRAINING_BUSY", retryable: true });
  const samples = new Map([...manager.metrics()].map((sample) => [sample.name, "value" in sample ? sample.value : 0]));
  t.equal(samples.get("steward.training.fitting"), 1);
  t.equal(samples.get("steward.training.loss"), manager.stats().loss);
  t.same(manager.stats().devices, ["cpu:0", "cpu:1"]);
  await manager.drain();
  t.match(await fitting, { code: "TRAINING_STOPPED", retryable: true });
  const steps = String(manager.stats().steps);
  t.same(await readdir(checkpoint.folder), [`step-${steps.padStart(12, "0")}.safetensors`]);
  t.match(await failure(manager.client.fit(data)), { code: "RESOURCE_UNAVAILABLE" });
  await manager.stop();
});
