import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { httpStatusOf, publicError } from "@steward/core";
import { failure, until } from "@steward/testing";
import t, { type Test } from "tap";
import { ModelManager, type Compute, type Golden, type ModelOptions, type Tensor, type Tensors } from "../src/index.ts";
import { onnxModel, testModel } from "../src/testing.ts";

const engine = import.meta.resolve("@steward/onnx");
const folder = mkdtempSync(join(tmpdir(), "models-"));
t.teardown(() => rmSync(folder, { recursive: true }));

const SMALL = onnxModel({ sizes: [4, 8, 3] });
const sha256 = createHash("sha256").update(SMALL).digest("hex");
const row = (seed: number): Float32Array => Float32Array.from({ length: 4 }, (_, at) => Math.sin(seed * 7 + at));
const manager = (options: Partial<ModelOptions> = {}, context = {}) =>
  new ModelManager({ source: { bytes: SMALL }, engine, ...options }, context);

function close(t: Test, got: Tensor | undefined, want: Tensor | undefined): void {
  t.same(got?.shape, want?.shape);
  for (const [at, value] of (want?.data ?? []).entries()) t.ok(Math.abs(Number(got?.data[at]) - Number(value)) < 1e-5);
}

t.test("what waits runs as one batch, and each caller gets its own rows", async (t) => {
  await using voice = await manager({ source: { bytes: SMALL, sha256 } }).start();
  const { client } = voice;
  t.match(client.inputs, [{ name: "x", type: "float32", shape: ["n", 4] }]);
  t.match(client.outputs, [{ name: "y" }]);
  const alone: Tensor[] = [];
  for (let n = 0; n < 5; n++) alone.push((await client.run({ x: row(n) }))["y"] as Tensor);
  const given = row(0);
  const together = await client.runMany([{ x: given }, ...[1, 2, 3, 4].map((n) => ({ x: row(n) }))]);
  for (const [n, tensors] of together.entries()) close(t, tensors["y"], alone[n]);
  t.same(given, row(0), "the caller keeps its memory");
  const two = Float32Array.from([...row(1), ...row(2)]);
  const pair = await client.run({ x: { type: "float32", shape: [2, 4], data: two } });
  t.same(pair["y"]?.shape, [2, 3]);
  t.match(voice.stats(), {
    runs: 7,
    largest: 5,
    device: "cpu",
    precision: "default",
    version: "1",
    workers: 1,
    bytes: SMALL.byteLength,
    succeeded: 11,
  });
  t.match(voice.stats()["attempts"], process.platform === "linux" ? [/^cuda: its libraries are not installed/] : []);
  const series = [...voice.metrics()];
  t.match(
    series.find(({ name }) => name === "steward.model.batch.size"),
    { value: { count: 7, sum: 12 } },
  );
  t.equal(series.find(({ name }) => name === "steward.model.loaded")?.value, SMALL.byteLength);
  await voice.probe();
});

t.test("an input that does not fit fails its own caller, before it waits, with words for that caller", async (t) => {
  await using voice = await manager({ maxBatch: 8 }).start();
  const good = Array.from({ length: 7 }, (_, n) => voice.client.run({ x: row(n) }));
  const bad: readonly [unknown, RegExp][] = [
    [{ x: new Float32Array(5) }, /input "x": expected float32 \[n, 4\], which is 4 elements a row, got 5 elements/],
    [{ x: new Float64Array(4) }, /input "x": expected float32 \[n, 4\], got Float64Array/],
    [
      { x: { type: "float32", shape: [1, 5], data: new Float32Array(5) } },
      /expected float32 \[n, 4\], got float32 \[1, 5\]/,
    ],
    [
      { x: { type: "float32", shape: [2, 4], data: new Float32Array(4) } },
      /expected 8 elements, as its shape says, got 4/,
    ],
    [{ x: { type: "int32", shape: [1, 4], data: new Int32Array(4) } }, /got int32 \[1, 4\]/],
    [{}, /input "x": expected float32 \[n, 4\], got nothing/],
    [{ x: row(1), xx: row(1) }, /unknown input "xx"; did you mean "x"\?/],
    [{ x: new Float32Array(36) }, /an input of 9 rows; at most 8 run at once/],
    [undefined, /must be an object of tensors/],
  ];
  for (const [input, message] of bad) {
    const error = await failure(voice.client.run(input as never));
    t.match(error, { code: "MODEL_INPUT_INVALID", message });
    t.equal(httpStatusOf(error), 422);
    t.match(publicError(error).message, message);
  }
  t.equal((await Promise.all(good)).length, 7);
  t.match(voice.stats(), { failed: 0, succeeded: 7 });
  await t.rejects(voice.client.run({ x: row(1) }, { timeout: 1 } as never), { code: "OPTIONS_INVALID" });
});

