import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { status, type ServerUnaryCall } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { container } from "@steward/container";
import { httpStatusOf, publicError, resource, type StewardError } from "@steward/core";
import { GrpcChannelManager, grpcChannel, grpcServer, GrpcServerManager } from "@steward/grpc";
import { failure } from "@steward/testing";
import t from "tap";
import { CatalogManager, ModelManager, type Compute, type Tensors } from "../src/index.ts";
import { grpcModel, GrpcModelManager, inferenceService, type GrpcModelOptions } from "../src/protocol/grpc/index.ts";
import type { ServedModels } from "../src/protocol/served.ts";
import { onnxModel, testModel } from "../src/testing.ts";
import { published, rawClient, rawServer } from "./foreign.ts";

const engine = import.meta.resolve("@steward/onnx");
const SMALL = onnxModel({ sizes: [4, 3] });

const ALL: Tensors = {
  f32: { type: "float32", shape: [2, 1], data: Float32Array.of(0.1, Number.NaN) },
  f64: { type: "float64", shape: [2, 1], data: Float64Array.of(0.1, -Infinity) },
  i8: { type: "int8", shape: [2, 1], data: Int8Array.of(-128, 127) },
  i16: { type: "int16", shape: [2, 1], data: Int16Array.of(-32_768, 3) },
  i32: { type: "int32", shape: [2, 1], data: Int32Array.of(-(2 ** 31), 3) },
  i64: { type: "int64", shape: [2, 1], data: BigInt64Array.of(-(2n ** 63n), 2n ** 53n + 1n) },
  u8: { type: "uint8", shape: [2, 1], data: Uint8Array.of(255, 0) },
  u16: { type: "uint16", shape: [2, 1], data: Uint16Array.of(65_535, 0) },
  u32: { type: "uint32", shape: [2, 1], data: Uint32Array.of(2 ** 32 - 1, 0) },
  u64: { type: "uint64", shape: [2, 1], data: BigUint64Array.of(2n ** 64n - 1n, 0n) },
  on: { type: "bool", shape: [2, 1], data: Uint8Array.of(1, 0) },
  words: { type: "string", shape: [2, 1], data: ["", "Grüße"] },
};

/** Gives back what it is given, of every type. */
function mirror(): Compute {
  const infos = Object.entries(ALL).map(([name, { type }]) => ({ name, type, shape: ["n", 1] }));
  return { inputs: infos, outputs: infos, run: (feeds) => feeds };
}

/** Models at a server of ours, and where it is. */
function servedAt(models: ServedModels, options: { isReady?: () => boolean } = {}) {
  return new GrpcServerManager({ services: [inferenceService(models, options)] }).start();
}

/** A model at an address, over a channel of its own. */
async function far(address: string, options: Partial<GrpcModelOptions> = {}) {
  const channel = await new GrpcChannelManager({ address, breaker: false }).start();
  const manager = new GrpcModelManager({ channel: channel.client, model: "sum", ...options }, { name: "far" });
  const end = async (): Promise<void> => (await manager.stop(), void (await channel.stop()));
  return { manager, client: manager.client, [Symbol.asyncDispose]: end };
}

t.test("our file has the names and numbers of the published one", (t) => {
  const ours = loadSync(join(import.meta.dirname, "../../src/protocol/grpc/inference.proto"), { keepCase: true });
  const theirs = published();
  const names = Object.keys(theirs).sort();
  t.same(Object.keys(ours).sort(), names);
  for (const name of names) {
    const [mine, other] = [ours[name], theirs[name]] as readonly { type?: object }[];
    t.same(mine?.type ?? Object.keys(mine ?? {}), other?.type ?? Object.keys(other ?? {}), name);
  }
  t.end();
});

