import { resource, type Definition } from "@steward/core";
import type { FastifyInstance } from "fastify";
import t from "tap";
import { depend, from, handler, type Provided, security } from "../src/index.ts";
import { got, served, type Setting } from "./app.ts";

type Credentials = Definition<unknown, "request", "request:request">;

/** Asks a route that gives what a scheme found: its status, its challenge, and the answer. */
async function asking(
  scheme: Credentials,
  ...asks: readonly { readonly url?: string; readonly headers?: Record<string, string> }[]
): Promise<unknown[]> {
  await using client = await served(
    (app) =>
      app.get(
        "/",
        handler({ found: scheme }, ({ found }) => ({ found })),
      ),
    { errors: { shape: "fastapi" } },
  );
  const answers: unknown[] = [];
  for (const { url = "/", headers = {} } of asks) {
    const answer = await client.get(url, { headers });
    const { found, detail } = answer.json();
    answers.push(answer.statusCode === 200 ? found : [answer.statusCode, answer.headers["www-authenticate"], detail]);
  }
  return answers;
}

const authorization = (value: string) => ({ headers: { authorization: value } });
const encoded = (text: string) => authorization(`Basic ${Buffer.from(text).toString("base64")}`);
const refused = (challenge: string) => [401, challenge, "Not authenticated"];

t.test("X01, X02, X04: API keys in a header, the query and a cookie; missing or empty is 401, or null", async (t) => {
  const key = (place: "header" | "query" | "cookie", value: string) =>
    place === "query"
      ? { url: `/?key=${value}` }
      : { headers: place === "header" ? { key: value } : { cookie: `key=${value}` } };
  for (const place of ["header", "query", "cookie"] as const) {
    t.strictSame(
      await asking(from.apiKey(place, "key"), {}, key(place, ""), key(place, "secret")),
      [refused("APIKey"), refused("APIKey"), "secret"],
      place,
    );
    t.strictSame(
      await asking(from.apiKey(place, "key", { autoError: false }), {}, key(place, ""), key(place, "secret")),
      [null, null, "secret"],
      place,
    );
  }
});

t.test("X05: a scheme of one's own takes any word, and trims", async (t) => {
  const off = from.httpAuthorization("other", { autoError: false });
  t.strictSame(
    await asking(from.httpAuthorization("other"), {}, authorization("Other  foobar "), authorization("Any x")),
    [refused("Other"), { scheme: "Other", credentials: "foobar" }, { scheme: "Any", credentials: "x" }],
  );
  t.strictSame(await asking(off, {}), [null]);
});

t.test("X06, X07: HTTP Basic without credentials, or with those of another scheme", async (t) => {
  t.strictSame(await asking(from.basic(), {}, authorization("Bearer x")), [refused("Basic"), refused("Basic")]);
  t.strictSame(await asking(from.basic({ realm: "simple" }), {}), [refused('Basic realm="simple"')]);
  t.strictSame(await asking(from.basic({ autoError: false }), {}, authorization("Bearer x")), [null, null]);
});

t.test("X08: what cannot be read as Basic is 401 also where credentials may be missing", async (t) => {
  for (const scheme of [from.basic(), from.basic({ autoError: false })]) {
    const all = [authorization("Basic notbase64!"), encoded("nocolon"), authorization("Basic "), encoded("jürgen:x")];
    t.strictSame(
      await asking(scheme, ...all),
      all.map(() => refused("Basic")),
    );
  }
});

t.test("X09, X10: a password may hold colons, and the scheme's case does not matter", async (t) => {
  const lower = authorization(`basic ${Buffer.from("a:b:c").toString("base64")}`);
  t.strictSame(await asking(from.basic(), encoded("john:a:b"), lower), [
    { username: "john", password: "a:b" },
    { username: "a", password: "b:c" },
  ]);
});

t.test(
  "X11, X15: a bearer token; missing, of another scheme, or empty is 401, or null (deviation: OAuth2 too refuses an empty one)",
  async (t) => {
    const asks = [
      {},
      authorization("Basic x"),
      authorization("Bearer"),
      authorization("Bearer "),
      authorization("bearer abc"),
    ];
    t.strictSame(await asking(from.bearer(), ...asks), [
      refused("Bearer"),
      refused("Bearer"),
      refused("Bearer"),
      refused("Bearer"),
      "abc",
    ]);
    t.strictSame(await asking(from.bearer({ autoError: false }), ...asks), [null, null, null, null, "abc"]);
    t.strictSame(await asking(from.oauth2Password("/token"), authorization("Bearer")), [refused("Bearer")]);
  },
);

