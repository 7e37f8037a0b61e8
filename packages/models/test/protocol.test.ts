import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { container } from "@steward/container";
import { httpStatusOf, publicError, type StewardError } from "@steward/core";
import { failure } from "@steward/testing";
import t from "tap";
import { CatalogManager, ModelManager, type Model, type Tensor } from "../src/index.ts";
import { remoteModel, RemoteModelManager, type RemoteModelOptions } from "../src/protocol/remote.ts";
import { inferenceHandler } from "../src/protocol/serve.ts";
import { onnxModel, testModel } from "../src/testing.ts";
import { listening, served } from "./servers.ts";

const engine = import.meta.resolve("@steward/onnx");
const SMALL = onnxModel({ sizes: [4, 3] });

const remote = (url: string, options: Partial<RemoteModelOptions> = {}) =>
  new RemoteModelManager({ url, model: "small", ...options }, { name: "far" });

/** A second server of the protocol, written from its specification alone: it adds the elements of each row. */
function foreign(said: string[] = []) {
  return listening(async (request, response) => {
    const reply = (status: number, body: unknown): void => {
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    };
    let text = "";
    for await (const part of request) text += String(part);
    said.push(`${request.method} ${request.url}`);
    if (request.url === "/base/v2/models/sum") {
      const inputs = [{ name: "values", datatype: "FP32", shape: [-1, 2] }];
      return reply(200, {
        name: "sum",
        versions: ["7"],
        platform: "other",
        inputs,
        outputs: [{ name: "sums", datatype: "INT64", shape: [-1] }],
      });
    }
    if (request.url === "/base/v2/models/sum/ready") return response.writeHead(200).end();
    if (request.url !== "/base/v2/models/sum/infer") return reply(404, { error: "not found" });
    const { inputs } = JSON.parse(text) as {
      inputs: { name: string; shape: number[]; datatype: string; data: number[] }[];
    };
    const [first] = inputs;
    if (first?.datatype !== "FP32" || first.name !== "values") return reply(400, { error: "wrong input" });
    const sums = Array.from({ length: first.shape[0] ?? 0 }, (_, row) => [
      (first.data[2 * row] ?? 0) + (first.data[2 * row + 1] ?? 0),
    ]);
    return reply(200, {
      model_name: "sum",
      model_version: "7",
      outputs: [{ name: "sums", datatype: "INT64", shape: [sums.length], data: sums }],
    });
  });
}

t.test("a remote model gives what the local one gives", async (t) => {
  await using local = await new ModelManager({ source: { bytes: SMALL }, engine }).start();
  await using server = await served(inferenceHandler({ small: local.client }));
  await using far = await remote(server.url).start();
  const { client } = far;
  t.same(
    [client.name, client.version, client.inputs, client.outputs],
    ["far", "1", [{ name: "x", type: "float32", shape: ["", 4] }], [{ name: "y", type: "float32", shape: ["", 3] }]],
  );
  const x = Float32Array.of(0.1, -2, 3.5, 1e-7, 5, 6, 7, 8);
  const [here, there] = [await local.client.run({ x }), await client.run({ x })];
  t.same(there, here, "to the last bit");
  await using inJson = await remote(server.url, { binary: false }).start();
  t.same(await inJson.client.run({ x }), here, "to the last bit: JSON keeps 32-bit floats");
  t.equal((await client.runMany([{ x }, { x }])).length, 2);
  await t.rejects(client.runMany(null as never), { code: "MODEL_INPUT_INVALID", message: /are a list of them/ });
  await far.probe();
  await far.renew();
  await t.rejects(client.run({ x: new Float32Array(3) }), {
    code: "MODEL_INPUT_INVALID",
    message: /which is 4 elements a row/,
  });
  t.match(far.stats(), { succeeded: 3, version: "1" });
  const app = container([remoteModel("small", { url: server.url })]);
  await using running = await app.start();
  t.ok(running);
});