t.test("what a caller gives is read at the call, so it may be written to at once", async (t) => {
  await using voice = await manager().start();
  const inputs = [row(1), row(2)];
  const want = await voice.client.runMany(inputs.map((x) => ({ x: x.slice() })));
  const runs = [inputs.slice(0, 1), inputs].map((some) => some.map((x) => voice.client.run({ x: x })));
  for (const x of inputs) x.fill(0);
  const [lone, ...together] = (await Promise.all(runs.flat())).map(({ y }) => y);
  close(t, lone, want[0]?.["y"]);
  for (const [at, y] of together.entries()) close(t, y, want[at]?.["y"]);
  const bytes = testModel({
    compute: {
      inputs: [{ name: "b", type: "uint8", shape: ["n"] }],
      outputs: [{ name: "b", type: "uint8", shape: ["n"] }],
      run: ({ b }) => ({ b: b as Tensor }),
    },
  });
  await bytes.start();
  const given = Buffer.from("abc");
  const { b } = await bytes.client.run({ b: given });
  t.not((b?.data as Uint8Array | undefined)?.buffer, given.buffer, "a Buffer shares its memory with others");
  await bytes.stop();
});

t.test("a model that cannot be served says which it is, and callers see that a part is away", async (t) => {
  const file = join(folder, "small.onnx");
  writeFileSync(file, SMALL);
  const withoutBinary = join(folder, "engine.mjs");
  writeFileSync(
    withoutBinary,
    'import { createRequire } from "node:module"; createRequire(import.meta.url)("./binding.node");',
  );
  const cases: readonly [Partial<ModelOptions>, string, RegExp][] = [
    [
      { source: { file, sha256: "0".repeat(64) } },
      "MODEL_CHECKSUM",
      /the file has the sha256 [0-9a-f]{64}, and not 0000/,
    ],
    [{ source: { bytes: SMALL.subarray(0, 100), sha256 } }, "MODEL_CHECKSUM", /cut short/],
    [{ source: { bytes: SMALL.subarray(0, 100) } }, "MODEL_INVALID_FILE", /^model: cpu: /],
    [{ source: { file: join(folder, "missing.onnx") } }, "MODEL_UNKNOWN", /missing.onnx cannot be read: ENOENT/],
    [
      { engine: "onnxruntime-missing" },
      "MODEL_ENGINE_MISSING",
      /is not installed: ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node/,
    ],
    [{ engine: "onnxruntime-web" }, "MODEL_ENGINE_MISSING", /is not installed: npm install onnxruntime-web$/],
    [
      { engine: pathToFileURL(withoutBinary) },
      "MODEL_ENGINE_MISSING",
      /does not load on \w+-\w+: .*binding\.node.*; an engine that needs no binary: npm install onnxruntime-web/,
    ],
    [{ device: "coreml" }, "MODEL_DEVICE_UNAVAILABLE", /coreml/],
    [{ precision: "fp16" }, "MODEL_PRECISION_UNSUPPORTED", /there is no file for fp16; there are: default/],
    [
      { golden: [{ input: { x: row(1) }, output: { y: [9, 9, 9] } }] },
      "MODEL_GOLDEN_MISMATCH",
      /golden input 0 is off by /,
    ],
    [{ golden: [{ input: { x: row(1) }, output: { z: [1] } }] }, "MODEL_GOLDEN_MISMATCH", /no output "z": y/],
    [
      { engine: "data:text/javascript,process.exit(5)" },
      "MODEL_ENGINE_CRASHED",
      /ended while it loaded: .*with code 5/,
    ],
    [
      {
        source: undefined,
        compute: { inputs: [{ name: "x", type: "float16", shape: ["n"] }], outputs: [], run: () => ({}) },
      },
      "MODEL_INVALID_FILE",
      /input "x" is float16, which is not supported/,
    ],
  ];
  for (const [options, code, message] of cases) {
    if (options.device === "coreml" && process.platform === "darwin") continue;
    const one = manager(options);
    const error = await failure(one.start());
    t.match(error, { code, message, resource: "model" });
    t.equal(httpStatusOf(error), 503, code);
    const refused = await failure(one.client.run({ x: row(1) }));
    t.match(refused, { code: "RESOURCE_UNAVAILABLE" });
    t.equal(httpStatusOf(refused), 503);
    await one.stop();
  }
});

