import { resource } from "@steward/core";
import t from "tap";
import * as v from "valibot";
import { from, handler, type InvalidInput } from "../src/index.ts";
import { got, served } from "./app.ts";

const fastapi = { errors: { shape: "fastapi" } } as const;
const asForm = { headers: { "content-type": "application/x-www-form-urlencoded" } };

t.test("P03: what is missing is named with its place", async (t) => {
  const needs = { d: resource("d", { lifetime: "request", needs: { q: from.query("q") }, start: ({ q }) => q }) };
  await using client = await served(
    (app) =>
      app.get(
        "/",
        handler(needs, () => "ok"),
      ),
    fastapi,
  );
  const answer = await client.get("/");
  t.equal(answer.statusCode, 422);
  t.strictSame(answer.json(), {
    detail: [{ type: "missing", loc: ["query", "q"], msg: "Field required", input: null }],
  });
});

t.test("P03: the same as a problem, with the request's id", async (t) => {
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ q: from.query("q") }, () => "ok"),
    ),
  );
  const answer = await client.get("/", { headers: { "x-request-id": "abc" } });
  t.equal(answer.headers["content-type"], "application/problem+json; charset=utf-8");
  t.strictSame(answer.json(), {
    type: "about:blank",
    title: "Unprocessable Entity",
    status: 422,
    detail: "the input is not valid",
    requestId: "abc",
    errors: [{ path: "query.q", code: "missing", message: "Field required" }],
  });
});

t.test("an error handler of one's own gets all problems in one error", async (t) => {
  await using client = await served((app) => {
    app.setErrorHandler((error, _request, reply) =>
      reply.code(400).send({ code: (error as { code: string }).code, count: (error as InvalidInput).issues.length }),
    );
    app.get(
      "/",
      handler({ q: from.query("q"), r: from.query("r") }, () => "ok"),
    );
  });
  t.strictSame((await client.get("/")).json(), { code: "INPUT_INVALID", count: 2 });
});

t.test("P04: the same problem of two dependencies is named once (deviation)", async (t) => {
  const reads = (name: string) =>
    resource(name, { lifetime: "request", needs: { q: from.query("q") }, start: ({ q }) => q });
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ a: reads("a"), b: reads("b"), q: from.query("q") }, () => "ok"),
    ),
  );
  t.equal((await client.get("/")).json().errors.length, 1);
});

t.test("P05: two dependencies may read one parameter with defaults of their own", async (t) => {
  await using client = await served((app) =>
    app.get(
      "/",
      handler(
        { a: from.query("q", { type: "integer", default: 1 }), b: from.query("q", { type: "integer", default: 2 }) },
        ({ a, b }) => [a, b],
      ),
    ),
  );
  t.strictSame(await got(client, "/"), [1, 2]);
  t.strictSame(await got(client, "/?q=9"), [9, 9]);
});

const item = {
  type: "object",
  required: ["name"],
  properties: { name: { type: "string" }, price: { type: "number", minimum: 0 } },
} as const;

t.test("P07: one body is the whole body", async (t) => {
  const d = resource("d", {
    lifetime: "request",
    needs: { item: from.body("item", item) },
    start: ({ item }) => item.name,
  });
  await using client = await served((app) =>
    app.post(
      "/",
      handler({ d }, ({ d }) => ({ d })),
    ),
  );
  t.strictSame((await client.post("/", { name: "a" })).json(), { d: "a" });
  const wrong = await client.post("/", { price: -1 });
  t.strictSame(
    wrong.json().errors.map((error: { path: string; code: string }) => [error.path, error.code]),
    [
      ["body.name", "missing"],
      ["body.price", "greater_than_equal"],
    ],
  );
  t.strictSame(
    (await client.post("/")).json().errors.map((error: { path: string }) => error.path),
    ["body"],
  );
});