t.test("X13: HTTP Digest", async (t) => {
  const asks = [{}, authorization("Other x"), authorization("Digest abc")];
  t.strictSame(await asking(from.digest(), ...asks), [
    refused("Digest"),
    refused("Digest"),
    { scheme: "Digest", credentials: "abc" },
  ]);
  t.strictSame(await asking(from.digest({ autoError: false }), ...asks), [
    null,
    null,
    { scheme: "Digest", credentials: "abc" },
  ]);
});

t.test("X16: OAuth2 with a password or an authorization code gives the token", async (t) => {
  const asks = [{}, authorization("Other x"), authorization("Bearer  testtoken ")];
  for (const scheme of [
    from.oauth2AuthorizationCode({ authorizationUrl: "/auth", tokenUrl: "/token" }),
    from.oauth2Password("/token"),
  ]) {
    t.strictSame(await asking(scheme, ...asks), [refused("Bearer"), refused("Bearer"), "testtoken"]);
  }
});

t.test("X17, X18: OAuth2 and OpenID Connect give the header as it came", async (t) => {
  for (const scheme of [from.oauth2({}), from.openIdConnect("/openid")])
    t.strictSame(await asking(scheme, {}, authorization("Other t")), [refused("Bearer"), "Other t"]);
  t.strictSame(await asking(from.openIdConnect("/openid", { autoError: false }), {}), [null]);
});

const sees = resource("sees", {
  lifetime: "request",
  needs: { requiredScopes: from.requiredScopes },
  start: ({ requiredScopes }) => ({ list: requiredScopes.list, text: requiredScopes.text }),
});

t.test("X19: scopes are gathered, outermost first, each once", async (t) => {
  const inner = resource("inner", {
    lifetime: "request",
    needs: { seen: security(sees, ["b", "a"]) },
    start: ({ seen }) => seen,
  });
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ inner: security(inner, ["a", "c"]) }, ({ inner }) => inner),
    ),
  );
  t.strictSame(await got(client), { list: ["a", "c", "b"], text: "a c b" });
});

t.test("X21: scopes do not leak to siblings", async (t) => {
  const one = resource("one", {
    lifetime: "request",
    needs: { seen: security(sees, ["scope1"]) },
    start: ({ seen }) => seen.list,
  });
  const two = resource("two", {
    lifetime: "request",
    needs: { seen: security(sees, ["scope2"]) },
    start: ({ seen }) => seen.list,
  });
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ one: security(one, ["scope3"]), two: security(two, ["scope3"]), none: sees }, ({ one, two, none }) => [
        one,
        two,
        none.list,
      ]),
    ),
  );
  t.strictSame(await got(client), [["scope3", "scope1"], ["scope3", "scope2"], []]);
});

t.test("X22: a plugin's scopes do not reach the route's own dependencies", async (t) => {
  await using client = await served((app) =>
    app.register(async (inner) => {
      depend(inner, { outer: security(sees, ["outer"]) });
      inner.get(
        "/",
        handler({ sees }, ({ sees }) => sees.list),
      );
    }),
  );
  t.strictSame(await got(client), []);
});

t.test("X23: scopes reach a route's dependency whose value nobody takes", async (t) => {
  const seen: (readonly string[])[] = [];
  const notes = resource("notes", {
    lifetime: "request",
    needs: { requiredScopes: from.requiredScopes },
    start: ({ requiredScopes }) => void seen.push(requiredScopes.list),
  });
  await using client = await served((app) => {
    app.get(
      "/with",
      handler({}, () => "ok", { dependencies: [security(notes, ["a", "b"])] }),
    );
    app.get(
      "/without",
      handler({}, () => "ok", { dependencies: [notes] }),
    );
  });
  await client.get("/with");
  await client.get("/without");
  t.strictSame(seen, [["a", "b"], []]);
});

t.test("scopes keep the order in which they are asked for, whatever other definitions are asked in", async (t) => {
  const needs = { requiredScopes: from.requiredScopes };
  const start = ({ requiredScopes }: { requiredScopes: { list: readonly string[] } }) => requiredScopes.list;
  const one = resource("one", { lifetime: "request", needs, start });
  const other = resource("other", { lifetime: "request", needs, start });
  await using client = await served((app) => {
    app.get(
      "/one",
      handler({ one: security(one, ["x", "y"]) }, ({ one }) => one),
    );
    app.get(
      "/other",
      handler({ other: security(other, ["y", "x"]) }, ({ other }) => other),
    );
  });
  t.strictSame(
    [await got(client, "/one"), await got(client, "/other")],
    [
      ["x", "y"],
      ["y", "x"],
    ],
  );
});

