import { failure } from "@steward/testing";
import t from "tap";
import { ModelManager, type Compute, type Tensor, type Tensors } from "../src/index.ts";
import { RemoteModelManager, type RemoteModelOptions } from "../src/protocol/remote.ts";
import { inferenceHandler } from "../src/protocol/serve.ts";
import { listening, served } from "./servers.ts";

const LENGTH = "inference-header-content-length";

/** Gives back what it is given: whole numbers, fractions, truths and texts. */
const MIRROR: Compute = {
  inputs: [
    { name: "ids", type: "int64", shape: ["n", 1] },
    { name: "x", type: "float32", shape: ["n", 2] },
    { name: "on", type: "bool", shape: ["n", 1] },
    { name: "words", type: "string", shape: ["n", 1] },
  ],
  outputs: [
    { name: "ids", type: "int64", shape: ["n", 1] },
    { name: "x", type: "float32", shape: ["n", 2] },
    { name: "on", type: "bool", shape: ["n", 1] },
    { name: "words", type: "string", shape: ["n", 1] },
  ],
  run: (feeds) => feeds,
};

const INPUT: Tensors = {
  ids: { type: "int64", shape: [2, 1], data: BigInt64Array.of(2n ** 53n - 1n, -7n) },
  x: { type: "float32", shape: [2, 2], data: Float32Array.of(0.1, -2, 1e-7, 3) },
  on: { type: "bool", shape: [2, 1], data: Uint8Array.of(1, 0) },
  words: { type: "string", shape: [2, 1], data: ["", "Grüße, 世界"] },
};

const remote = (url: string, options: Partial<RemoteModelOptions> = {}) =>
  new RemoteModelManager({ url, model: "mirror", ...options }, { name: "far" });

/** A body as the extension writes it: JSON, and bytes behind it. */
function behind(json: object, ...parts: readonly Uint8Array[]): { body: Buffer; headers: Record<string, string> } {
  const head = Buffer.from(JSON.stringify(json));
  return { body: Buffer.concat([head, ...parts]), headers: { [LENGTH]: String(head.byteLength) } };
}

/** A text with its length in front. */
function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from(Uint32Array.of(bytes.byteLength).buffer), bytes]);
}

t.test("tensors are the same in JSON and as bytes, texts among them", async (t) => {
  await using local = await new ModelManager({ compute: MIRROR }).start();
  const types: (string | undefined)[] = [];
  const handler = inferenceHandler({ mirror: local.client });
  await using server = await served(async (request) => {
    if (request.method === "POST") types.push(request.headers.get("content-type") ?? undefined);
    const answer = await handler(request);
    if (request.method === "POST") types.push(answer.headers.get("content-type") ?? undefined);
    return answer;
  });
  for (const binary of [undefined, true, false]) {
    await using far = await remote(server.url, { binary }).start();
    t.same(await far.client.run(INPUT), INPUT, String(binary));
    t.same(far.client.inputs[3], { name: "words", type: "string", shape: ["", 1] });
  }
  const [bytes, json] = ["application/octet-stream", "application/json"];
  t.same(types, [bytes, bytes, bytes, bytes, json, json], "as bytes where the server says that it takes them");
  await using far = await remote(server.url).start();
  const big: Tensor = { type: "int64", shape: [2, 1], data: BigInt64Array.of(2n ** 60n + 1n, 0n) };
  const odd: Tensor = { type: "float32", shape: [2, 2], data: Float32Array.of(Number.NaN, Infinity, -Infinity, -0) };
  t.same(await far.client.run({ ...INPUT, ids: big, x: odd }), { ...INPUT, ids: big, x: odd }, "what JSON cannot say");
});

/** A second server of the extension, written from its page alone: it says how long each text is. */
function foreign(extensions: readonly string[] | undefined, seen: unknown[]) {
  return listening(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const all = Buffer.concat(parts);
    const reply = (body: Buffer, headers: object = {}): void => void response.writeHead(200, { ...headers }).end(body);
    if (request.url === "/v2")
      return extensions === undefined
        ? void response.writeHead(404).end("<html>")
        : reply(Buffer.from(JSON.stringify({ name: "other", version: "1", extensions })));
    if (request.method === "GET") {
      const inputs = [{ name: "words", datatype: "BYTES", shape: [-1] }];
      const outputs = [{ name: "lengths", datatype: "UINT32", shape: [-1] }];
      return reply(Buffer.from(JSON.stringify({ name: "mirror", versions: ["2"], platform: "x", inputs, outputs })));
    }
    const length = request.headers[LENGTH];
    const head = JSON.parse(all.toString("utf8", 0, length === undefined ? all.length : Number(length))) as {
      inputs: { data?: string[]; shape: number[]; parameters?: { binary_data_size: number } }[];
      parameters?: unknown;
    };
    const [first] = head.inputs;
    seen.push(head);
    const words = [...(first?.data ?? [])];
    for (let at = Number(length); at < all.length;) {
      const size = all.readUInt32LE(at);
      words.push(all.toString("utf8", at + 4, at + 4 + size));
      at += 4 + size;
    }
    const lengths = Uint32Array.from(words, (word) => word.length);
    const output = { name: "lengths", datatype: "UINT32", shape: [lengths.length] };
    if (length === undefined)
      return reply(Buffer.from(JSON.stringify({ outputs: [{ ...output, data: [...lengths] }] })));
    const parameters = { binary_data_size: lengths.byteLength };
    const { body, headers } = behind({ outputs: [{ ...output, parameters }] }, Buffer.from(lengths.buffer));
    return reply(body, headers);
  });
}