t.test("P08: two bodies are members of one", async (t) => {
  const d = resource("d", { lifetime: "request", needs: { x: from.body("x", item) }, start: ({ x }) => x.name });
  await using client = await served((app) =>
    app.post(
      "/",
      handler({ d, y: from.body("y", item) }, ({ d, y }) => [d, y.name]),
    ),
  );
  t.strictSame((await client.post("/", { x: { name: "a" }, y: { name: "b" } })).json(), ["a", "b"]);
  t.strictSame(
    (await client.post("/", { y: { name: "b" } })).json().errors.map((error: { path: string }) => error.path),
    ["body.x"],
  );
});

t.test("P09: the same body in a dependency and in the handler is one", async (t) => {
  const x = from.body("x", item);
  const d = resource("d", { lifetime: "request", needs: { x }, start: ({ x }) => x.name });
  await using client = await served((app) =>
    app.post(
      "/",
      handler({ d, x, again: from.body("x", item) }, ({ d, x, again }) => [d, x.name, again.name]),
    ),
  );
  t.strictSame((await client.post("/", { name: "a" })).json(), ["a", "a", "a"]);
});

t.test("P10: underscores of a header's name are hyphens", async (t) => {
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ token: from.header("x_tok") }, ({ token }) => ({ token })),
    ),
  );
  t.strictSame(await got(client, "/", { "x-tok": "abc" }), { token: "abc" });
  t.equal((await client.get("/")).json().errors[0].path, "header.x-tok");
});

t.test("P14: the strict password form wants its grant type", async (t) => {
  await using client = await served(
    (app) => {
      app.post(
        "/strict",
        handler({ form: from.passwordForm({ strict: true }) }, ({ form }) => form),
      );
      app.post(
        "/lax",
        handler({ form: from.passwordForm() }, ({ form }) => form),
      );
    },
    { ...fastapi, forms: {} },
  );
  const wrong = await client.post("/strict", "grant_type=wrong&username=a&password=b", asForm);
  t.equal(wrong.statusCode, 422);
  t.match(wrong.json().detail, [
    {
      type: "string_pattern_mismatch",
      loc: ["body", "grant_type"],
      msg: "String should match pattern '^password$'",
      input: "wrong",
    },
  ]);
  t.match((await client.post("/strict", "username=a&password=b", asForm)).json().detail, [
    { type: "missing", loc: ["body", "grant_type"] },
  ]);
  t.strictSame((await client.post("/lax", "username=a&password=b&scope=x+y", asForm)).json(), {
    username: "a",
    password: "b",
    scopes: ["x", "y"],
  });
});

t.test("numbers, booleans and lists are read from text", async (t) => {
  const needs = {
    n: from.query("n", { type: "integer" }),
    f: from.query("f", { type: "number" }),
    b: from.query("b", { type: "boolean" }),
    l: from.query("l", { type: "array", items: { type: "integer" } }),
    last: from.query("last"),
    id: from.path("id", { type: "integer" }),
    c: from.cookie("c", { type: "integer", default: 7 }),
  };
  await using client = await served((app) =>
    app.get(
      "/:id",
      handler(needs, (values) => values),
    ),
  );
  t.strictSame(await got(client, "/5?n=1&f=1.5&b=true&l=1&l=2&last=a&last=b", { cookie: "other=1; c=3" }), {
    n: 1,
    f: 1.5,
    b: true,
    l: [1, 2],
    last: "b",
    id: 5,
    c: 3,
  });
  t.strictSame(await got(client, "/5?n=1&f=1.5&b=false&l=1&last=a"), {
    n: 1,
    f: 1.5,
    b: false,
    l: [1],
    last: "a",
    id: 5,
    c: 7,
  });
  const wrong = await client.get("/x?n=1.5&f=x&b=maybe&last=a&l=x");
  t.strictSame(
    wrong.json().errors.map((error: { path: string; code: string }) => [error.path, error.code]),
    [
      ["query.n", "int_parsing"],
      ["query.f", "float_parsing"],
      ["query.b", "bool_parsing"],
      ["query.l.0", "int_parsing"],
      ["path.id", "int_parsing"],
    ],
  );
});

