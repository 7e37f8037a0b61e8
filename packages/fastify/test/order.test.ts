import { resource } from "@steward/core";
import t from "tap";
import { depend, from, handler, HttpError } from "../src/index.ts";
import { got, logged, served, turns } from "./app.ts";

/** A dependency that only says that it ran. */
function says(log: string[], name: string) {
  return resource(name, { lifetime: "request", start: () => void log.push(name) });
}

t.test(
  "O01, O04: the app's, then the plugin's, then the route's dependencies, then the needs as written, each after its own",
  async (t) => {
    const log: string[] = [];
    const a1 = says(log, "a1");
    const a = resource("a", { lifetime: "request", needs: { a1 }, start: () => void log.push("a") });
    await using client = await served(
      (app) => {
        app.register(async (outer) => {
          depend(outer, { included: says(log, "include_router") });
          await outer.register(async (inner) => {
            depend(inner, { router: says(log, "router") });
            inner.get(
              "/",
              handler({ b: says(log, "b"), a }, () => log.push("ep") && "ok", {
                dependencies: [says(log, "decorator")],
              }),
            );
          });
        });
      },
      { dependencies: { app: says(log, "app") } },
    );
    await client.get("/");
    t.strictSame(log, ["app", "include_router", "router", "decorator", "b", "a1", "a", "ep"]);
  },
);

t.test("O02: plugins in plugins, outermost first; a sibling plugin's dependencies do not run", async (t) => {
  const log: string[] = [];
  await using client = await served((app) => {
    app.register(async (outer) => {
      depend(outer, { one: says(log, "app.include"), two: says(log, "outer.router") });
      await outer.register(async (inner) => {
        depend(inner, { one: says(log, "outer.include"), two: says(log, "inner.router") });
        inner.get(
          "/",
          handler({}, () => log.push("ep") && "ok"),
        );
      });
    });
    app.register(async (sibling) => depend(sibling, { sibling: says(log, "sibling") }));
  });
  await client.get("/");
  t.strictSame(log, ["app.include", "outer.router", "outer.include", "inner.router", "ep"]);
});

t.test("O06: a dependency with input that is not valid is not made, nor who needs it; its sibling is", async (t) => {
  const log: string[] = [];
  const a = resource("a", {
    lifetime: "request",
    needs: { n: from.query("n", { type: "integer" }) },
    start: () => void log.push("a"),
  });
  const p = resource("p", { lifetime: "request", needs: { a }, start: () => void log.push("p") });
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ p, s: says(log, "s"), m: from.query("m") }, () => log.push("ep") && "ok"),
    ),
  );
  const answer = await client.get("/?n=x");
  t.equal(answer.statusCode, 422);
  t.strictSame(
    answer.json().errors.map((error: { path: string }) => error.path),
    ["query.n", "query.m"],
  );
  t.strictSame(log, ["s"]);
});

t.test(
  "O07: where the handler's input is not valid, its dependencies are made first, and generators see the error",
  async (t) => {
    const log: string[] = [];
    await using client = await served((app) =>
      app.get(
        "/",
        handler(
          { g: logged(log, "g", "request"), l: says(log, "l"), n: from.query("n", { type: "integer" }) },
          () => log.push("ep") && "ok",
        ),
      ),
    );
    t.equal((await client.get("/?n=x")).statusCode, 422);
    t.strictSame(log.slice(0, 2), ["g+", "l"]);
    t.match(log[2], /g saw the input is not valid/);
    t.strictSame(log.slice(3), ["g-"]);
  },
);

const item = from.body("item", { type: "object", required: ["x"], properties: { x: { type: "integer" } } });

function auth(log: string[]) {
  return resource("auth", {
    lifetime: "request",
    start: () => {
      log.push("auth");
      throw new HttpError(401, "who are you?");
    },
  });
}

t.test("O09: a client that may not ask learns that, and not what is wrong with the input", async (t) => {
  const log: string[] = [];
  const sibling = resource("sibling", { lifetime: "request", needs: { q: from.query("q") }, start: ({ q }) => q });
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ sibling, auth: auth(log) }, () => "ok"),
    ),
  );
  t.equal((await client.get("/")).statusCode, 401);
});

