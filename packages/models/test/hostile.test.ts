import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { FakeClock, failure } from "@steward/testing";
import t from "tap";
import { RemoteModelManager, type RemoteModelOptions } from "../src/protocol/remote.ts";
import { inferenceHandler } from "../src/protocol/serve.ts";
import { testModel } from "../src/testing.ts";
import { listening } from "./servers.ts";

/** An object of which neither a text nor a number can be made. */
const NONE = { toString: 1, valueOf: 1 };
const X = { name: "x", shape: [1, 1], datatype: "FP32", data: [7] };
const Y = { ...X, name: "y" };
const DESCRIPTION = {
  versions: ["1"],
  inputs: [{ name: "x", datatype: "FP32", shape: [-1, 1] }],
  outputs: [{ name: "y", datatype: "FP32", shape: [-1, 1] }],
};

/** One element, and sizes, in as many lists as the stack of calls is not. */
const DEEP = JSON.stringify({ ...Y, shape: Array(100_000).fill(1), data: "DATA" }).replace(
  '"DATA"',
  "[".repeat(100_000) + "1" + "]".repeat(100_000),
);

t.test("requests that are none of the protocol are refused as the fault of the caller", async (t) => {
  await using local = await testModel().start();
  const handler = inferenceHandler({ echo: local.client });
  const ask = (body: string) => handler(new Request("http://h/v2/models/echo/infer", { method: "POST", body }));
  for (const [wrong, why] of [
    [JSON.stringify({ ...X, datatype: NONE }), /datatype must be text/],
    [DEEP, /at most 64 sizes/],
    [JSON.stringify({ ...X, name: "x".repeat(100_000) }), /a name of more than 1000 characters/],
    [JSON.stringify({ ...X, datatype: "x".repeat(100_000) }), /is not supported/],
  ] as const) {
    const answer = await ask(`{"inputs":[${wrong}]}`);
    const { error } = (await answer.json()) as { error: string };
    t.equal(answer.status, 400);
    t.match(error, why);
    t.ok(error.length < 500, `${error.length} characters`);
  }
});

t.test("a body that comes byte by byte takes no more memory than one that comes at once", async (t) => {
  const worker = new Worker(new URL("./small-parts.js", import.meta.url), {
    resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 8 },
  });
  t.same(await once(worker, "exit"), [0]);
});

t.test("a version is found by its name, whatever is in it", async (t) => {
  await using local = await testModel().start();
  const { client } = local;
  const odd = { ...client, version: "2026/1", run: client.run };
  const handler = inferenceHandler({ echo: odd });
  const answer = await handler(new Request("http://h/v2/models/echo/versions/2026%2F1/ready"));
  t.equal(answer.status, 200);
});

/** A server that describes a model and answers as it is asked to, and a client of it. */
async function far(options: Partial<RemoteModelOptions> = {}, clock = new FakeClock()) {
  const says = { description: DESCRIPTION as object, status: 200, headers: {}, answer: "{}", isSilent: false };
  const seen: string[] = [];
  const server = await listening((request, response) => {
    request.resume();
    seen.push(`${request.method} ${request.url}`);
    if (says.isSilent) return;
    if (request.method === "GET") response.end(JSON.stringify(says.description));
    else response.writeHead(says.status, says.headers).end(says.answer);
  });
  const manager = (): RemoteModelManager =>
    new RemoteModelManager({ url: server.url, model: "m", breaker: false, ...options }, { name: "far", clock });
  return { says, seen, manager, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

t.test("descriptions that are none of the protocol are refused at the start", async (t) => {
  await using server = await far();
  for (const wrong of [
    { inputs: [{ name: "x", datatype: NONE, shape: [1] }] },
    { inputs: [{ name: "x", datatype: "FP32", shape: [NONE] }] },
    { outputs: [{ name: "y", datatype: "FP32", shape: ["many"] }] },
    { outputs: [{ name: "y", datatype: "FP32", shape: [1.5] }] },
  ]) {
    server.says.description = { ...DESCRIPTION, ...wrong };
    t.match(await failure(server.manager().start()), { code: "MODEL_REMOTE_FAILED" }, JSON.stringify(wrong));
  }
  server.says.description = { ...DESCRIPTION, versions: [NONE] };
  await using manager = await server.manager().start();
  t.equal(manager.client.version, "");
});

t.test("answers that are none of the protocol are failures of the server, with a code", async (t) => {
  await using server = await far();
  await using manager = await server.manager().start();
  const call = async (status: number, answer: string, headers = {}): Promise<unknown> => {
    Object.assign(server.says, { status, answer, headers });
    return failure(manager.client.run({ x: Float32Array.of(1) }));
  };
  const code = "MODEL_REMOTE_FAILED";
  t.match(await call(200, JSON.stringify({ outputs: [{ ...Y, datatype: NONE }] })), { code });
  t.match(await call(200, `{"outputs":[${DEEP}]}`), { code });
  t.match(await call(500, JSON.stringify({ error: NONE })), { code, message: /answered 500/ });
  for (const [after, ms] of [
    ["2", 2_000],
    ["-5", undefined],
    ["1e300", undefined],
    ["", undefined],
  ] as const)
    t.match(await call(503, "{}", { "retry-after": after }), { code, retryAfterMs: ms }, after);
});

t.test("a redirect is no answer: tensors and credentials go to the server that was chosen alone", async (t) => {
  await using other = await far();
  await using server = await far({ headers: { "x-api-key": "s3cret" } });
  await using manager = await server.manager().start();
  Object.assign(server.says, { status: 307, headers: { location: "/v2/models/other/infer" } });
  const wrong = await failure(manager.client.run({ x: Float32Array.of(1) }));
  t.match(wrong, { code: "MODEL_REMOTE_FAILED", retryable: false, message: /answered 307/ });
  t.notOk(server.seen.includes("POST /v2/models/other/infer"));
  t.same(other.seen, []);
});

t.test("a server that is silent ends a renewal in the time of a call, and the model stays as it was", async (t) => {
  const clock = new FakeClock();
  await using server = await far({ timeoutMs: 500 }, clock);
  await using manager = await server.manager().start();
  server.says.isSilent = true;
  const renewing = failure(manager.renew());
  await clock.advance(500);
  t.match(await renewing, { code: "MODEL_REMOTE_FAILED", retryable: true, message: /within 500 ms/ });
  t.equal(manager.client.inputs.length, 1);
});