t.test("rules of a schema are answered with FastAPI's codes", async (t) => {
  const rules = [
    [{ type: "integer", minimum: 1 }, "0", "greater_than_equal"],
    [{ type: "integer", exclusiveMinimum: 1 }, "1", "greater_than"],
    [{ type: "integer", maximum: 1 }, "2", "less_than_equal"],
    [{ type: "integer", exclusiveMaximum: 1 }, "1", "less_than"],
    [{ type: "integer", multipleOf: 5 }, "6", "multiple_of"],
    [{ type: "string", minLength: 2 }, "a", "string_too_short"],
    [{ type: "string", maxLength: 2 }, "abc", "string_too_long"],
    [{ type: "string", pattern: "^a$" }, "b", "string_pattern_mismatch"],
    [{ type: "string", enum: ["a", "b"] }, "c", "enum"],
    [{ const: "a" }, "c", "literal_error"],
    [{ type: "string", format: "uuid" }, "c", "uuid_parsing"],
  ] as const;
  await using client = await served((app) =>
    rules.forEach(([schema], i) =>
      app.get(
        `/${i}`,
        handler({ x: from.query("x", schema) }, () => "ok"),
      ),
    ),
  );
  for (const [i, [, given, code]] of rules.entries())
    t.equal((await client.get(`/${i}?x=${given}`)).json().errors?.[0]?.code, code);
});

t.test("a JSON body is not coerced, and its unknown members stay unless the schema forbids them", async (t) => {
  const strict = {
    type: "object",
    additionalProperties: false,
    properties: {
      n: { type: "integer" },
      list: { type: "array", items: { type: "object", required: ["id"], properties: { id: { type: "string" } } } },
    },
  } as const;
  await using client = await served((app) => {
    app.post(
      "/strict",
      handler({ x: from.body("x", strict) }, ({ x }) => x),
    );
    app.post(
      "/open",
      handler({ x: from.body("x", { type: "object" }) }, ({ x }) => x),
    );
  });
  const wrong = await client.post("/strict", { n: "1", extra: true, list: [{ id: "a" }, {}] });
  t.strictSame(
    wrong
      .json()
      .errors.map((error: { path: string; code: string }) => [error.path, error.code])
      .sort(),
    [
      ["body.extra", "extra_forbidden"],
      ["body.list.1.id", "missing"],
      ["body.n", "int_type"],
    ],
  );
  t.strictSame((await client.post("/open", { any: 1 })).json(), { any: 1 });
});

t.test("a body by reference to a schema of the app", async (t) => {
  await using client = await served((app) => {
    app.addSchema({ $id: "item", type: "object", required: ["name"], properties: { name: { type: "string" } } });
    app.post(
      "/",
      handler({ x: from.body("x", { $ref: "item#" }) }, ({ x }) => x),
    );
  });
  t.equal((await client.post("/", { name: "a" })).statusCode, 200);
  t.equal((await client.post("/", {})).json().errors[0].path, "body.name");
});

t.test("schemas of a library: values are what the library makes of them, also when that takes time", async (t) => {
  const count = v.pipe(v.string(), v.transform(Number), v.integer("must be a whole number"));
  const free = v.pipeAsync(
    v.object({ name: v.string() }),
    v.checkAsync(async ({ name }) => name !== "taken", "is taken"),
  );
  await using client = await served((app) => {
    app.get(
      "/",
      handler(
        { count: from.query("count", count), more: from.query("more", v.optional(v.string(), "none")) },
        ({ count, more }) => [count + 1, more],
      ),
    );
    app.post(
      "/",
      handler({ user: from.body("user", free) }, ({ user }) => user.name),
    );
  });
  t.strictSame(await got(client, "/?count=4"), [5, "none"]);
  t.match((await client.get("/?count=x")).json().errors, [
    { path: "query.count", code: "invalid", message: "must be a whole number" },
  ]);
  t.equal((await client.post("/", { name: "free" })).body, "free");
  t.match((await client.post("/", { name: "taken" })).json().errors, [{ path: "body", message: "is taken" }]);
  t.match((await client.post("/", {})).json().errors, [{ path: "body.name" }]);
});

