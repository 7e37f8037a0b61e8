import websocket from "@fastify/websocket";
import SwaggerParser from "@apidevtools/swagger-parser";
import { Validator } from "@seriousme/openapi-schema-validator";
import { resource, type RateLimiter } from "@steward/core";
import t, { type Test } from "tap";
import { by, from, handler, HttpError, rateLimit, security, socketHandler, type OpenApiOptions } from "../src/index.ts";
import { got, served } from "./app.ts";
import type { FastifyInstance } from "fastify";

interface Operation {
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required?: boolean;
    readonly schema: { readonly default?: unknown };
  }[];
  readonly requestBody?: {
    readonly required?: boolean;
    readonly content: Readonly<
      Record<string, { readonly schema: { readonly required?: readonly string[]; readonly properties?: object } }>
    >;
  };
  readonly responses: Readonly<Record<string, unknown>>;
  readonly security?: readonly Readonly<Record<string, readonly string[]>>[];
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly securitySchemes?: Readonly<Record<string, unknown>> };
}

/** The document of an app's routes; valid OpenAPI 3.1, or the test fails. */
async function documentOf(
  t: Test,
  routes: (app: FastifyInstance) => void,
  roots: Parameters<typeof served>[1] = {},
): Promise<Document> {
  await using client = await served(routes, {
    forms: {},
    openapi: { title: "test", version: "1.0.0", docs: false },
    ...roots,
  });
  const document = (await got(client, "/openapi.json")) as Document;
  const validated = await new Validator().validate(document as never);
  t.ok(validated.valid, "it is valid OpenAPI 3.1", { errors: validated.errors });
  await t.resolves(SwaggerParser.validate(structuredClone(document) as never), "another validator says so too");
  return document;
}

t.test("A01: inputs of all dependencies, each once: path, query, header, cookie", async (t) => {
  const deep = resource("deep", {
    lifetime: "request",
    needs: { c: from.cookie("c"), h: from.header("x_h"), q: from.query("q", { type: "integer", default: 2 }) },
    start: (needs) => needs,
  });
  const middle = resource("middle", {
    lifetime: "request",
    needs: { deep, id: from.path("id") },
    start: (needs) => needs,
  });
  const { paths } = await documentOf(
    t,
    (app) =>
      void app.get(
        "/:id",
        handler({ middle, deep, q: from.query("q", { type: "integer", default: 2 }) }, () => "ok"),
      ),
  );
  t.strictSame(
    paths["/{id}"]?.["get"]?.parameters?.map(({ in: place, name, required = false }) => `${place} ${name} ${required}`),
    ["path id true", "query q false", "header x-h true", "cookie c true"],
  );
});

t.test("A02: an input that is kept out of the document is checked all the same", async (t) => {
  const secret = from.query("secret", { type: "integer" }, { inDocument: false });
  await using client = await served(
    (app) =>
      app.get(
        "/",
        handler({ secret }, ({ secret }) => ({ secret })),
      ),
    { openapi: { title: "t", version: "1", docs: false } },
  );
  t.equal((await client.get("/")).statusCode, 422);
  const { paths } = (await got(client, "/openapi.json")) as Document;
  t.notOk(paths["/"]?.["get"]?.parameters?.some(({ name }) => name === "secret"));
});

t.test("A04: a body of a dependency is the operation's, and required", async (t) => {
  const d = resource("d", {
    lifetime: "request",
    needs: { item: from.body("item", { type: "object", required: ["x"], properties: { x: { type: "string" } } }) },
    start: ({ item }) => item,
  });
  const { paths } = await documentOf(t, (app) => {
    app.post(
      "/one",
      handler({ d }, () => "ok"),
    );
    app.post(
      "/two",
      handler({ d, other: from.body("other", { type: "object" }) }, () => "ok"),
    );
    app.post(
      "/upload",
      handler({ title: from.form("title"), clip: from.file("clip") }, () => "ok"),
    );
  });
  const one = paths["/one"]?.["post"]?.requestBody;
  t.equal(one?.required, true);
  t.strictSame(one?.content["application/json"]?.schema.required, ["x"]);
  t.strictSame(
    Object.keys(paths["/two"]?.["post"]?.requestBody?.content["application/json"]?.schema.properties ?? {}),
    ["item", "other"],
  );
  t.strictSame(paths["/upload"]?.["post"]?.requestBody?.content["multipart/form-data"]?.schema.required, [
    "title",
    "clip",
  ]);
});