t.test("a remote model over gRPC gives what the local one gives", async (t) => {
  await using local = await new ModelManager({ source: { bytes: SMALL }, engine }).start();
  await using of = await new ModelManager({ compute: mirror() }).start();
  const server = grpcServer("server", { services: [inferenceService({ small: local.client, mirror: of.client })] });
  const channel = grpcChannel("channel", { needs: { server }, options: ({ server }) => ({ address: server.address }) });
  const small = grpcModel("small", { needs: { channel }, options: ({ channel }) => ({ channel }) });
  const all = grpcModel("all", { needs: { channel }, options: ({ channel }) => ({ channel, model: "mirror" }) });
  const uses = resource("uses", { needs: { small, all }, start: (models) => models });
  await using running = await container([uses]).start();
  const models = running.get(uses);
  t.same(
    [models.small.version, models.small.inputs, models.small.outputs],
    ["1", [{ name: "x", type: "float32", shape: ["", 4] }], [{ name: "y", type: "float32", shape: ["", 3] }]],
  );
  const x = Float32Array.of(0.1, -2, 3.5, 1e-7, 5, 6, 7, 8);
  t.same(await models.small.run({ x }), await local.client.run({ x }), "to the last bit");
  t.same(await models.all.run(ALL), ALL);
  await t.rejects(models.small.run({ x: new Float32Array(3) }), { code: "MODEL_INPUT_INVALID" });
});

t.test("a client of ours works with another implementation of the protocol", async (t) => {
  const seen: ServerUnaryCall<Readonly<Record<string, unknown>>, unknown>[] = [];
  let isRaw = true;
  const outputs = [
    { name: "sums", datatype: "INT64", shape: ["-1"] },
    { name: "words", datatype: "BYTES", shape: ["-1"] },
  ];
  await using server = await rawServer({
    ModelMetadata: ({ request }) => ({
      name: request["name"],
      versions: ["6", "7"],
      inputs: [{ name: "values", datatype: "FP32", shape: ["-1", "2"] }],
      outputs,
    }),
    ModelReady: () => ({ ready: true }),
    ModelInfer: (call) => {
      seen.push(call);
      const [bytes] = call.request["raw_input_contents"] as Buffer[];
      const sums = [0, 1].map((row) => (bytes?.readFloatLE(8 * row) ?? 0) + (bytes?.readFloatLE(8 * row + 4) ?? 0));
      const lists = [
        { int64_contents: sums.map(String) },
        { bytes_contents: sums.map((sum) => Buffer.from(`${sum}`)) },
      ];
      const tensors = outputs.map((output, at) => ({
        ...output,
        shape: ["2"],
        ...(isRaw ? {} : { contents: lists[at] }),
      }));
      const raw = [
        Buffer.from(BigInt64Array.from(sums, BigInt).buffer),
        Buffer.concat(sums.map((sum) => Buffer.concat([Buffer.of(`${sum}`.length, 0, 0, 0), Buffer.from(`${sum}`)]))),
      ];
      return { model_name: "sum", model_version: "7", outputs: tensors, raw_output_contents: isRaw ? raw : [] };
    },
  });
  await using model = await far(server.address, { version: "7", timeoutMs: 3_600_000 });
  await model.manager.start();
  await model.manager.probe();
  for (isRaw of [true, false]) {
    const answer = await model.client.run({ values: Float32Array.of(1, 2, 30, 40) });
    t.same(answer, {
      sums: { type: "int64", shape: [2], data: BigInt64Array.of(3n, 70n) },
      words: { type: "string", shape: [2], data: ["3", "70"] },
    });
  }
  const [call] = seen;
  t.match(call?.request, { model_name: "sum", model_version: "7", inputs: [{ shape: ["2", "2"], datatype: "FP32" }] });
  const left = Number(call?.getDeadline()) - Date.now();
  // The deadline on the wire is a little later than ours.
  t.ok(
    left > 60_000 && left <= 3_601_000,
    `the server learns of the deadline of the call, not of the channel: ${left} ms`,
  );
});

