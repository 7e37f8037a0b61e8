import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { failure } from "@steward/testing";
import t, { type Test } from "tap";
import { download } from "../src/catalog/download.ts";
import { ModelManager, type ModelSource } from "../src/index.ts";
import { onnxModel } from "../src/testing.ts";
import { listening } from "./servers.ts";

const engine = import.meta.resolve("@steward/onnx");
const FILE = onnxModel({ sizes: [4, 3] });
const sha256 = createHash("sha256").update(FILE).digest("hex");
const KEPT = `${sha256}.onnx`;

/** A folder of its own for each test, and a server that answers as it is asked to. */
async function place(t: Test, answer: (response: ServerResponse, request: IncomingMessage) => void) {
  const cache = join(mkdtempSync(join(tmpdir(), "models-")), "new");
  t.teardown(() => rmSync(join(cache, ".."), { recursive: true }));
  let asked = 0;
  const server = await listening((request, response) => (asked++, answer(response, request)));
  t.teardown(() => server[Symbol.asyncDispose]());
  const source = { url: `${server.url}/small.onnx?token=s3cret`, sha256, cache };
  const manager = (more: object = {}) =>
    new ModelManager({ source: { ...source, ...more } as ModelSource, engine }, { name: "far" });
  const names = (): string[] => readdirSync(cache, { withFileTypes: true }).map(({ name }) => name);
  return { source, manager, names, asked: () => asked };
}

t.test("a model is fetched once, checked and kept; then a start needs no server", async (t) => {
  const { source, manager, names, asked } = await place(t, (response) => response.end(FILE));
  const both = [manager({ sha256: sha256.toUpperCase() }), manager()];
  await Promise.all(both.map((each) => each.start()));
  for (const each of both) t.same((await each.client.run({ x: new Float32Array(4) }))["y"]?.shape, [1, 3]);
  await Promise.all(both.map((each) => each.stop()));
  t.same(names(), [KEPT], "two at once are not in each other's way");
  const before = asked();
  const never = () => Promise.reject(new Error("no network"));
  await using again = await manager({ fetch: never }).start();
  t.equal(again.stats()["bytes"], FILE.byteLength);
  t.equal(asked(), before);
  writeFileSync(join(source.cache, KEPT), FILE.subarray(0, 20));
  await using damaged = await manager().start();
  t.equal(damaged.phase, "ready");
  t.same(readFileSync(join(source.cache, KEPT)), Buffer.from(FILE), "what was damaged is fetched anew");
  t.equal(asked(), before + 1);
});

t.test("a file that is another one, too long, cut short or not there is not kept", async (t) => {
  let status = 200;
  let content: Uint8Array | undefined;
  const { source, manager, names } = await place(t, (response) => {
    response.writeHead(status, content === undefined ? { "content-length": FILE.byteLength } : {});
    if (content === undefined) response.write(FILE.subarray(0, 9), () => response.destroy());
    else response.end(content);
  });
  const rows = [
    [200, FILE.subarray(0, 100), {}, { code: "MODEL_CHECKSUM", message: /or cut short/ }],
    [200, FILE, { maxBytes: 99 }, { code: "MODEL_INVALID_FILE", message: /more than 99 bytes/ }],
    [200, undefined, {}, { code: "MODEL_REMOTE_FAILED", retryable: true }],
    [404, FILE, {}, { code: "MODEL_UNKNOWN", message: /answered 404/ }],
    [503, FILE, {}, { code: "MODEL_REMOTE_FAILED", retryable: true, message: /answered 503/ }],
    [403, FILE, {}, { code: "MODEL_REMOTE_FAILED", retryable: false }],
    [
      200,
      FILE,
      { url: "http://127.0.0.1:1/x?token=s3cret" },
      { code: "MODEL_REMOTE_FAILED", message: /127\.0\.0\.1:1\/x cannot/ },
    ],
  ] as const;
  for (const [given, bytes, more, expected] of rows) {
    [status, content] = [given, bytes];
    const error = (await failure(manager(more).start())) as Error;
    t.match(error, expected);
    t.notMatch(error.message, /s3cret/);
    t.same(names(), []);
  }
  t.equal(source.sha256, sha256);
});

t.test("what killed processes have left is deleted by the next fetch, and nothing that is being written", async (t) => {
  const { source, names } = await place(t, (response) => response.end(FILE));
  mkdirSync(source.cache);
  const [old, fresh, other] = [`${KEPT}.1.part`, `${KEPT}.2.part`, "other.onnx.1.part"];
  for (const name of [old, fresh, other]) writeFileSync(join(source.cache, name), FILE.subarray(0, 9));
  const before = Date.now() / 1_000 - 2 * 60 * 60;
  for (const name of [old, other]) utimesSync(join(source.cache, name), before, before);
  t.equal(await download("far", source), join(source.cache, KEPT));
  t.same(names().sort(), [KEPT, fresh, other].sort());
});

t.test("a cache that is a file is an error with a code that names it", async (t) => {
  const { source, manager } = await place(t, (response) => response.end(FILE));
  writeFileSync(source.cache, "");
  for (const cache of [source.cache, join(source.cache, "below")])
    t.match(await failure(manager({ cache }).start()), { code: "MODEL_REMOTE_FAILED", message: cache });
});

t.test("a stop ends a fetch, and leaves nothing behind", async (t) => {
  let begun: () => void = () => {};
  const begin = new Promise<void>((resolve) => (begun = resolve));
  const { manager, names } = await place(t, (response) => (response.write(FILE.subarray(0, 9)), begun()));
  const far = manager();
  const starting = failure(far.start());
  await begin;
  await far.stop();
  t.ok(await starting);
  t.same(names(), []);
});

t.test("a URL without its checksum is refused, and so is one with a password", (t) => {
  const good = { url: "https://h/a.onnx", sha256, cache: "/tmp/x" };
  t.ok(new ModelManager({ source: good }));
  for (const wrong of [
    { ...good, sha256: undefined },
    { ...good, sha256: "abc" },
    { ...good, url: "https://u:p@h/a.onnx" },
    { ...good, url: "ftp://h/a" },
    { ...good, cache: "" },
    { ...good, maxBytes: 0 },
    { ...good, fetch: 1 },
    { ...good, file: "a.onnx" },
  ])
    t.throws(() => new ModelManager({ source: wrong as never }), { code: "OPTIONS_INVALID" });
  t.end();
});