t.test("a client of ours sends bytes to another implementation that takes them, and JSON to others", async (t) => {
  const words: Tensor = { type: "string", shape: [3], data: ["a", "", "größer"] };
  for (const [extensions, binary, sendsBytes] of [
    [["classification", "binary_tensor_data"], undefined, true],
    [["classification"], undefined, false],
    [undefined, undefined, false],
    [undefined, true, true],
    [["binary_tensor_data"], false, false],
  ] as const) {
    const seen: unknown[] = [];
    await using server = await foreign(extensions, seen);
    await using far = await remote(server.url, { binary }).start();
    const { lengths } = await far.client.run({ words });
    t.same(lengths, { type: "uint32", shape: [3], data: Uint32Array.of(1, 0, 6) }, String(extensions));
    const given = sendsBytes ? { parameters: { binary_data_size: 21 } } : { data: ["a", "", "größer"] };
    t.same(seen, [
      {
        inputs: [{ name: "words", shape: [3], datatype: "BYTES", ...given }],
        ...(sendsBytes ? { parameters: { binary_data_output: true } } : {}),
      },
    ]);
  }
});

t.test("a server of ours takes and gives each tensor in the form that is asked for", async (t) => {
  await using local = await new ModelManager({ compute: MIRROR }).start();
  const handler = inferenceHandler({ mirror: local.client });
  const ask = async (json: object, ...parts: readonly Uint8Array[]) => {
    const { body, headers } = behind(json, ...parts);
    const answer = await handler(
      new Request("http://h/v2/models/mirror/infer", {
        method: "POST",
        body,
        headers: parts.length > 0 ? headers : {},
      }),
    );
    const bytes = Buffer.from(await answer.arrayBuffer());
    const length = answer.headers.get(LENGTH);
    const head = JSON.parse(bytes.toString("utf8", 0, length === null ? bytes.length : Number(length))) as {
      outputs: { name: string; data?: unknown; parameters?: unknown }[];
    };
    t.equal(answer.headers.get("content-length"), String(bytes.byteLength));
    return { outputs: head.outputs, rest: length === null ? undefined : bytes.subarray(Number(length)) };
  };
  const size = (bytes: number) => ({ parameters: { binary_data_size: bytes } });
  const inputs = [
    { name: "words", datatype: "BYTES", shape: [1, 1], ...size(6) },
    { name: "on", datatype: "BOOL", shape: [1, 1], data: [true] },
    { name: "x", datatype: "FP32", shape: [1, 2], ...size(8) },
    { name: "ids", datatype: "INT64", shape: [1, 1], data: [5] },
  ];
  const parts = [text("hé").subarray(0, 6), Buffer.from(Float32Array.of(1.5, -1).buffer)];
  t.equal(text("hé").byteLength, 7, "so the first is cut short");
  const cut = await handler(
    new Request("http://h/v2/models/mirror/infer", { method: "POST", ...behind({ inputs }, ...parts) }),
  );
  t.match(await cut.json(), { error: /"words": element 0 is cut short/ });
  parts[0] = text("hi");
  const asJson = await ask({ inputs }, ...parts);
  t.equal(asJson.rest, undefined, "JSON, unless it is asked for otherwise");
  t.match(
    asJson.outputs.find(({ name }) => name === "words"),
    { data: ["hi"], datatype: "BYTES" },
  );
  const outputs = [{ name: "x", parameters: { binary_data: false } }, { name: "words" }, { name: "on" }];
  const some = await ask({ inputs, outputs, parameters: { binary_data_output: true } }, ...parts);
  t.same(some.outputs.map(({ name, data, parameters }) => [name, data ?? parameters]).sort(), [
    ["on", { binary_data_size: 1 }],
    ["words", { binary_data_size: 6 }],
    ["x", [1.5, -1]],
  ]);
  const order = some.outputs.filter(({ data }) => data === undefined).map(({ name }) => name);
  t.same(some.rest, Buffer.concat(order.map((name) => (name === "on" ? Buffer.of(1) : text("hi")))), "in their order");
  const one = await ask({ inputs, outputs: [{ name: "ids", parameters: { binary_data: true } }] }, ...parts);
  t.same(one.rest, Buffer.from(BigInt64Array.of(5n).buffer));
});