t.test("A05: 422 is in the document where there is input, 401 and 403 where there is security", async (t) => {
  const user = resource("user", {
    lifetime: "request",
    needs: { token: from.bearer() },
    start: ({ token }) => ({ token, scopes: ["a"] }),
  });
  const { paths } = await documentOf(t, (app) => {
    app.get(
      "/input",
      handler({ q: from.query("q") }, () => "ok"),
    );
    app.get(
      "/user",
      handler({ user }, () => "ok"),
    );
    app.get(
      "/scoped",
      handler({ user: security(user, ["a"]) }, () => "ok"),
    );
    app.get(
      "/none",
      handler({ request: from.request }, () => "ok"),
    );
  });
  const codes = (path: string) => Object.keys(paths[path]?.["get"]?.responses ?? {}).sort();
  t.strictSame(codes("/input"), ["200", "422"]);
  t.strictSame(codes("/user"), ["200", "401"]);
  t.strictSame(codes("/scoped"), ["200", "401", "403"]);
  t.strictSame(codes("/none"), ["200"]);
});

t.test("A06: scopes above a scheme are demanded of it", async (t) => {
  const scheme = from.oauth2Password("/token", { scopes: { a: "first", b: "second" } });
  const owner = resource("owner", {
    lifetime: "request",
    needs: { token: scheme, requiredScopes: from.requiredScopes },
    start: ({ token }) => token,
  });
  const user = resource("user", {
    lifetime: "request",
    needs: { owner: security(owner, ["a"]) },
    start: ({ owner }) => owner,
  });
  const { paths } = await documentOf(
    t,
    (app) =>
      void app.get(
        "/",
        handler({ user: security(user, ["b"]) }, () => "ok"),
      ),
  );
  t.strictSame(paths["/"]?.["get"]?.security, [{ oauth2Password: ["b", "a"] }]);
});

t.test("A07: a scheme that is demanded twice stands there once, with all scopes", async (t) => {
  const scheme = from.oauth2Password("/token", { scopes: { a: "first", b: "second" } });
  const owner = resource("owner", {
    lifetime: "request",
    needs: { scheme, requiredScopes: from.requiredScopes },
    start: () => 1,
  });
  const { paths } = await documentOf(
    t,
    (app) =>
      void app.get(
        "/",
        handler({ a: security(owner, ["a"]), b: security(owner, ["b"]) }, () => "ok"),
      ),
  );
  t.strictSame(paths["/"]?.["get"]?.security, [{ oauth2Password: ["a", "b"] }]);
});

t.test("A11: WebSocket routes are not in the document", async (t) => {
  const { paths } = await documentOf(t, (app) => {
    app.get(
      "/http",
      handler({}, () => "ok"),
    );
    app.register(websocket);
    app.register(async (inner) => {
      inner.get(
        "/ws",
        { websocket: true },
        socketHandler({ q: from.query("q") }, () => {}),
      );
    });
  });
  t.strictSame(Object.keys(paths), ["/http"]);
});

t.test("A08: what is demanded together stands together (deviation: FastAPI writes alternatives)", async (t) => {
  const { paths } = await documentOf(
    t,
    (app) =>
      void app.get(
        "/",
        handler({ a: from.bearer(), b: from.apiKey("header", "x-key") }, () => "ok"),
      ),
  );
  t.strictSame(paths["/"]?.["get"]?.security, [{ bearer: [], apiKeyHeader: [] }]);
});