t.test("another client of the protocol works with a server of ours", async (t) => {
  await using of = await new ModelManager({ compute: mirror() }).start();
  await using echo = await testModel().start();
  let ready = true;
  await using server = await servedAt({ mirror: of.client, echo: echo.client }, { isReady: () => ready });
  using client = rawClient(server.client.address);
  const { ask } = client;
  t.same(await ask("ServerLive"), { live: true });
  t.same(await ask("ServerReady"), { ready: true });
  ready = false;
  t.same(await ask("ServerReady"), { ready: false });
  t.same(await ask("ServerMetadata"), { name: "steward", version: "2", extensions: [] });
  t.same(await ask("ModelReady", { name: "echo", version: "1" }), { ready: true });
  t.same(await ask("ModelMetadata", { name: "echo" }), {
    name: "echo",
    versions: ["1"],
    platform: "onnxruntime_onnx",
    inputs: [{ name: "x", datatype: "FP32", shape: ["-1", "1"] }],
    outputs: [{ name: "y", datatype: "FP32", shape: ["-1", "1"] }],
  });
  const x = { name: "x", datatype: "FP32", shape: [2, 1] };
  const typed = await ask("ModelInfer", {
    model_name: "echo",
    id: "a",
    inputs: [{ ...x, contents: { fp32_contents: [1, 2.5] } }],
  });
  t.match(typed, {
    model_name: "echo",
    model_version: "1",
    id: "a",
    outputs: [{ name: "y", datatype: "FP32", shape: ["2", "1"], contents: { fp32_contents: [1, 2.5] } }],
  });
  t.same(typed["raw_output_contents"], [], "in the form that was sent");
  const bytes = Buffer.from(Float32Array.of(1, 2.5).buffer);
  const raw = await ask("ModelInfer", {
    model_name: "echo",
    inputs: [x],
    raw_input_contents: [bytes],
    outputs: [{ name: "y" }],
  });
  t.same(raw["raw_output_contents"], [bytes]);
  const one = (name: string, datatype: string, contents: object) => ({ name, datatype, shape: [1, 1], contents });
  const inputs = [
    one("f32", "FP32", { fp32_contents: [0.5] }),
    one("f64", "FP64", { fp64_contents: [0.1] }),
    one("i8", "INT8", { int_contents: [-128] }),
    one("i16", "INT16", { int_contents: [-32_768] }),
    one("i32", "INT32", { int_contents: [-5] }),
    one("i64", "INT64", { int64_contents: ["-9223372036854775808"] }),
    one("u8", "UINT8", { uint_contents: [255] }),
    one("u16", "UINT16", { uint_contents: [65_535] }),
    one("u32", "UINT32", { uint_contents: [4_294_967_295] }),
    one("u64", "UINT64", { uint64_contents: ["18446744073709551615"] }),
    one("on", "BOOL", { bool_contents: [true] }),
    one("words", "BYTES", { bytes_contents: [Buffer.from("é")] }),
  ];
  const all = await ask("ModelInfer", { model_name: "mirror", inputs });
  t.match(
    all["outputs"],
    inputs.map((input) => ({ ...input, shape: ["1", "1"] })),
    "every type by its list",
  );
});