t.test("bytes that are not what the JSON says are refused before anything is run", async (t) => {
  let runs = 0;
  const compute: Compute = { ...MIRROR, run: (feeds) => (runs++, feeds) };
  await using local = await new ModelManager({ compute }).start();
  runs = 0;
  const handler = inferenceHandler({ mirror: local.client }, { maxBytes: 2_000 });
  const post = (body: Buffer, headers: Record<string, string>) =>
    handler(new Request("http://h/v2/models/mirror/infer", { method: "POST", body, headers }));
  const with_ = (input: object, ...parts: readonly Uint8Array[]) => behind({ inputs: [input] }, ...parts);
  const x = { name: "x", datatype: "FP32", shape: [1, 2] };
  const words = { name: "words", datatype: "BYTES", shape: [2, 1] };
  const size = (binary_data_size: unknown) => ({ parameters: { binary_data_size } });
  const eight = Buffer.alloc(8);
  const whole = with_({ ...x, ...size(8) }, eight);
  const wrong: readonly (readonly [ReturnType<typeof behind>, RegExp])[] = [
    [with_({ ...x, ...size(8) }, Buffer.alloc(7)), /binary_data_size must be .* at most the 7 that are left/],
    [with_({ ...x, ...size(8) }, Buffer.alloc(9)), /1 bytes behind the JSON belong to no tensor/],
    [with_({ ...x, ...size(4) }, Buffer.alloc(4)), /a shape of 1x2 has 8 bytes, and 4 came/],
    [with_({ ...x, shape: [2 ** 40, 2], ...size(8) }, eight), /has 8796093022208 bytes, and 8 came/],
    [with_({ ...x, shape: [2 ** 53, 2], ...size(8) }, eight), /shape must be a list of whole numbers/],
    [with_({ ...x, ...size(-1) }, eight), /binary_data_size must be/],
    [with_({ ...x, ...size("8") }, eight), /binary_data_size must be/],
    [with_({ ...x, ...size(1e99) }, eight), /binary_data_size must be/],
    [with_({ ...x, data: [1, 2], ...size(8) }, eight), /has data and binary_data_size/],
    [with_({ ...x, parameters: [] }, eight), /parameters must be an object/],
    [with_({ name: "on", datatype: "BOOL", shape: [1, 1], ...size(1) }, Buffer.of(2)), /a byte of BOOL is 0 or 1/],
    [with_({ ...words, ...size(4) }, Buffer.alloc(4)), /shape has 2 elements, and 1 came/],
    [with_({ ...words, ...size(12) }, Buffer.alloc(12)), /shape has 2 elements, and more came/],
    [with_({ ...words, ...size(3) }, Buffer.alloc(3)), /element 0 is cut short/],
    [with_({ ...words, ...size(8) }, Buffer.alloc(8, 255)), /element 0 is cut short/],
    [with_({ ...words, ...size(9) }, Buffer.of(1, 0, 0, 0, 255, 0, 0, 0, 0)), /element 0 is no text in UTF-8/],
    [with_({ ...words, data: ["a", 1] }), /element 1 is no text/],
    [{ ...whole, headers: {} }, /no JSON/],
    [{ ...whole, headers: { [LENGTH]: "99999" } }, /must be a number of bytes, at most/],
    [{ ...whole, headers: { [LENGTH]: "-1" } }, /must be a number of bytes/],
    [{ ...whole, headers: { [LENGTH]: "1e1" } }, /must be a number of bytes/],
    [{ ...whole, headers: { [LENGTH]: "3" } }, /no JSON/],
    [behind({ inputs: [], parameters: { binary_data_output: 1 } }), /binary_data_output must be true or false/],
    [behind({ inputs: [], outputs: [{ name: "x", parameters: { binary_data: "a" } }] }), /binary_data must be true/],
  ];
  for (const [{ body, headers }, error] of wrong) {
    const answer = await post(body, headers);
    t.equal(answer.status, 400, String(error));
    t.match(await answer.json(), { error });
  }
  const huge = with_({ ...x, ...size(4_000) }, Buffer.alloc(4_000));
  t.equal((await post(huge.body, huge.headers)).status, 413);
  t.equal(runs, 0);
});

t.test("bytes of a server that are not what it says are no answer", async (t) => {
  await using local = await new ModelManager({ compute: MIRROR }).start();
  const good = inferenceHandler({ mirror: local.client });
  let answer = behind({ outputs: [] });
  await using server = await served(async (request) =>
    request.method === "GET" ? good(request) : new Response(new Uint8Array(answer.body), { headers: answer.headers }),
  );
  await using far = await remote(server.url, { breaker: false }).start();
  const x = { name: "x", datatype: "FP32", shape: [2, 2], parameters: { binary_data_size: 16 } };
  for (answer of [
    behind({ outputs: [x] }, Buffer.alloc(15)),
    behind({ outputs: [x] }, Buffer.alloc(17)),
    behind({ outputs: [{ ...x, shape: [3, 2] }] }, Buffer.alloc(16)),
    { ...behind({ outputs: [x] }, Buffer.alloc(16)), headers: { [LENGTH]: "1000000" } },
  ])
    t.match(await failure(far.client.run(INPUT)), {
      code: "MODEL_REMOTE_FAILED",
      retryable: answer.headers[LENGTH] === "1000000",
    });
});