t.test("A09: what may be missing has an alternative without it (deviation)", async (t) => {
  const { paths } = await documentOf(t, (app) => {
    app.get(
      "/optional",
      handler({ a: from.bearer({ autoError: false }) }, () => "ok"),
    );
    app.get(
      "/either",
      handler(
        {
          a: from.bearer({ autoError: false }),
          b: from.apiKey("cookie", "sid", { autoError: false }),
          c: from.basic(),
        },
        () => "ok",
      ),
    );
  });
  t.strictSame(paths["/optional"]?.["get"]?.security, [{ bearer: [] }, {}]);
  t.strictSame(paths["/either"]?.["get"]?.security, [
    { basic: [], bearer: [], apiKeyCookie: [] },
    { basic: [], apiKeyCookie: [] },
    { basic: [], bearer: [] },
    { basic: [] },
  ]);
});

t.test("A12: every scheme as OpenAPI writes it", async (t) => {
  const needs = {
    header: from.apiKey("header", "x-key", { description: "ask us" }),
    query: from.apiKey("query", "key"),
    cookie: from.apiKey("cookie", "key"),
    basic: from.basic(),
    bearer: from.bearer({ bearerFormat: "JWT" }),
    digest: from.digest(),
    other: from.httpAuthorization("Other", { name: "other" }),
    password: from.oauth2Password("/token", { scopes: { a: "first" }, refreshUrl: "/refresh" }),
    code: from.oauth2AuthorizationCode({ authorizationUrl: "https://a.example/auth", tokenUrl: "/token" }),
    oidc: from.openIdConnect("https://a.example/.well-known/openid-configuration"),
  };
  const { components } = await documentOf(
    t,
    (app) =>
      void app.get(
        "/",
        handler(needs, () => "ok"),
      ),
  );
  t.strictSame(components.securitySchemes, {
    apiKeyHeader: { type: "apiKey", in: "header", name: "x-key", description: "ask us" },
    apiKeyQuery: { type: "apiKey", in: "query", name: "key" },
    apiKeyCookie: { type: "apiKey", in: "cookie", name: "key" },
    basic: { type: "http", scheme: "basic" },
    bearer: { type: "http", scheme: "bearer", bearerFormat: "JWT" },
    digest: { type: "http", scheme: "digest" },
    other: { type: "http", scheme: "other" },
    oauth2Password: {
      type: "oauth2",
      flows: { password: { tokenUrl: "/token", scopes: { a: "first" }, refreshUrl: "/refresh" } },
    },
    oauth2AuthorizationCode: {
      type: "oauth2",
      flows: { authorizationCode: { authorizationUrl: "https://a.example/auth", tokenUrl: "/token", scopes: {} } },
    },
    openIdConnect: { type: "openIdConnect", openIdConnectUrl: "https://a.example/.well-known/openid-configuration" },
  });
});

t.test("a route's own schema and what its dependencies take are one in the document", async (t) => {
  const schema = {
    querystring: { type: "object", required: ["own"], properties: { own: { type: "integer" } } },
    response: { 200: { type: "object", properties: { n: { type: "integer" } } } },
  } as const;
  const { paths } = await documentOf(
    t,
    (app) =>
      void app.get(
        "/",
        { schema },
        handler(
          { q: from.query("q", { type: "string" }, { description: "what to look for", required: false }) },
          () => ({
            n: 1,
          }),
        ),
      ),
  );
  t.strictSame(
    paths["/"]?.["get"]?.parameters?.map(({ name, required }) => [name, required]),
    [
      ["q", false],
      ["own", true],
    ],
  );
  t.strictSame(Object.keys(paths["/"]?.["get"]?.responses ?? {}), ["200", "422"]);
});