t.test("what is wrong with a request is refused by its status before anything is run", async (t) => {
  let runs = 0;
  await using of = await new ModelManager({ compute: { ...mirror(), run: (feeds) => (runs++, feeds) } }).start();
  runs = 0;
  await using server = await servedAt({ mirror: of.client });
  using client = rawClient(server.client.address);
  const f32 = { name: "f32", datatype: "FP32", shape: [1, 1] };
  const words = { name: "words", datatype: "BYTES", shape: [2, 1] };
  const four = Buffer.alloc(4);
  const wrong: readonly (readonly [object, RegExp])[] = [
    [{ inputs: [f32, words], raw_input_contents: [four] }, /there are 2 inputs, and raw contents of 1/],
    [{ inputs: [], raw_input_contents: [four] }, /there are 0 inputs, and raw contents of 1/],
    [{ inputs: [f32], raw_input_contents: [Buffer.alloc(5)] }, /has 4 bytes, and 5 came/],
    [
      { inputs: [{ ...f32, contents: { fp32_contents: [1] } }], raw_input_contents: [four] },
      /contents and raw contents/,
    ],
    [{ inputs: [f32, f32], raw_input_contents: [four, four] }, /has "f32" twice/],
    [{ inputs: [f32] }, /has 1 elements, contents have 0/],
    [{ inputs: [{ ...f32, contents: { fp64_contents: [1] } }] }, /FP32 is in fp32_contents, not fp64_contents/],
    [{ inputs: [{ ...f32, shape: [-1, 1] }], raw_input_contents: [four] }, /shape must be a list of whole numbers/],
    [{ inputs: [{ ...f32, shape: ["4611686018427387904", 4] }], raw_input_contents: [four] }, /shape must be/],
    [{ inputs: [{ ...f32, shape: [2 ** 50, 8] }], raw_input_contents: [four] }, /bytes, and 4 came/],
    [{ inputs: [{ ...f32, datatype: "FP16" }], raw_input_contents: [four] }, /datatype FP16 is not supported/],
    [{ inputs: [{ ...f32, name: "" }], raw_input_contents: [four] }, /has no name/],
    [{ inputs: [{ ...f32, datatype: "INT8", contents: { int_contents: [300] } }] }, /does not fit into int8/],
    [{ inputs: [words], raw_input_contents: [Buffer.alloc(8, 255)] }, /element 0 is cut short/],
    [{ inputs: [{ ...words, contents: { bytes_contents: [four, Buffer.of(255)] } }] }, /element 1 is no text in UTF-8/],
    [{ inputs: [f32], raw_input_contents: [four] }, /expected .*, got nothing/],
  ];
  for (const [request, details] of wrong)
    t.match(await failure(client.ask("ModelInfer", { model_name: "mirror", ...request })), {
      code: status.INVALID_ARGUMENT,
      details,
    });
  for (const [method, request] of [
    ["ModelInfer", { model_name: "none" }],
    ["ModelInfer", { model_name: "constructor" }],
    ["ModelInfer", { model_name: "mirror", model_version: "2" }],
    ["ModelMetadata", { name: "mirror", version: "x" }],
    ["ModelReady", { name: "" }],
  ] as const)
    t.match(await failure(client.ask(method, request)), { code: status.NOT_FOUND, details: /there is no such/ });
  const wide = { ...f32, shape: [2_000_000, 1] };
  const huge = { model_name: "mirror", inputs: [wide], raw_input_contents: [Buffer.alloc(8_000_000)] };
  t.match(await failure(client.ask("ModelInfer", huge)), { code: status.RESOURCE_EXHAUSTED });
  t.equal(runs, 0);
  await of.stop();
  const fine = { model_name: "mirror", inputs: [f32], raw_input_contents: [four] };
  t.match(await failure(client.ask("ModelInfer", fine)), { code: status.UNAVAILABLE, details: /not available now/ });
});

t.test("a catalog is served over gRPC, each model loaded when it is asked for", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "models-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, "small", "3"), { recursive: true });
  writeFileSync(join(folder, "small", "3", "model.onnx"), SMALL);
  await using models = await new CatalogManager({ folder, budgetBytes: 1_000_000, engine }).start();
  await using server = await servedAt(models.client);
  t.same(models.stats()["loaded"], []);
  await using model = await far(server.client.address, { model: "small", version: "3" });
  await model.manager.start();
  t.same((await model.client.run({ x: new Float32Array(4) }))["y"]?.shape, [1, 3]);
  await using other = await far(server.client.address, { model: "smell" });
  await t.rejects(other.manager.start(), { code: "MODEL_UNKNOWN", message: /NOT_FOUND: there is no such model/ });
});