t.test("the fastest precision within the tolerance is served, and its error is reported", async (t) => {
  const golden: Golden[] = [{ input: { x: row(3) } }];
  const near = onnxModel({ sizes: [4, 256, 3], scale: 1.001 });
  const far = onnxModel({ sizes: [4, 256, 3], scale: 1.5 });
  const fp32 = { bytes: onnxModel({ sizes: [4, 256, 3], ballast: 300 }) };
  await using voice = await manager({
    source: undefined,
    variants: { fp32, int8: { bytes: near }, int4: { bytes: far } },
    golden,
  }).start();
  const stats = voice.stats();
  t.equal(stats["precision"], "int8", "the same as fp32, without what slows it");
  t.ok(Number(stats["maxError"]) > 0 && Number(stats["maxError"]) < 0.01);
  t.match(
    stats["attempts"],
    [/./, /cpu, int4: model: golden input 0 is off by /].slice(process.platform === "linux" ? 0 : 1),
  );
  await using exact = await manager({
    source: undefined,
    variants: { fp32, int8: { bytes: near } },
    golden,
    tolerance: 0,
  }).start();
  t.equal(exact.stats()["precision"], "fp32");
  await using said = await manager({
    source: undefined,
    variants: { fp32, int4: { bytes: far } },
    precision: "int4",
  }).start();
  t.equal(said.stats()["precision"], "int4");
  await t.rejects(manager({ source: undefined, variants: { a: fp32, b: fp32 } }).start(), {
    code: "MODEL_PRECISION_UNSUPPORTED",
    message: /give golden inputs/,
  });
});

t.test("a new version takes the place of the old one once it has given its golden outputs", async (t) => {
  const home = join(folder, "voice");
  const put = (version: string, bytes: Uint8Array, card?: unknown): void => {
    mkdirSync(join(home, version), { recursive: true });
    writeFileSync(join(home, version, "model.onnx"), bytes);
    if (card !== undefined) writeFileSync(join(home, version, "model.json"), JSON.stringify(card));
  };
  put("1", SMALL, { sha256 });
  put("notes", SMALL);
  await using voice = await manager({ source: { folder: home } }).start();
  t.equal(voice.client.version, "1");
  const old = voice.client.run({ x: row(1) });
  const wrong = { input: { x: { type: "float32", shape: [1, 4], data: [1, 2, 3, 4] } }, output: { y: [9, 9, 9] } };
  put("2", SMALL, { golden: [wrong] });
  await t.rejects(voice.renew(), { code: "MODEL_GOLDEN_MISMATCH" });
  t.equal(voice.client.version, "1", "the old one is still served");
  t.match(voice.trouble, { status: "degraded", reason: /golden input 0/ });
  await old;
  put("10", onnxModel({ sizes: [4, 8, 3], seed: 2 }), {});
  const before = voice.client.run({ x: row(1) });
  const { client } = voice;
  await voice.renew();
  t.equal(client.version, "10", "by number, not by text");
  t.equal(voice.trouble, undefined);
  t.notSame((await client.run({ x: row(1) }))["y"]?.data, (await before)["y"]?.data);
  await using first = await manager({ source: { folder: home, version: 1 } }).start();
  t.equal(first.client.version, "1");
  await t.rejects(manager({ source: { folder: home, version: 3 } }).start(), {
    code: "MODEL_UNKNOWN",
    message: /no version in .*: "3"; /,
  });
  put("11", SMALL, { sha: "x" });
  await t.rejects(manager({ source: { folder: home } }).start(), {
    code: "MODEL_INVALID_FILE",
    message: /unknown field "sha"/,
  });
  mkdirSync(join(home, "12"));
  symlinkSync(join(folder, "small.onnx"), join(home, "12", "model.onnx"));
  await t.rejects(manager({ source: { folder: home } }).start(), { code: "MODEL_UNKNOWN", message: /leads out of/ });
});

t.test("rows may be in any dimension, and what rows share is compared", async (t) => {
  const seen: string[] = [];
  await using voice = await testModel({
    batchAxes: { state: 1, next: 1, rate: null, total: null },
    compute: {
      inputs: [
        { name: "x", type: "float32", shape: ["", 2] },
        { name: "state", type: "float32", shape: [2, "", 1] },
        { name: "rate", type: "int64", shape: [] },
      ],
      outputs: [
        { name: "y", type: "float32", shape: ["", 2] },
        { name: "next", type: "float32", shape: [2, "", 1] },
        { name: "total", type: "int64", shape: [] },
      ],
      run: ({ x, state, rate }) => {
        seen.push(`${x?.shape} ${state?.shape} ${rate?.data}`);
        return { y: x as Tensor, next: state as Tensor, total: rate as Tensor };
      },
    },
  }).start();
  const input = (n: number, rate: bigint, rows = 1) => ({
    x: Float32Array.from({ length: 2 * rows }, (_, at) => n + at),
    state: Float32Array.from({ length: 2 * rows }, (_, at) => 10 * n + at),
    rate: { type: "int64", shape: [], data: BigInt64Array.of(rate) } as const,
  });
  seen.length = 0;
  const [a, b, c] = await voice.client.runMany([input(1, 8n), input(2, 16n), input(3, 8n, 2)]);
  t.same(seen, ["3,2 2,3,1 8", "1,2 2,1,1 16"]);
  t.same([...(a?.["next"]?.data ?? [])], [10, 11]);
  t.same([...(c?.["next"]?.data ?? [])], [30, 31, 32, 33]);
  t.same([...(b?.["y"]?.data ?? [])], [2, 3]);
  t.same(c?.["total"]?.data, BigInt64Array.of(8n));
  await t.rejects(voice.client.run({ ...input(1, 8n), state: new Float32Array(4) }), {
    code: "MODEL_INPUT_INVALID",
    message: /expected 1 rows, as the inputs before it, got 2/,
  });
  await using wrong = await testModel({
    compute: {
      inputs: [{ name: "x", type: "float32", shape: ["", 2] }],
      outputs: [],
      run: () => ({ y: { type: "float32", shape: [1], data: new Float32Array(1) } }),
    },
  }).start();
  for (const each of await Promise.allSettled([
    wrong.client.run({ x: new Float32Array(2) }),
    wrong.client.run({ x: new Float32Array(2) }),
  ]))
    t.match(each, {
      reason: { code: "MODEL_INVALID_FILE", message: /output "y" is \[1\] for 2 rows: say in batchAxes/ },
    });
});

