import { fresh, resource } from "@steward/core";
import t from "tap";
import { depend, from, handler, security } from "../src/index.ts";
import { override } from "../src/testing.ts";
import { counter, got, logged, served, turns } from "./app.ts";

const q = from.query("q");
const sub = resource("sub", { lifetime: "request", needs: { q }, start: ({ q }) => `sub ${q}` });
const mid = resource("mid", { lifetime: "request", needs: { sub }, start: ({ sub }) => `mid ${sub}` });

t.test("V02: an override reads inputs of its own; what the original needed is not made", async (t) => {
  const other = resource("other", {
    lifetime: "request",
    needs: { k: from.query("k", { type: "string", default: "none" }) },
    start: ({ k }) => `other ${k}`,
  });
  await using client = await served(
    (app) =>
      app.get(
        "/",
        handler({ mid }, ({ mid }) => ({ mid })),
      ),
    { replacements: [override(mid, other)] },
  );
  t.strictSame(await got(client, "/?k=z"), { mid: "other z" });
  t.strictSame(await got(client, "/"), { mid: "other none" });
});

t.test("V03: an override's own dependencies are resolved, and their input is checked", async (t) => {
  const deeper = resource("deeper", { lifetime: "request", needs: { k: from.query("k") }, start: ({ k }) => k });
  const other = resource("other", { lifetime: "request", needs: { deeper }, start: ({ deeper }) => `other ${deeper}` });
  await using client = await served(
    (app) =>
      app.get(
        "/",
        handler({ mid }, ({ mid }) => ({ mid })),
      ),
    { replacements: [override(mid, other)] },
  );
  t.strictSame(await got(client, "/?k=z"), { mid: "other z" });
  t.equal((await client.get("/?q=z")).json().errors[0].path, "query.k");
});

t.test("V04: what an override needs may be overridden too", async (t) => {
  const b = resource("b", { lifetime: "request", start: () => "b" });
  const otherMid = resource("otherMid", { lifetime: "request", needs: { b }, start: ({ b }) => `om+${b}` });
  await using client = await served(
    (app) =>
      app.get(
        "/",
        handler({ mid, b }, ({ mid, b }) => [mid, b]),
      ),
    {
      replacements: [override(mid, otherMid), override(b, resource("ob", { lifetime: "request", start: () => "ob" }))],
    },
  );
  t.strictSame(await got(client, "/"), ["om+ob", "ob"]);
});

t.test("V05: an override may wrap the original (deviation: FastAPI recurses)", async (t) => {
  const wrapped = resource("wrapped", { lifetime: "request", needs: { mid }, start: ({ mid }) => `<${mid}>` });
  await using client = await served(
    (app) =>
      app.get(
        "/",
        handler({ mid }, ({ mid }) => ({ mid })),
      ),
    { replacements: [override(mid, wrapped)] },
  );
  t.strictSame(await got(client, "/?q=z"), { mid: "<mid sub z>" });
});

t.test("V08: a generator in place of a plain dependency, and the reverse; each ends as it is", async (t) => {
  const log: string[] = [];
  const plain = resource("plain", { lifetime: "request", start: () => "plain" });
  const gen = logged(log, "gen", "request");
  const entered = logged(log, "entered", "request");
  await using client = await served(
    (app) =>
      app.get(
        "/",
        handler({ plain, gen }, ({ plain, gen }) => [plain, gen]),
      ),
    {
      replacements: [
        override(plain, entered),
        override(gen, resource("no", { lifetime: "request", start: () => "no generator" })),
      ],
    },
  );
  t.strictSame(await got(client, "/"), ["entered", "no generator"]);
  await turns();
  t.strictSame(log, ["entered+", "entered-"]);
});

t.test("V09, V10: an override is shared where the original was, and fresh where that was", async (t) => {
  const d = counter();
  const other = counter("other");
  await using client = await served(
    (app) =>
      app.get(
        "/",
        handler({ a: d, b: fresh(d), c: d }, ({ a, b, c }) => [a, b, c]),
      ),
    { replacements: [override(d, other)] },
  );
  t.strictSame(await got(client, "/"), [1, 2, 1]);
});

t.test("V11, V12: an override that lives shorter than the original's askers is refused", async (t) => {
  const base = resource("base", { lifetime: "request", start: () => 1 });
  const holds = resource("holds", { lifetime: "request", needs: { base }, start: ({ base }) => base });
  const short = resource("short", { lifetime: "handler", start: () => 2 });
  const replacements = [{ definition: base, by: short }]; // `override` refuses it by its types
  await t.rejects(
    served(
      (app) =>
        app.get(
          "/",
          handler({ holds }, () => "ok"),
        ),
      { replacements },
    ),
    { code: "GRAPH_CAPTIVE" },
  );
});