t.test("a status of a server goes to operators by its code and never to callers", async (t) => {
  let code = status.UNKNOWN;
  const info = { inputs: [{ name: "x", datatype: "FP32", shape: [1] }], outputs: [], versions: ["1"] };
  await using server = await rawServer({
    ModelMetadata: () => info,
    ModelReady: () => ({ ready: false }),
    ModelInfer: () => {
      throw Object.assign(new Error("no"), { code, details: "host db-3.internal says no" });
    },
  });
  await using model = await far(server.address, { breaker: false });
  await model.manager.start();
  for (const [given, expected, retryable] of [
    [status.INVALID_ARGUMENT, "MODEL_INPUT_INVALID", false],
    [status.NOT_FOUND, "MODEL_UNKNOWN", false],
    [status.UNAVAILABLE, "MODEL_REMOTE_FAILED", true],
    [status.RESOURCE_EXHAUSTED, "MODEL_REMOTE_FAILED", true],
    [status.INTERNAL, "MODEL_REMOTE_FAILED", true],
    [status.UNIMPLEMENTED, "MODEL_REMOTE_FAILED", false],
    [status.PERMISSION_DENIED, "MODEL_REMOTE_FAILED", false],
    [status.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", true],
  ] as const) {
    code = given;
    const error = (await failure(model.client.run({ x: Float32Array.of(1) }))) as StewardError;
    t.match(error, { code: expected, message: /db-3/, retryable }, status[given]);
    t.notMatch(JSON.stringify(publicError(error)), /db-3/);
    if (given !== status.DEADLINE_EXCEEDED) t.equal(httpStatusOf(error), given === status.INVALID_ARGUMENT ? 422 : 503);
  }
  await t.rejects(model.manager.probe(), { code: "MODEL_REMOTE_FAILED", message: /is not ready/ });
});

t.test("a caller that gives up, and a deadline, end the call at the server too", async (t) => {
  let begin: () => void = () => {};
  let end: () => void = () => {};
  await using server = await rawServer({
    ModelMetadata: () => ({ inputs: [{ name: "x", datatype: "FP32", shape: [1] }], outputs: [], versions: ["1"] }),
    ModelInfer: (call) =>
      new Promise((resolve) => {
        call.on("cancelled", () => (end(), resolve({})));
        begin();
      }),
  });
  await using model = await far(server.address, { breaker: false });
  await model.manager.start();
  const aborting = new AbortController();
  const begun = new Promise<void>((resolve) => (begin = resolve));
  let ended = new Promise<void>((resolve) => (end = resolve));
  const pending = failure(model.client.run({ x: Float32Array.of(1) }, { signal: aborting.signal }));
  await begun;
  aborting.abort();
  t.match(await pending, { code: "CALL_ABORTED" });
  await ended;
  ended = new Promise<void>((resolve) => (end = resolve));
  t.match(await failure(model.client.run({ x: Float32Array.of(1) }, { timeoutMs: 300 })), {
    code: "DEADLINE_EXCEEDED",
  });
  await ended;
  t.match(model.manager.stats(), { inUse: 0, pending: 0 });
});

t.test("a server whose answers are not what it described is no server of the model", async (t) => {
  let answer: object = {};
  await using server = await rawServer({
    ModelMetadata: () => ({
      inputs: [{ name: "x", datatype: "FP32", shape: [1] }],
      outputs: [{ name: "y", datatype: "FP32", shape: [1] }],
      versions: ["1"],
    }),
    ModelInfer: () => answer,
  });
  await using model = await far(server.address, { breaker: false });
  await model.manager.start();
  const y = { name: "y", datatype: "FP32", shape: [1] };
  const bytes = Buffer.alloc(4);
  for (answer of [
    { outputs: [] },
    { outputs: [{ ...y, name: "z" }], raw_output_contents: [bytes] },
    { outputs: [{ ...y, datatype: "INT32" }], raw_output_contents: [bytes] },
    { outputs: [y], raw_output_contents: [bytes, bytes] },
    { outputs: [y], raw_output_contents: [Buffer.alloc(3)] },
    { outputs: [{ ...y, shape: [2 ** 52] }], raw_output_contents: [bytes] },
  ])
    await t.rejects(model.client.run({ x: Float32Array.of(1) }), {
      code: "MODEL_REMOTE_FAILED",
      message: /this is no Open Inference Protocol/,
    });
});

t.test("options that are wrong are refused", (t) => {
  const channel = { as: () => ({}) } as never;
  for (const wrong of [{}, { channel: {} }, { channel, url: "x" }, { channel, model: "" }, { channel, timeoutMs: 0 }])
    t.throws(() => new GrpcModelManager(wrong as never), { code: "OPTIONS_INVALID" });
  t.throws(() => inferenceService({ echo: {} } as never), { code: "OPTIONS_INVALID", message: /models by name/ });
  t.throws(() => inferenceService({}, { isReady: true } as never), { code: "OPTIONS_INVALID" });
  t.end();
});