t.test("who says what was granted is held to what is asked for: 403 names it", async (t) => {
  const user = resource("user", {
    lifetime: "request",
    needs: { token: from.bearer() },
    start: ({ token }) => ({ name: "ann", scopes: token.split(",") }),
  });
  const admin = resource("admin", {
    lifetime: "request",
    needs: { user: security(user, ["admin"]) },
    start: ({ user }) => user.name,
  });
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ admin: security(admin, ["write"]) }, ({ admin }) => admin),
    ),
  );
  t.equal((await client.get("/")).statusCode, 401);
  const refusal = await client.get("/", authorization("Bearer write"));
  t.strictSame(
    [refusal.statusCode, refusal.headers["www-authenticate"]],
    [403, 'Bearer error="insufficient_scope", scope="write admin"'],
  );
  t.equal((await client.get("/", authorization("Bearer admin,write"))).body, "ann");
});

t.test("a value that says nothing of scopes has been granted none", async (t) => {
  const values = {
    none: undefined,
    null: null,
    plain: { name: "ann" },
    text: { scopes: "read write" },
    some: { scopes: ["write"] },
    all: { scopes: ["read", "write"] },
    set: { scopes: new Set(["read"]) },
    token: "read",
  };
  const answers: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(values)) {
    const user = resource("user", {
      lifetime: "request",
      start: () => value as { readonly scopes: readonly string[] },
    });
    await using client = await served((app) =>
      app.get(
        "/",
        handler({ user: security(user, ["read"]) }, () => "ok"),
      ),
    );
    answers[name] = (await client.get("/")).statusCode;
  }
  t.strictSame(answers, { none: 401, null: 401, plain: 403, text: 403, some: 403, all: 200, set: 200, token: 403 });
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ token: security(from.bearer() as never, ["read"]) }, () => "ok"),
    ),
  );
  t.equal((await client.get("/")).statusCode, 401);
  t.equal((await client.get("/", authorization("Bearer read"))).statusCode, 403);
});

t.test("a dependency that needs the scopes decides, unless its value says what was granted", async (t) => {
  const user = (value: unknown) =>
    resource("user", {
      lifetime: "request",
      needs: { requiredScopes: from.requiredScopes },
      start: () => value as { readonly name: string },
    });
  const statuses: number[] = [];
  for (const value of [{ name: "ann" }, { scopes: ["write"] }, { scopes: "read" }, { scopes: ["read"] }]) {
    await using client = await served((app) =>
      app.get(
        "/",
        handler({ user: security(user(value), ["read"]) }, () => "ok"),
      ),
    );
    statuses.push((await client.get("/")).statusCode);
  }
  t.strictSame(statuses, [200, 403, 403, 200]);
});

t.test("A13: two different schemes of one name are refused (deviation)", async (t) => {
  const setting: Setting = {};
  const open: Provided = "request:request";
  t.ok(open);
  await t.rejects(
    served(
      (app) =>
        app.get(
          "/",
          handler({ a: from.apiKey("header", "a"), b: from.apiKey("header", "b") }, () => "ok"),
        ),
      setting,
    ),
    { code: "ROUTE_INVALID" },
  );
});

t.test("X24: a scheme says how a request without credentials is answered, and so does the document", async (t) => {
  const hidden = { status: 404, detail: "there is no such page" } as const;
  const routes = (app: FastifyInstance): void => {
    app.get(
      "/403",
      handler({ token: from.bearer({ missing: { status: 403 } }) }, () => "ok"),
    );
    app.get(
      "/404",
      handler({ key: from.apiKey("header", "x-key", { missing: hidden }) }, () => "ok"),
    );
    app.get(
      "/own",
      handler({ u: from.basic({ missing: { headers: { "www-authenticate": "Own" } } }) }, () => "ok"),
    );
  };
  await using client = await served(routes, { openapi: { title: "t", version: "1" }, errors: { shape: "fastapi" } });
  const asked = async (url: string, headers = {}) => {
    const answer = await client.get(url, { headers });
    return [answer.statusCode, answer.headers["www-authenticate"], answer.json().detail];
  };
  t.strictSame(await asked("/403"), [403, undefined, "Not authenticated"]);
  t.strictSame(await asked("/404"), [404, undefined, "there is no such page"]);
  t.strictSame(await asked("/own"), [401, "Own", "Not authenticated"]);
  t.strictSame(await asked("/own", { authorization: "Basic notbase64!" }), [401, "Own", "Not authenticated"]);
  const { paths } = (await client.get("/openapi.json")).json();
  t.strictSame(Object.keys(paths["/403"].get.responses).sort(), ["200", "403"]);
  t.strictSame(Object.keys(paths["/404"].get.responses).sort(), ["200", "404"]);
});