t.test("the page for people is at /docs, and neither it nor health routes are in the document", async (t) => {
  await using client = await served(
    (app) =>
      app.get(
        "/",
        handler({}, () => "ok"),
      ),
    { health: {}, openapi: { title: "t", version: "1" } },
  );
  const page = await client.get("/docs");
  t.equal(page.statusCode, 200);
  t.match(page.headers["content-type"], /html/);
  const { paths } = (await got(client, "/openapi.json")) as Document;
  t.strictSame(Object.keys(paths), ["/"]);
  const [, script = ""] = /src="\/docs\/(static\/swagger-ui-bundle\.js)"/.exec(page.body) ?? [];
  const bundle = await client.get(`/docs/${script}`);
  t.match(bundle.headers["content-type"], /javascript/);
  t.ok(bundle.rawPayload.length > 100_000, "what the page loads is there, whole");
  const again = await client.get(`/docs/${script}`, { headers: { "if-none-match": String(bundle.headers["etag"]) } });
  t.equal(again.statusCode, 304);
  t.strictSame((await got(client, "/docs/json")) as Document, await got(client, "/openapi.json"));
  t.equal((await client.get("/docs/nothing")).statusCode, 404);
});

t.test("routes of plugins, their shared schemas and versions of a route are in the document", async (t) => {
  const { paths, components } = await documentOf(t, (app) => {
    app.addSchema({ $id: "clip", type: "object", properties: { title: { type: "string" } } });
    app.register(async (inner) => {
      inner.addSchema({ $id: "inner", type: "object", properties: { n: { type: "integer" } } });
      inner.get("/inner", { schema: { response: { 200: { $ref: "inner#" } } } }, () => ({}));
    });
    app.get(
      "/clip",
      { schema: { response: { 200: { $ref: "clip#" } } }, constraints: { version: "1.0.0" } },
      () => ({}),
    );
    app.get("/clip", { constraints: { version: "2.0.0" } }, () => ({}));
  });
  t.strictSame(Object.keys(paths).sort(), ["/clip", "/inner"]);
  t.match(paths["/clip"]?.["get"]?.responses["200"], {
    content: { "application/json": { schema: { $ref: /^#\/components\/schemas\// } } },
  });
  t.equal(Object.keys((components as { schemas?: object }).schemas ?? {}).length, 2);
});

t.test(
  "an optional path parameter is two paths, a shared schema has its own name, and the problem stands there once",
  async (t) => {
    const { paths, components } = (await documentOf(t, (app) => {
      app.addSchema({ $id: "Item", type: "object", properties: { a: { type: "string" } } });
      app.get(
        "/opt/:a/:b?",
        { schema: { operationId: "opt", response: { 200: { $ref: "Item#" } } } as object },
        handler({ a: from.path("a"), b: from.path("b", { type: "string" }, { required: false }) }, () => ({ a: "1" })),
      );
    })) as unknown as {
      readonly paths: Record<
        string,
        Record<string, { parameters: { name: string; required: boolean }[]; operationId?: string }>
      >;
      readonly components: { readonly schemas: Record<string, unknown> };
    };
    t.strictSame(Object.keys(paths).sort(), ["/opt/{a}", "/opt/{a}/{b}"]);
    const named = (path: string) => paths[path]?.["get"]?.parameters.map(({ name, required }) => [name, required]);
    t.strictSame(named("/opt/{a}"), [["a", true]]);
    t.strictSame(named("/opt/{a}/{b}"), [
      ["a", true],
      ["b", true],
    ]);
    t.strictSame(
      [paths["/opt/{a}"]?.["get"]?.operationId, paths["/opt/{a}/{b}"]?.["get"]?.operationId],
      ["getOptByA", "opt"],
    );
    t.strictSame(Object.keys(components.schemas).sort(), ["Item", "Problem"]);
  },
);

t.test("two operations of one id are refused before the app is ready", async (t) => {
  const twice = served(
    (app) => {
      for (const url of ["/a", "/b"]) app.get(url, { schema: { operationId: "same" } as object }, () => "ok");
    },
    { openapi: { title: "t", version: "1" } },
  );
  await t.rejects(twice, { code: "ROUTE_INVALID", message: /GET \/a and GET \/b have one operationId, "same"/ });
});

t.test("a route that is limited says that it may answer 429", async (t) => {
  const left = { allowed: true, retryAfterMs: 0, limit: 5, windowMs: 60_000, remaining: 4, resetMs: 60_000 };
  const limiter = resource("limiter", { start: (): RateLimiter => ({ take: async () => left }) });
  const limit = rateLimit(limiter, "login", { by: by.address });
  const routes = (app: FastifyInstance): void =>
    void app.post(
      "/login",
      handler({ limit }, () => "ok"),
    );
  const { paths } = await documentOf(t, routes, { roots: [limiter] });
  t.match(paths["/login"]?.["post"]?.responses["429"], { description: "Too many requests" });
});
t.test("the document says what the app says of itself, and a hook has the last word", async (t) => {
  const { document } = await whole(
    t,
    (app) =>
      app.get(
        "/",
        { schema: { tags: ["videos"] } },
        handler({}, () => "ok"),
      ),
    {
      summary: "Videos for all",
      termsOfService: "https://a.example/terms",
      contact: { name: "Ann", email: "ann@a.example" },
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
      tags: [{ name: "videos", description: "All about videos" }],
      externalDocs: { url: "https://a.example/docs" },
      servers: [{ url: "https://a.example" }],
      transform: (made) => ({ ...made, "x-logo": { url: "/logo.svg" } }),
    },
  );
  t.match(document, {
    info: {
      title: "t",
      summary: "Videos for all",
      contact: { email: "ann@a.example" },
      license: { identifier: "Apache-2.0" },
      termsOfService: "https://a.example/terms",
    },
    tags: [{ name: "videos" }],
    externalDocs: { url: "https://a.example/docs" },
    servers: [{ url: "https://a.example" }],
    "x-logo": { url: "/logo.svg" },
  });
  const wrong = [{ licence: {} }, { license: {} }, { contact: { mail: "x" } }, { tags: [{}] }, { transform: 1 }];
  for (const one of wrong)
    await t.rejects(
      served(() => {}, { openapi: { title: "t", version: "1", ...one } as never }),
      {
        code: "OPTIONS_INVALID",
      },
    );
  const license = { name: "x", url: "https://a.example", identifier: "MIT" };
  await t.rejects(
    served(() => {}, { openapi: { title: "t", version: "1", license } }),
    { code: "OPTIONS_INVALID" },
  );
});

t.test("operations have ids that no other has; schemas with an $id are components", async (t) => {
  const tag = { $id: "Tag", type: "object", properties: { name: { type: "string" } } } as const;
  const video = { $id: "Video", type: "object", properties: { tags: { type: "array", items: tag } } } as const;
  const routes = (app: FastifyInstance): void => {
    app.get(
      "/videos/:id",
      handler({ id: from.path("id") }, () => "ok"),
    );
    app.get(
      "/videos-by-id",
      handler({}, () => "ok"),
    );
    app.get(
      "/",
      handler({}, () => "ok"),
    );
    app.post(
      "/videos",
      handler({ video: from.body("video", video) }, ({ video }) => video),
    );
    app.put(
      "/videos",
      handler(
        { video: from.body("video", video, { description: "all of it" }), tag: from.body("tag", tag) },
        () => "ok",
      ),
    );
    app.post(
      "/own",
      { schema: { operationId: "getVideosById" } as never },
      handler({}, () => "ok"),
    );
  };
  const { document, client } = await whole(t, routes);
  const { paths, components } = document as never as {
    readonly paths: Record<string, Record<string, { readonly operationId: string; readonly requestBody?: unknown }>>;
    readonly components: { readonly schemas: unknown };
  };
  const ids = Object.values(paths).flatMap((methods) => Object.values(methods).map(({ operationId }) => operationId));
  t.strictSame(ids.sort(), ["get", "getVideosById", "getVideosById2", "getVideosById3", "postVideos", "putVideos"]);
  t.match(components.schemas, {
    Tag: { type: "object", properties: { name: { type: "string" } } },
    Video: { properties: { tags: { items: { $ref: "#/components/schemas/Tag" } } } },
  });
  t.match(paths["/videos"]?.["post"]?.requestBody, {
    content: { "application/json": { schema: { $ref: "#/components/schemas/Video" } } },
  });
  t.equal((await client.post("/videos", { tags: [{ name: 1 }] })).statusCode, 422, "they are checked all the same");
  t.equal((await client.post("/videos", { tags: [{ name: "a" }] })).statusCode, 200);
  const other = { ...tag, required: ["name"] };
  await t.rejects(
    whole(
      t,
      (app) => (
        routes(app),
        app.post(
          "/tags",
          handler({ tag: from.body("tag", other) }, () => "ok"),
        )
      ),
    ),
    { code: "ROUTE_INVALID", message: /"Tag"/ },
  );
  const named = await whole(t, routes, { operationId: ({ method, path }) => `${method} ${path}` });
  t.equal(
    (named.document as never as typeof document & { paths: typeof paths }).paths["/videos"]?.["put"]?.operationId,
    "PUT /videos",
  );
});

t.test("a scheme of one's own, and an answer of one's own to who has no credentials", async (t) => {
  const signature = from.scheme(
    "signature",
    {
      document: { type: "apiKey", in: "header", name: "x-signature" },
      challenge: 'Signature realm="a"',
      read: ({ headers }) => (typeof headers["x-signature"] === "string" ? { key: headers["x-signature"] } : undefined),
    },
    { description: "a hash of the body" },
  );
  const answer = (request: { readonly headers: object }): HttpError =>
    new HttpError(403, { hint: "sign in at /login" }, { members: { asked: Object.keys(request.headers).length > 0 } });
  const token = from.bearer({ missing: { status: 403, answer } });
  const wrong = from.basic({ missing: { answer: () => new HttpError(404, "no") } });
  const { document, client } = await whole(t, (app) => {
    app.get(
      "/signed",
      handler({ signature }, ({ signature }) => signature.key),
    );
    app.get(
      "/own",
      handler({ token }, () => "ok"),
    );
    app.get(
      "/wrong",
      handler({ wrong }, () => "ok"),
    );
    app.get(
      "/maybe",
      handler(
        {
          who: from.scheme(
            "maybe",
            { document: { type: "http", scheme: "hoba" }, read: () => undefined },
            { autoError: false },
          ),
        },
        ({ who }) => ({ who }),
      ),
    );
  });
  t.equal((await client.get("/signed", { headers: { "x-signature": "s" } })).body, "s");
  const refused = await client.get("/signed");
  t.strictSame([refused.statusCode, refused.headers["www-authenticate"]], [401, 'Signature realm="a"']);
  const own = await client.get("/own");
  t.match([own.statusCode, own.json()], [403, { hint: "sign in at /login", asked: true }]);
  t.equal((await client.get("/wrong")).statusCode, 500, "an answer that the document does not promise is a mistake");
  t.strictSame((await client.get("/maybe")).json(), { who: null });
  t.match(document, {
    paths: { "/own": { get: { responses: { 403: {} } } }, "/signed": { get: { security: [{ signature: [] }] } } },
    components: {
      securitySchemes: { signature: { in: "header", name: "x-signature", description: "a hash of the body" } },
    },
  });
  t.throws(() => from.scheme("x", { document: { type: "magic" } as never, read: () => 1 }), {
    code: "OPTIONS_INVALID",
  });
});

/** The document of an app, valid under two validators. */
async function whole(t: Test, routes: (app: FastifyInstance) => unknown, options: Partial<OpenApiOptions> = {}) {
  const client = await served(routes, { openapi: { title: "t", version: "1", docs: false, ...options } });
  t.teardown(() => client.app.close());
  const document = (await got(client, "/openapi.json")) as Readonly<Record<string, unknown>>;
  const validated = await new Validator().validate(structuredClone(document) as never);
  t.ok(validated.valid, "it is valid OpenAPI 3.1", { errors: validated.errors });
  await t.resolves(SwaggerParser.validate(structuredClone(document) as never), "another validator says so too");
  return { document, client };
}
