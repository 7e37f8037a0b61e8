import { connect } from "node:net";
import { until } from "@steward/testing";
import { fastify } from "fastify";
import t from "tap";
import { from, handler, refusals } from "../src/index.ts";
import { served } from "./app.ts";

const MULTIPART = { "content-type": "multipart/form-data; boundary=x" };
const JSON_BODY = { "content-type": "application/json" };

/** A multipart form of fields, and files where there is a name. */
function formOf(...parts: readonly { readonly name: string; readonly text: string; readonly file?: string }[]): string {
  const written = parts.map(({ name, text, file: filename }) => {
    const named = filename === undefined ? "" : `; filename="${filename}"`;
    return `--x\r\ncontent-disposition: form-data; name="${name}"${named}\r\n\r\n${text}\r\n`;
  });
  return `${written.join("")}--x--\r\n`;
}

t.test("what JSON or a form of text says is no file, whatever it looks like", async (t) => {
  await using client = await served(
    (app) =>
      app.post(
        "/",
        handler({ f: from.file("f") }, ({ f }) => f.content.length),
      ),
    {
      forms: {},
    },
  );
  for (const f of [{ content: { length: 5 }, filename: "forged" }, { content: "text" }, { content: [1, 2] }])
    t.equal((await client.post("/", JSON.stringify({ f }), { headers: JSON_BODY })).statusCode, 415);
  const urlencoded = { "content-type": "application/x-www-form-urlencoded" };
  t.equal((await client.post("/", "f[content]=x&f=y", { headers: urlencoded })).statusCode, 422);
  const sent = formOf({ name: "f", file: "a.txt", text: "12345" });
  t.equal((await client.post("/", sent, { headers: MULTIPART })).body, "5");
});

t.test("a field that is longer than it may be is refused, not cut", async (t) => {
  await using client = await served(
    (app) =>
      app.post(
        "/",
        handler({ a: from.form("a") }, ({ a }) => a),
      ),
    {
      forms: { maxFieldBytes: 100 },
    },
  );
  const refused = await client.post("/", formOf({ name: "a", text: "x".repeat(500) }), { headers: MULTIPART });
  t.match([refused.statusCode, refused.json()], [413, { detail: 'the field "a" is longer than 100 bytes' }]);
  t.equal(
    (await client.post("/", formOf({ name: "a", text: "x".repeat(99) }), { headers: MULTIPART })).statusCode,
    200,
  );
});

t.test("a form that is cut off, or has no boundary, is the client's mistake", async (t) => {
  await using client = await served(
    (app) =>
      app.post(
        "/",
        handler({ a: from.form("a"), f: from.file("f", { required: false }) }, ({ a }) => a),
      ),
    {
      forms: {},
    },
  );
  const whole = formOf({ name: "a", text: "1" }, { name: "f", file: "b", text: "2" });
  const headers = { "content-type": "multipart/form-data" };
  for (const answer of [
    await client.post("/", whole.slice(0, 60), { headers: MULTIPART }),
    await client.post("/", whole.slice(0, -8), { headers: MULTIPART }),
    await client.post("/", "abc", { headers }),
  ])
    t.match([answer.statusCode, answer.json()], [400, { code: "FORM_MALFORMED" }]);
  t.equal((await client.post("/", whole, { headers: MULTIPART })).body, "1");
});

t.test("what was wrong with an input is echoed in part at most, and never a file", async (t) => {
  const setting = { forms: {}, errors: { shape: "fastapi" } } as const;
  await using client = await served((app) => {
    app.post(
      "/",
      handler({ n: from.form("n", { type: "integer" }) }, ({ n }) => n),
    );
    app.get(
      "/",
      handler({ n: from.query("n", { type: "integer" }) }, ({ n }) => n),
    );
  }, setting);
  const upload = formOf({ name: "n", file: "big.bin", text: "\0".repeat(1_000_000) });
  const answer = await client.post("/", upload, { headers: MULTIPART });
  t.equal(answer.statusCode, 422);
  t.ok(answer.body.length < 1_000, `${answer.body.length} characters`);
  t.match(answer.json(), { detail: [{ input: null }] });
  const long = await client.get(`/?n=${"x".repeat(5_000)}`);
  t.ok(long.body.length < 2_000, `${long.body.length} characters`);
  t.match((await client.get("/?n=x")).json(), { detail: [{ input: "x" }] });
});

t.test("numbers that come as text are decimal, finite, and the very number that was written", async (t) => {
  await using client = await served((app) => {
    app.get(
      "/i",
      handler({ n: from.query("n", { type: "integer" }) }, ({ n }) => ({ n })),
    );
    app.get(
      "/n",
      handler({ n: from.query("n", { type: "number" }) }, ({ n }) => ({ n })),
    );
    app.get(
      "/many",
      handler({ n: from.query("n", { type: "array", items: { type: "integer" } }) }, ({ n }) => ({ n })),
    );
    app.get(
      "/s",
      handler({ n: from.query("n", { type: "string" }) }, ({ n }) => ({ n })),
    );
  });
  const asked = async (path: string, n: string): Promise<unknown> => {
    const { statusCode, body } = await client.get(`${path}?n=${encodeURIComponent(n)}`);
    return statusCode === 200 ? (JSON.parse(body) as { n: unknown }).n : statusCode;
  };
  for (const text of [
    "0x1F",
    "Infinity",
    "-Infinity",
    "1e999",
    "NaN",
    " 7",
    "7 ",
    "0b1",
    "9007199254740993",
    "--1",
    "",
  ])
    for (const path of ["/i", "/n", "/many"]) t.equal(await asked(path, text), 422, `${path} ${text}`);
  t.same(await asked("/i", "-12"), -12);
  t.same(await asked("/i", "9007199254740991"), Number.MAX_SAFE_INTEGER);
  t.same(await asked("/n", "1.5e3"), 1_500);
  t.same(await asked("/n", ".5"), 0.5);
  t.same(await asked("/many", "3"), [3]);
  t.same(await asked("/s", "0x1F"), "0x1F");
  const { body } = await client.get("/many?n=1&n=0x2");
  t.match(JSON.parse(body), { errors: [{ path: "query.n.1", code: "int_parsing" }] });
});

t.test("half-open clients that time out do not keep their connections, though they ignore the end", async (t) => {
  const app = fastify({
    ...refusals(),
    requestTimeout: 500,
    http: { connectionsCheckingInterval: 100, headersTimeout: 400 },
  });
  t.teardown(() => app.close());
  await app.listen({ port: 0, host: "127.0.0.1" });
  const { port } = app.server.address() as { port: number };
  const open = (): Promise<number> =>
    new Promise((resolve, reject) =>
      app.server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
    );
  let connected = 0; // the first may have been given up before the last comes
  app.server.on("connection", () => connected++);
  const sockets = Array.from({ length: 50 }, (_, i) => {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true }).on("error", () => {});
    // A head that never ends, or a body; none of them reads.
    socket.write(
      i % 2 === 0 ? "GET / HTTP/1.1\r\nHost: a\r\nX: " : "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx",
    );
    return socket;
  });
  t.teardown(() => sockets.forEach((socket) => socket.destroy()));
  await until(() => connected === 50, "all have connected");
  await until(async () => (await open()) === 0, "all are ended");
  const answer = await new Promise<string>((resolve) => {
    let text = "";
    connect(port, "127.0.0.1")
      .on("data", (data) => (text += String(data)))
      .on("close", () => resolve(text))
      .write("nonsense\r\n\r\n");
  });
  t.match(answer, /^HTTP\/1\.1 400 .*application\/problem\+json.*"status":400/s, "the answer arrives all the same");
});