t.test(
  "O10, O11: a malformed body is refused before anybody is asked who they are; one of the wrong form after",
  async (t) => {
    const log: string[] = [];
    await using client = await served((app) =>
      app.post(
        "/",
        handler({ auth: auth(log), item }, () => "ok"),
      ),
    );
    const malformed = await client.post("/", "{", { headers: { "content-type": "application/json" } });
    t.equal(malformed.statusCode, 422);
    t.equal(malformed.json().errors[0].code, "json_invalid");
    t.strictSame(log, []);
    t.equal((await client.post("/", { x: "one" })).statusCode, 401);
    t.strictSame(log, ["auth"]);
  },
);

t.test(
  "O13: HEAD runs the GET handler, as everywhere in Fastify (deviation); another method runs nothing",
  async (t) => {
    const log: string[] = [];
    await using client = await served((app) =>
      app.get(
        "/",
        handler({ d: says(log, "d") }, () => "ok"),
      ),
    );
    t.equal((await client.inject({ method: "HEAD", url: "/" })).statusCode, 200);
    t.strictSame(log.splice(0), ["d"]);
    const refused = await client.inject({ method: "OPTIONS", url: "/" });
    t.strictSame([refused.statusCode, refused.headers["allow"]], [405, "GET, HEAD"]);
    t.strictSame(log, []);
  },
);

t.test("O14: dependencies of one plugin do not run for routes outside of it", async (t) => {
  const log: string[] = [];
  await using client = await served((app) => {
    app.register(async (inner) => depend(inner, { inner: says(log, "inner") }));
    app.after(() =>
      app.get(
        "/",
        handler({}, () => "ok"),
      ),
    );
  });
  await client.get("/");
  t.strictSame(log, []);
});

t.test(
  "O15: needs that form a circle are refused before requests come, with the whole circle (deviation: FastAPI recurses)",
  async (t) => {
    const holder: { a?: ReturnType<typeof counterOf> } = {};
    const counterOf = () => resource("a", { lifetime: "request", start: () => 1 });
    holder.a = counterOf();
    const b = resource("b", { lifetime: "request", needs: { a: holder.a }, start: ({ a }) => a });
    const client = served(
      (app) =>
        app.get(
          "/",
          handler({ a: holder.a as ReturnType<typeof counterOf> }, () => "ok"),
        ),
      { replacements: [{ definition: holder.a, by: b }] },
    );
    await using ready = await client; // b wraps a, so it sees the original: no circle
    t.equal((await ready.get("/")).statusCode, 200);
    const c = resource("c", { lifetime: "request", needs: { b }, start: ({ b }) => b });
    await t.rejects(
      served(
        (app) =>
          app.get(
            "/",
            handler({ b }, () => "ok"),
          ),
        { replacements: [{ definition: holder.a, by: c }] },
      ),
      { code: "GRAPH_CYCLE", message: /b -> .*c -> .*b|c -> b -> c/ },
    );
  },
);

t.test("O17: a route's dependencies count for what they do and what they throw", async (t) => {
  const log: string[] = [];
  await using client = await served((app) => {
    app.get(
      "/",
      handler({}, (values) => Object.keys(values), { dependencies: [says(log, "d")] }),
    );
    app.get(
      "/no",
      handler({}, () => "ok", { dependencies: [auth(log)] }),
    );
  });
  t.equal((await client.get("/")).statusCode, 200);
  t.strictSame(log, ["d"]);
  t.equal((await client.get("/no")).statusCode, 401);
});

t.test("O18: a part of the path is there for the route's dependency and for its handler", async (t) => {
  const user = from.path("user");
  const checks = resource("checks", { lifetime: "request", needs: { user }, start: ({ user }) => `checked ${user}` });
  await using client = await served(
    (app) =>
      app.get(
        "/users/:user",
        handler({ user }, ({ user }) => ({ user }), { dependencies: [checks] }),
      ),
    { openapi: { title: "t", version: "1", docs: false } },
  );
  t.strictSame(await got(client, "/users/ann"), { user: "ann" });
  const { paths } = (await got(client, "/openapi.json")) as {
    paths: Record<string, { get: { parameters: { name: string; in: string }[] } }>;
  };
  t.strictSame(
    paths["/users/{user}"]?.get.parameters.map(({ name, in: place }) => [name, place]),
    [["user", "path"]],
  );
  await turns();
});