t.test("a client of ours works with another implementation of the protocol", async (t) => {
  const said: string[] = [];
  await using server = await foreign(said);
  await using far = await remote(`${server.url}/base/`, { model: "sum" }).start();
  t.equal(far.client.version, "7");
  const { sums } = await far.client.run({ values: Float32Array.of(1, 2, 30, 40) });
  t.same(sums, { type: "int64", shape: [2], data: BigInt64Array.of(3n, 70n) });
  await far.probe();
  t.same(said, [
    "GET /base/v2/models/sum",
    "GET /base/v2",
    "POST /base/v2/models/sum/infer",
    "GET /base/v2/models/sum/ready",
  ]);
});

t.test("a server of ours answers requests as the protocol writes them", async (t) => {
  await using local = await testModel().start();
  let ready = true;
  await using server = await served(inferenceHandler({ echo: local.client }, { maxBytes: 500, isReady: () => ready }));
  const ask = async (path: string, body?: unknown, method = body === undefined ? "GET" : "POST") => {
    const answer = await fetch(server.url + path, {
      method,
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const content = await answer.text();
    return {
      status: answer.status,
      allow: answer.headers.get("allow"),
      body: content === "" ? undefined : (JSON.parse(content) as Record<string, unknown>),
    };
  };
  t.match(await ask("/v2"), { status: 200, body: { name: "steward", extensions: ["binary_tensor_data"] } });
  t.match(await ask("/v2/health/live"), { status: 200, body: { live: true } });
  t.match(await ask("/v2/health/ready"), { status: 200 });
  ready = false;
  t.match(await ask("/v2/health/ready"), { status: 503, body: { ready: false } });
  t.match(await ask("/v2/models/echo/versions/1"), {
    body: { name: "echo", versions: ["1"], inputs: [{ name: "x", datatype: "FP32", shape: [-1, 1] }] },
  });
  t.match(await ask("/v2/models/echo/ready"), { status: 200, body: { name: "echo", ready: true } });
  const x = { name: "x", shape: [2, 1], datatype: "FP32", data: [[1], [2.5]] };
  t.same(await ask("/v2/models/echo/infer", { id: "a", inputs: [x], outputs: [{ name: "y" }] }), {
    status: 200,
    allow: null,
    body: {
      model_name: "echo",
      model_version: "1",
      id: "a",
      outputs: [{ name: "y", shape: [2, 1], datatype: "FP32", data: [1, 2.5] }],
    },
  });
  const wrong: readonly [unknown, RegExp][] = [
    ["{", /the body is no JSON/],
    [[], /the body must be an object/],
    [{}, /inputs must be a list/],
    [{ inputs: [{ ...x, datatype: "FP16" }] }, /datatype FP16 is not supported/],
    [{ inputs: [{ ...x, shape: [3, 1] }] }, /a shape of 3x1 has 3 elements, data has 2/],
    [{ inputs: [{ ...x, shape: [-2] }] }, /shape must be/],
    [{ inputs: [{ ...x, data: ["1", "2"] }] }, /element 0 is no float32/],
    [{ inputs: [{ ...x, data: 5 }] }, /data must be a list/],
    [{ inputs: [x, x] }, /has "x" twice/],
    [{ inputs: [{ shape: [] }] }, /has no name/],
    [{ inputs: [{ ...x, name: "z" }] }, /unknown input "z"/],
    [{ inputs: [x], outputs: [{ name: "z" }] }, /there is no output "z"/],
    [{ id: 5, inputs: [x] }, /id must be text/],
  ];
  for (const [body, error] of wrong)
    t.match(await ask("/v2/models/echo/infer", body), { status: 400, body: { error } });
  t.match(await ask("/v2/models/echo/infer", "x".repeat(501)), { status: 413 });
  t.match(await ask("/v2/models/echo/infer"), { status: 405, allow: "POST" });
  t.match(await ask("/v2/models/echo", {}), { status: 405, allow: "GET, HEAD" });
  for (const path of ["/v2/models/none", "/v2/models/constructor/infer", "/v2/models/echo/versions/2", "/v3"])
    t.equal((await ask(path, path.endsWith("infer") ? {} : undefined)).status, 404, path);
  t.equal((await ask("/v2/models/%E0%A4%A")).status, 400);
  await local.stop();
  t.match(await ask("/v2/models/echo/infer", { inputs: [x] }), { status: 503, body: { error: /not available now/ } });
});

t.test("a catalog is served, each model loaded when it is asked for", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "models-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, "small", "3"), { recursive: true });
  writeFileSync(join(folder, "small", "3", "model.onnx"), SMALL);
  await using models = await new CatalogManager({ folder, budgetBytes: 1_000_000, engine }).start();
  await using server = await served(inferenceHandler(models.client));
  t.same(models.stats()["loaded"], []);
  await using far = await remote(server.url, { version: "3" }).start();
  t.same((await far.client.run({ x: new Float32Array(4) }))["y"]?.shape, [1, 3]);
  await t.rejects(remote(server.url, { model: "smell" }).start(), {
    code: "MODEL_UNKNOWN",
    message: /the server answered 404: there is no such model or version$/,
  });
  await t.rejects(remote(server.url, { version: "x" }).start(), { code: "MODEL_UNKNOWN" });
});

t.test("what a server of others says goes to operators and never to callers", async (t) => {
  const statuses = [500, 503, 429, 400, 404, 200];
  const echo = testModel();
  await echo.start();
  t.teardown(() => echo.stop());
  const good = inferenceHandler({ small: echo.client });
  let status = 0;
  await using server = await served(async (request) => {
    if (request.method === "GET") return good(request);
    if (status === 200) return new Response("<html>", { status: 200 });
    return Response.json({ error: "host db-3.internal says no" }, { status, headers: { "retry-after": "2" } });
  });
  await using far = await remote(server.url, { breaker: false }).start();
  for (status of statuses) {
    const error = (await failure(far.client.run({ x: Float32Array.of(1) }))) as StewardError;
    const code = status === 400 ? "MODEL_INPUT_INVALID" : status === 404 ? "MODEL_UNKNOWN" : "MODEL_REMOTE_FAILED";
    t.equal(error.code, code, `${status}`);
    t.match(error.message, status === 200 ? /this is no Open Inference Protocol|no JSON/ : /db-3\.internal/);
    t.notMatch(JSON.stringify(publicError(error)), /db-3/);
    t.equal(httpStatusOf(error), status === 400 ? 422 : 503);
    if (status === 503) t.equal(error.retryAfterMs, 2_000);
  }
  const closed = await served(good);
  await closed[Symbol.asyncDispose]();
  const away = remote(closed.url, { breaker: false });
  await t.rejects(away.start(), {
    code: "MODEL_REMOTE_FAILED",
    retryable: true,
    message: /no answer from .*ECONNREFUSED/,
  });
  const tensor: Tensor = { type: "int64", shape: [1], data: BigInt64Array.of(2n ** 60n + 1n) };
  const big = {
    name: "big",
    version: "1",
    inputs: [],
    outputs: [],
    run: async () => ({ y: tensor }),
    runMany: async () => [],
  };
  const answer = await inferenceHandler({ big })(
    new Request("http://x/v2/models/big/infer", { method: "POST", body: '{"inputs":[]}' }),
  );
  t.match(await answer.json(), { error: /has no exact form in JSON/ });
});

t.test("a body that does not end keeps no model in use, and an abort ends the wait for it", async (t) => {
  let uses = 0;
  const use = () => Promise.reject(new Error(`used ${++uses} times`));
  const handler = inferenceHandler({ use } as never);
  const aborting = new AbortController();
  const init = { method: "POST", body: new ReadableStream<Uint8Array>(), duplex: "half", signal: aborting.signal };
  const answer = handler(new Request("http://x/v2/models/a/infer", init as RequestInit));
  await new Promise(setImmediate);
  aborting.abort(new Error("10.0.0.7 went away"));
  const { status } = await answer;
  t.ok(status >= 400, String(status));
  t.notMatch(await (await answer).text(), /10\.0\.0\.7/);
  t.equal(uses, 0);
});

t.test("numbers that cannot be written or held are the fault of the side that they came from", async (t) => {
  const model = (value: number) => ({
    name: "m",
    version: "1",
    inputs: [],
    outputs: [],
    run: async () => ({ y: { type: "float32", shape: [1], data: Float32Array.of(value) } as const }),
    runMany: async () => [],
  });
  const ask = (m: Model, datatype: string, value: string) =>
    inferenceHandler({ m })(
      new Request("http://x/v2/models/m/infer", {
        method: "POST",
        body: `{"inputs":[{"name":"x","datatype":"${datatype}","shape":[1],"data":[${value}]}]}`,
      }),
    );
  t.equal((await ask(model(1), "FP32", "1")).status, 200);
  t.equal((await ask(model(Number.NaN), "FP32", "1")).status, 500, "the model's");
  for (const [datatype, value] of [
    ["INT8", "300"],
    ["INT32", "1.5"],
    ["UINT64", "-1"],
    ["FP32", "1e300"],
    ["FP64", "1e999"],
  ] as const) {
    const answer = await ask(model(1), datatype, value);
    t.equal(answer.status, 400, `${datatype} ${value}`);
    t.match(await answer.json(), { error: /"x": element 0 does not fit into / });
  }
  await using echo = await testModel().start();
  await using server = await served(inferenceHandler({ small: echo.client }));
  await using far = await remote(server.url, { binary: false }).start();
  for (let n = 0; n < 6; n++)
    await t.rejects(far.client.run({ x: Float32Array.of(Number.NaN) }), { code: "MODEL_INPUT_INVALID" });
  t.ok(await far.client.run({ x: Float32Array.of(1) }), "the circuit is closed");
});

t.test("a server whose answers are not what it described is no server of the model", async (t) => {
  await using echo = await testModel().start();
  const good = inferenceHandler({ small: echo.client });
  let output: object = {};
  await using server = await served(async (request) =>
    request.method === "GET" ? good(request) : Response.json({ outputs: [output] }),
  );
  await using far = await remote(server.url).start();
  for (const lie of [
    { name: "z", datatype: "FP32" },
    { name: "y", datatype: "INT8" },
  ]) {
    output = { ...lie, shape: [1, 1], data: [1] };
    await t.rejects(far.client.run({ x: Float32Array.of(1) }), { code: "MODEL_REMOTE_FAILED", message: /output "y"/ });
  }
});

t.test("options that are wrong are refused, and credentials do not travel in the clear", (t) => {
  const https = { url: "https://models.internal" };
  for (const wrong of [
    { url: "ftp://x" },
    { url: "http://u:p@x" },
    { ...https, models: "x" },
    { ...https, headers: { a: 1 } },
    { ...https, headers: { a: "secret\r\nb: c" } },
    { ...https, timeoutMs: 0 },
    { ...https, binary: "yes" },
  ])
    t.throws(() => new RemoteModelManager(wrong as never), { code: "OPTIONS_INVALID" });
  const headers = { Authorization: "Bearer secret" };
  const refused = { code: "OPTIONS_INVALID", message: /would go unencrypted/ };
  t.throws(() => new RemoteModelManager({ url: "http://models.internal", headers }), refused);
  for (const fine of [
    { ...https, headers },
    { url: "http://localhost:1", headers },
    { url: "http://models.internal", headers, plaintext: true },
  ])
    t.ok(new RemoteModelManager(fine));
  t.throws(() => inferenceHandler({}, { maxByte: 1 } as never), { code: "OPTIONS_INVALID" });
  t.end();
});

t.test("what is no model and no catalog is not served", (t) => {
  for (const models of [undefined, null, "echo", { echo: undefined }, { echo: {} }])
    t.throws(() => inferenceHandler(models as never), {
      code: "OPTIONS_INVALID",
      message: /models by name.*or a catalog/,
    });
  t.end();
});