t.test("V13: dependencies of the app, of plugins and of routes can be overridden", async (t) => {
  const log: string[] = [];
  const says = (name: string) => resource(name, { lifetime: "request", start: () => void log.push(name) });
  const [app_, router, route] = [says("app"), says("router"), says("route")];
  await using client = await served(
    (app) => {
      app.register(async (inner) => {
        depend(inner, { router });
        inner.get(
          "/",
          handler({}, () => "ok", { dependencies: [route] }),
        );
      });
    },
    {
      dependencies: { app_ },
      replacements: [
        override(app_, says("other app")),
        override(router, says("other router")),
        override(route, says("other route")),
      ],
    },
  );
  await client.get("/");
  t.strictSame(log, ["other app", "other router", "other route"]);
});

t.test("V14: a class in place of a class, a function in place of a security scheme", async (t) => {
  class One {
    readonly n: number = 1;
  }
  class Two extends One {
    override readonly n = 2;
  }
  const one = resource("one", { lifetime: "request", start: () => new One() });
  const token = from.bearer();
  await using client = await served(
    (app) =>
      app.get(
        "/",
        handler({ one, token }, ({ one, token }) => [one.n, token]),
      ),
    {
      replacements: [
        override(one, resource("two", { lifetime: "request", start: (): One => new Two() })),
        override(token, resource("tok", { lifetime: "request", start: () => "tok" })),
      ],
    },
  );
  t.strictSame(await got(client, "/"), [2, "tok"]);
});

t.test("V15: an override is given the scopes that the original was asked under", async (t) => {
  const user = resource("user", {
    lifetime: "request",
    needs: { requiredScopes: from.requiredScopes },
    start: (): readonly string[] => [],
  });
  const other = resource("other", {
    lifetime: "request",
    needs: { requiredScopes: from.requiredScopes },
    start: ({ requiredScopes }) => requiredScopes.list,
  });
  await using client = await served(
    (app) =>
      app.get(
        "/",
        handler({ user: security(user, ["foo", "bar"]) }, ({ user }) => user),
      ),
    { replacements: [override(user, other)] },
  );
  t.strictSame(await got(client, "/"), ["foo", "bar"]);
});

t.test("V16: the document shows what the app takes, whatever a test puts in its place", async (t) => {
  const other = resource("other", { lifetime: "request", needs: { k: from.query("k") }, start: ({ k }) => k });
  await using client = await served(
    (app) =>
      app.get(
        "/",
        handler({ mid }, ({ mid }) => mid),
      ),
    { openapi: { title: "t", version: "1", docs: false }, replacements: [override(mid, other)] },
  );
  const { paths } = (await got(client, "/openapi.json")) as {
    paths: { "/": { get: { parameters: { name: string }[] } } };
  };
  t.strictSame(
    paths["/"].get.parameters.map(({ name }) => name),
    ["q"],
  );
});

t.test(
  "V17: overrides count in all plugins, because they share the container (deviation: not in FastAPI's mounted apps)",
  async (t) => {
    await using client = await served(
      (app) =>
        app.register(
          async (inner) =>
            void inner.get(
              "/",
              handler({ mid }, ({ mid }) => ({ mid })),
            ),
          { prefix: "/sub" },
        ),
      { replacements: [override(mid, "value")] },
    );
    t.strictSame(await got(client, "/sub/"), { mid: "value" });
  },
);

t.test("an application resource is replaced before it starts; what only it needed is not started", async (t) => {
  const started: string[] = [];
  const network = resource("network", { start: () => started.push("network") });
  const db = resource("db", { needs: { network }, start: () => ({ find: (): string => "real" }) });
  const users = resource("users", { needs: { db }, start: ({ db }) => ({ first: () => db.find() }) });
  await using client = await served(
    (app) =>
      app.get(
        "/",
        handler({ users }, ({ users }) => ({ first: users.first() })),
      ),
    { roots: [users], replacements: [override(db, { find: () => "fake" })] },
  );
  t.strictSame(await got(client, "/"), { first: "fake" });
  t.strictSame(started, []);
});

t.test("an override of a running app lasts as long as its block", async (t) => {
  await using client = await served((app) =>
    app.get(
      "/",
      handler(
        {
          mid,
          agent: resource("agent", {
            lifetime: "request",
            needs: { request: from.request },
            start: ({ request }) => request.method,
          }),
        },
        ({ mid, agent }) => [mid, agent],
      ),
    ),
  );
  {
    using _one = client.override(override(mid, "one"));
    t.strictSame(await got(client, "/?q=z"), ["one", "GET"]);
    {
      using _two = client.override(
        override(sub, "two"),
        override(mid, resource("wraps", { lifetime: "request", needs: { mid }, start: ({ mid }) => `<${mid}>` })),
      );
      t.strictSame(await got(client, "/?q=z"), ["<mid two>", "GET"]);
    }
    t.strictSame(await got(client, "/?q=z"), ["one", "GET"]);
  }
  t.strictSame(await got(client, "/?q=z"), ["mid sub z", "GET"]);
});
