import { resource } from "@steward/core";
import type { Answer, Ask } from "./client.ts";
import type { ServerCase } from "./world.ts";

const UUID = /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/;
const JSON_BODY = { "content-type": "application/json" };

interface Problem {
  readonly status: number;
  readonly detail: string;
  readonly requestId: string;
  readonly code?: string;
  readonly errors?: readonly { readonly path: string; readonly code: string }[];
}

function problemIn(answer: Answer): Problem {
  if (!(answer.headers["content-type"] ?? "").startsWith("application/problem+json"))
    throw new Error(`no problem, but ${answer.status} ${answer.headers["content-type"]}: ${answer.text}`);
  return JSON.parse(answer.text) as Problem; // its type says so
}

/** What requests are answered with. */
export const answerCases: readonly ServerCase[] = [
  {
    name: "gives a handler resources, what is made for each request, and inputs of the request",
    async run(world) {
      const { assert } = world;
      const { from } = world.adapter;
      const greeting = resource("greeting", { start: () => "hello" });
      let made = 0;
      const each = resource("each", { lifetime: "request", start: () => ++made });
      const twice = resource("twice", { lifetime: "request", needs: { each }, start: ({ each }) => each * 2 });
      const needs = {
        greeting,
        each,
        twice,
        name: from.path("name"),
        times: from.query("times", { type: "integer" }),
        tag: from.header("x_tag"),
      };
      const up = await world.up([{ method: "GET", path: "/hello/:name", needs, answer: (values) => values }], {}, [
        greeting,
      ]);
      for (const each of [1, 2]) {
        const answer = await up.ask("/hello/ann%20b?times=3", { headers: { "x-tag": "t" } });
        assert.strictEqual(answer.headers["content-type"], "application/json; charset=utf-8");
        const expected = { greeting: "hello", each, twice: 2 * each, name: "ann b", times: 3, tag: "t" };
        assert.strictEqual(answer.text, JSON.stringify(expected));
      }
    },
  },
  {
    name: "sends text as text, bytes as bytes, a Response as it is, nothing as nothing, and anything else as JSON",
    async run(world) {
      const results: Readonly<Record<string, () => unknown>> = {
        text: () => "text",
        bytes: () => Buffer.from("bytes"),
        response: () => new Response("made", { status: 203, headers: { "x-own": "1", "content-type": "text/x" } }),
        nothing: () => undefined,
        list: () => [1],
        later: async () => ({ a: 1 }),
      };
      const routes = Object.entries(results).map(
        ([name, answer]) => ({ method: "GET", path: `/${name}`, needs: {}, answer }) as const,
      );
      const up = await world.up(routes);
      const seen = [];
      for (const name of Object.keys(results)) {
        const { status, headers, text } = await up.ask(`/${name}`);
        seen.push([name, status, headers["content-type"] ?? "", headers["x-own"] ?? "", text].join(" | "));
      }
      world.assert.strictEqual(
        seen.join("\n"),
        [
          "text | 200 | text/plain; charset=utf-8 |  | text",
          "bytes | 200 | application/octet-stream |  | bytes",
          "response | 203 | text/x | 1 | made",
          "nothing | 200 |  |  | ",
          "list | 200 | application/json; charset=utf-8 |  | [1]",
          'later | 200 | application/json; charset=utf-8 |  | {"a":1}',
        ].join("\n"),
      );
    },
  },
  {
    name: "answers errors with problems that say no more than they may, and name the request",
    async run(world) {
      const { assert } = world;
      const { from, HttpError } = world.adapter;
      const fails = (error: Error) => () => {
        throw error;
      };
      const up = await world.up([
        { method: "GET", path: "/gone", needs: {}, answer: fails(new HttpError(410, "it is gone")) },
        { method: "GET", path: "/ours", needs: {}, answer: fails(new Error("password=hunter2 at db.internal")) },
        { method: "GET", path: "/input", needs: { n: from.query("n", { type: "integer" }) }, answer: () => "ok" },
        { method: "GET", path: "/secret", needs: { token: from.bearer() }, answer: () => "ok" },
      ]);
      const gone = await up.ask("/gone");
      const { status, detail, requestId } = problemIn(gone);
      assert.strictEqual([gone.status, status, detail].join(), "410,410,it is gone");
      assert.strictEqual(requestId, gone.headers["x-request-id"]);
      assert.ok(UUID.test(requestId), "it is a UUID of version 7");
      const ours = await up.ask("/ours");
      assert.strictEqual([ours.status, problemIn(ours).status].join(), "500,500");
      assert.ok(!ours.text.includes("hunter2") && !ours.text.includes("internal"), "nothing leaks");
      const wrong = await up.ask("/input?n=x");
      assert.strictEqual(wrong.status, 422);
      assert.strictEqual(
        problemIn(wrong)
          .errors?.map(({ path, code }) => `${path} ${code}`)
          .join(),
        "query.n int_parsing",
      );
      const secret = await up.ask("/secret");
      assert.strictEqual([secret.status, secret.headers["www-authenticate"]].join(), "401,Bearer");
      const asked = await up.ask("/gone", { headers: { "x-request-id": "mine-1" } });
      assert.strictEqual([problemIn(asked).requestId, asked.headers["x-request-id"]].join(), "mine-1,mine-1");
      const forged = await up.ask("/gone", { headers: { "x-request-id": "a b\tc" } });
      assert.ok(UUID.test(problemIn(forged).requestId), "what may not stand in a log is replaced");
    },
  },
  {
    name: "answers HEAD without a body, and what has no route with 404, or with 405 and the methods that it has",
    async run(world) {
      const { assert } = world;
      const { definition, counts } = world.lease();
      const up = await world.up([
        { method: "GET", path: "/here", needs: { lease: definition }, answer: () => "here" },
        { method: "POST", path: "/only", needs: { lease: definition }, answer: () => "only" },
      ]);
      const head = await up.ask("/here", { method: "HEAD" });
      assert.strictEqual([head.status, head.headers["content-length"], head.text].join(), "200,4,");
      await up.idle();
      assert.strictEqual(`${counts.taken} ${counts.given}`, "1 1");
      const none = await up.ask("/nowhere");
      assert.strictEqual([none.status, problemIn(none).status].join(), "404,404");
      for (const method of ["DELETE", "OPTIONS", "GET"]) {
        const other = await up.ask("/only", { method });
        const isSaid = other.status === 405 || (method === "OPTIONS" && other.status < 300);
        assert.ok(isSaid, `${method} is ${other.status}`);
        assert.ok((other.headers["allow"] ?? "").includes("POST"), `${method} says what is allowed`);
      }
      assert.strictEqual(counts.taken, 1, "nothing was made for these");
    },
  },
  {
    name: "reads JSON bodies within their bounds, and says what is wrong with others",
    async run(world) {
      const { assert } = world;
      const { from, nature } = world.adapter;
      const schema = { type: "object", properties: { a: { type: "integer" } }, required: ["a"] };
      const { definition, counts } = world.lease();
      const needs = { lease: definition, body: from.body("body", schema) };
      const answer = ({ body }: { readonly body: unknown }): unknown => body;
      const up = await world.up([{ method: "POST", path: "/", needs, answer }]);
      const post = async (body: string, headers: Readonly<Record<string, string>> = JSON_BODY) => {
        const { status, text } = await up.ask("/", { method: "POST", body, headers });
        return `${status} ${status < 300 ? text : (JSON.parse(text) as Problem).status}`;
      };
      assert.strictEqual(await post('{"a":1}'), `${nature?.created ?? 200} {"a":1}`);
      assert.strictEqual(await post('{"a":"1"}'), "422 422");
      assert.strictEqual(await post('{"a":'), "422 422", "malformed");
      assert.strictEqual(await post(""), "422 422", "missing");
      assert.strictEqual(await post('{"a":1}', { "content-type": "text/plain" }), "415 415");
      assert.strictEqual(await post(`{"a":1,"b":"${"x".repeat(1_100)}"}`), "413 413");
      const chunked = await up.ask("/", {
        method: "POST",
        headers: { ...JSON_BODY, "transfer-encoding": "chunked", "x-rest": `\r\n\r\n7d0\r\n${"x".repeat(2_000)}\r\n0` },
      });
      assert.strictEqual(chunked.status, 413, "without a length too");
      await up.idle();
      assert.strictEqual(counts.taken, counts.given);
    },
  },
  {
    name: "refuses bodies that are not UTF-8 wherever text is read from them, and paths that are none, with the same problems",
    async run(world) {
      const { assert } = world;
      const { from, nature } = world.adapter;
      const { definition: lease, counts } = world.lease();
      const json = { lease, body: from.body("body", {}) };
      const form = { lease, a: from.form("a") };
      const up = await world.up(
        [
          { method: "POST", path: "/json", needs: json, answer: ({ body }: { readonly body: unknown }) => ({ body }) },
          { method: "POST", path: "/form", needs: form, answer: ({ a }: { readonly a: string }) => ({ a }) },
          { method: "GET", path: "/path/:name", needs: { lease }, answer: () => "ok" },
        ],
        { maxBodyBytes: 9_999 },
      );
      const seen = async (path: string, ask?: Ask): Promise<string> => {
        const answer = await up.ask(path, ask);
        if (answer.status < 300)
          return `${answer.status === (nature?.created ?? 200) ? "ok" : answer.status} ${answer.text}`;
        const { status, code = "", detail } = problemIn(answer);
        return `${answer.status} ${status} ${code} ${detail}`;
      };
      for (const [path, type, text, expected] of bodies()) {
        const body = Buffer.from(text, "latin1"); // each character a byte
        const answer = await seen(path, { method: "POST", headers: { "content-type": type }, body });
        assert.strictEqual(answer, expected, `${type} ${JSON.stringify(text)}`);
      }
      const many = { method: "POST", headers: { "content-type": URLENCODED }, body: `a=1${"&b".repeat(1_000)}` };
      assert.strictEqual(await seen("/form", many), "413 413 FORM_TOO_LARGE the form has more than 1000 fields");
      await up.idle();
      const { taken } = counts;
      for (const path of [
        "/path/%zz",
        "/path/%",
        "/path/a%2",
        "/path/%ff",
        "/path/%c3%28?a=b",
        "/%zz",
        "/nowhere/%zz?n=1",
      ])
        assert.strictEqual(await seen(path), "400 400  malformed path", path);
      assert.strictEqual(counts.taken, taken, "nothing is made for these");
      assert.strictEqual((await up.ask("/path/%c3%a9?a=%zz")).status, 200);
    },
  },
];