t.test("what waits is bounded in rows, leaves when it is given up, and ends by its deadline", async (t) => {
  let [release, begun] = [(): void => {}, 0];
  const run = async (feeds: Tensors): Promise<Tensors> => {
    if (begun++ > 0) await new Promise<void>((resolve) => (release = resolve)); // the first one is the warm-up
    return feeds;
  };
  const info = { type: "float32", shape: ["n", 4] };
  const compute = { inputs: [{ name: "x", ...info }], outputs: [{ name: "x", ...info }], run };
  await using voice = await testModel({ compute, maxBatch: 2, maxPending: 3 }).start();
  const { client } = voice;
  const running = client.run({ x: row(1) });
  await until(() => begun === 2, "the first run to begin");
  const given = new AbortController();
  const waiting = client.run({ x: row(2) }, { signal: given.signal });
  const late = client.run({ x: row(2) }, { timeoutMs: 5 });
  const third = client.run({ x: row(3) });
  const refused = await failure(client.run({ x: row(4) }));
  t.match(refused, { code: "OVERLOADED", message: /pending 3 of 3/ });
  given.abort();
  await t.rejects(waiting, { code: "CALL_ABORTED" });
  await t.rejects(late, { code: "DEADLINE_EXCEEDED" });
  t.equal(voice.stats()["pending"], 1, "both places are free at once");
  release();
  t.same((await running)["x"]?.data, row(1));
  await until(() => begun === 3, "the second run to begin");
  release();
  t.same((await third)["x"]?.data, row(3));
  t.equal(voice.stats()["runs"], 2);
});

t.test("what is no list of inputs, and an axis of what the model does not have, is refused", async (t) => {
  const info = { type: "float32", shape: ["n", 2] };
  const compute: Compute = {
    inputs: [{ name: "state", ...info }],
    outputs: [{ name: "next", ...info }],
    run: ({ state }) => ({ next: state as Tensor }),
  };
  await using good = await new ModelManager({ compute, batchAxes: { state: 0, next: 0 } }).start();
  for (const inputs of [null, undefined, {}, "ab"])
    await t.rejects(good.client.runMany(inputs as never), {
      code: "MODEL_INPUT_INVALID",
      message: /are a list of them/,
    });
  t.same(await good.client.runMany([]), []);
  const wrong = new ModelManager({ compute, batchAxes: { stat: 0, velocity: null, state: 2 } });
  const { code, message } = await failure(wrong.start());
  t.equal(code, "OPTIONS_INVALID");
  t.match(message, /batchAxes\.stat: the model has no input or output of this name; did you mean "state"\?/);
  t.match(message, /batchAxes\.velocity: .*; it has state, next/);
  t.match(message, /batchAxes\.state: dimension 2 of an input that has 2, counted from 0/);
});

t.test("options that are wrong are refused", (t) => {
  const wrong: readonly Readonly<Record<string, unknown>>[] = [
    { source: undefined },
    { source: { file: "" } },
    { source: { file: "a", sha256: "short" } },
    { source: { file: "a", folder: "b" } },
    { source: { folder: "a", version: 0 } },
    { compute: { run: 1 } },
    { variants: { a: { file: "a" } } },
    { device: "gpu" },
    { maxBatch: 0 },
    { golden: [{ output: {} }] },
    { batchAxes: { x: -1 } },
    { isolation: "worker" },
    { batchSize: 5 },
  ];
  for (const options of wrong)
    t.throws(() => manager(options as never), { code: "OPTIONS_INVALID" }, JSON.stringify(options));
  t.end();
});