t.test("forms and files: fields and contents, within limits", async (t) => {
  await using client = await served(
    (app) => {
      app.post(
        "/",
        handler(
          {
            title: from.form("title"),
            size: from.form("size", { type: "integer", default: 1 }),
            clip: from.file("clip"),
          },
          ({ title, size, clip }) => ({
            title,
            size,
            name: clip.filename,
            type: clip.mimetype,
            text: clip.content.toString(),
          }),
        ),
      );
    },
    { forms: { maxFileBytes: 100 } },
  );
  const send = (fields: Record<string, string>, content?: string) => {
    const parts = Object.entries(fields).map(
      ([name, value]) => `--x\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
    );
    const clip =
      content === undefined
        ? ""
        : `--x\r\ncontent-disposition: form-data; name="clip"; filename="a.txt"\r\ncontent-type: text/plain\r\n\r\n${content}\r\n`;
    return client.post("/", `${parts.join("")}${clip}--x--\r\n`, {
      headers: { "content-type": "multipart/form-data; boundary=x" },
    });
  };
  t.strictSame((await send({ title: "one", size: "3" }, "hello")).json(), {
    title: "one",
    size: 3,
    name: "a.txt",
    type: "text/plain",
    text: "hello",
  });
  t.strictSame(
    (await send({ size: "x" })).json().errors.map((error: { path: string }) => error.path),
    ["body.title", "body.size", "body.clip"],
  );
  t.equal((await send({ title: "one" }, "x".repeat(200))).statusCode, 413);
  t.equal((await client.post("/", "title=a", asForm)).json().errors[0].path, "body.clip");
});

t.test("a route that takes a JSON body and a form is refused when it is added", async (t) => {
  await t.rejects(
    served((app) =>
      app.post(
        "/",
        handler({ a: from.body("a", { type: "object" }), b: from.form("b") }, () => "ok"),
      ),
    ),
    { code: "ROUTE_INVALID" },
  );
});

t.test("outside of routes, inputs are given", async (t) => {
  const { container } = await import("@steward/container");
  const limit = from.query("limit", { type: "integer", default: 20 });
  const page = resource("page", { lifetime: "request", needs: { limit }, start: ({ limit }) => `first ${limit}` });
  await using running = await container([]).start();
  t.equal(await running.scope([limit.is(5)], { page }, ({ page }) => page), "first 5");
});

t.test("a route's own schema is checked too, in the same shape", async (t) => {
  const querystring = { type: "object", required: ["own"], properties: { own: { type: "integer" } } } as const;
  await using client = await served((app) =>
    app.get(
      "/",
      { schema: { querystring } },
      handler({ q: from.query("q") }, ({ q }, request) => ({ q, own: (request.query as { own: number }).own })),
    ),
  );
  t.strictSame(await got(client, "/?q=a&own=1"), { q: "a", own: 1 });
  t.match((await client.get("/?q=a")).json(), { status: 422, errors: [{ path: "query.own", code: "missing" }] });
});

t.test(
  "strict queries: what a route does not know is not valid, answered with the rest and after security",
  async (t) => {
    const needs = {
      key: from.apiKey("query", "key"),
      limit: from.query("limit", { type: "integer" }, { required: false }),
    };
    await using client = await served(
      (app) => {
        app.get(
          "/",
          handler(needs, ({ limit }) => ({ limit })),
        );
        app.get("/plain", () => "ok");
      },
      { strictQuery: true },
    );
    t.strictSame((await client.get("/?key=a&limit=5")).json(), { limit: 5 });
    t.equal((await client.get("/?limt=5")).statusCode, 401);
    const refused = await client.get("/?key=a&limt=5&limit=x&__proto__=1");
    t.equal(refused.statusCode, 422);
    t.strictSame(
      refused.json().errors.map(({ path, code }: { path: string; code: string }) => [path, code]),
      [
        ["query.limit", "int_parsing"],
        ["query.limt", "extra_forbidden"],
        ["query.__proto__", "extra_forbidden"],
      ],
    );
    t.equal((await client.get("/plain?x=1")).body, "ok", "not a route of ours");
  },
);