const NOT_UTF8 = "400 400 BODY_NOT_UTF8 the body is not UTF-8";
const URLENCODED = "application/x-www-form-urlencoded";

/** Bodies of all kinds, byte by byte. The last of the first ones is as long as what it would be read as. */
function* bodies(): Iterable<readonly [path: string, type: string, body: string, expected: string]> {
  const field = (bytes: string, more = ""): string =>
    `--x\r\ncontent-disposition: form-data; name="a"\r\n${more}\r\n${bytes}\r\n--x--\r\n`;
  for (const bytes of ["\xff", "\xc3(", "\xc0\xaf", "\xed\xa0\x80", "\xf0\x9f\x98"]) {
    for (const type of ["application/json", "application/json; charset=utf-8", "application/vnd.x+json"])
      yield ["/json", type, `{"a":"${bytes}"}`, NOT_UTF8];
    yield ["/form", URLENCODED, `a=${bytes}`, NOT_UTF8];
    yield ["/form", URLENCODED, `a=${encoded(bytes)}`, NOT_UTF8];
    yield ["/form", "multipart/form-data; boundary=x", field(bytes), NOT_UTF8];
    yield [
      "/form",
      "multipart/form-data; boundary=x",
      field(bytes, "content-type: text/plain; charset=utf-8\r\n"),
      NOT_UTF8,
    ];
  }
  yield ["/json", "application/json", '\xef\xbb\xbf{"a":1}', 'ok {"body":{"a":1}}']; // a byte order mark
  for (const bytes of ["\xc3\xa9", "\xef\xbf\xbd"]) {
    yield ["/json", "application/json", `["${bytes}"]`, `ok {"body":["${bytes}"]}`];
    yield ["/form", URLENCODED, `a=${bytes}`, `ok {"a":"${bytes}"}`];
    yield ["/form", URLENCODED, `a=${encoded(bytes)}`, `ok {"a":"${bytes}"}`];
    yield ["/form", "multipart/form-data; boundary=x", field(bytes), `ok {"a":"${bytes}"}`];
  }
  yield ["/form", URLENCODED, "a=50%+or+%zz", 'ok {"a":"50% or %zz"}'];
}

function encoded(bytes: string): string {
  return [...Buffer.from(bytes, "latin1")].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
}
