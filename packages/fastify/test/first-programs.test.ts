// What a newcomer writes first with Fastify. Each program works, or is refused in words that say what to write.
import { container } from "@steward/container";
import { resource } from "@steward/core";
import { fastify } from "fastify";
import t from "tap";
import { from, handler, HttpError, sessionCookie, steward } from "../src/index.ts";

t.test("p09: who asks, a path, a query and a body", async (t) => {
  const users = resource("users", { start: () => new Map([["t", { name: "ann" }]]) });
  const me = resource("me", {
    lifetime: "request",
    needs: { users, token: from.bearer() },
    start: ({ users, token }) => {
      const user = users.get(token);
      if (user === undefined) throw new HttpError(401, "this token is not known");
      return user;
    },
  });
  const app = fastify();
  await app.register(steward, { container: container([users]), accessLog: false });
  const id = from.path("id", { type: "integer" });
  const q = from.query("q", { type: "string" }, { required: false });
  app.get(
    "/me/:id",
    handler({ me, id, q }, ({ me, id, q }) => ({ name: me.name, id, q })),
  );
  const item = from.body("item", { type: "object", required: ["a"], properties: { a: { type: "integer" } } });
  app.post(
    "/items",
    handler({ item }, ({ item }) => ({ a: item.a })),
  );
  const get = async (url: string, token: string) => {
    const { statusCode, body } = await app.inject({ url, headers: { authorization: `Bearer ${token}` } });
    return [statusCode, JSON.parse(body)] as const;
  };
  t.strictSame(await get("/me/5?q=z", "t"), [200, { name: "ann", id: 5, q: "z" }]);
  t.match(await get("/me/z", "t"), [422, { errors: [{ path: "path.id" }] }]);
  t.match(await get("/me/5", "x"), [401, { detail: "this token is not known" }]);
  const post = await app.inject({ method: "POST", url: "/items", payload: { a: 1 } });
  t.strictSame([post.statusCode, post.json()], [200, { a: 1 }]);
  await app.close();
});

t.test("p21: a route needs what no root needs, and the app starts it", async (t) => {
  const users = resource("users", { start: () => new Map([["t", { name: "ann" }]]) });
  const app = fastify();
  await app.register(steward, { container: container([]), accessLog: false });
  app.get(
    "/me",
    handler({ users }, ({ users }) => ({ size: users.size })),
  );
  t.strictSame((await app.inject("/me")).json(), { size: 1 });
  await app.close();
});

t.test("p31: a cart for each user session", async (t) => {
  const cart = resource("cart", { lifetime: "session", start: () => ({ items: [] as string[] }) });
  const serve = async (session?: ReturnType<typeof sessionCookie>) => {
    const app = fastify();
    const options = { container: container([]), accessLog: false } as const;
    await app.register(steward, session === undefined ? options : { ...options, session });
    app.get(
      "/cart",
      handler({ cart }, ({ cart }) => cart.items.push("apple")),
    );
    return app;
  };
  const without = await serve();
  await t.rejects(async () => without.ready(), {
    code: "ROUTE_INVALID",
    message: /"cart", which belongs to a session.*session/,
  });
  await without.close();
  const app = await serve(sessionCookie("sid"));
  const ask = async (sid: string) => (await app.inject({ url: "/cart", headers: { cookie: `sid=${sid}` } })).body;
  t.strictSame([await ask("a"), await ask("a"), await ask("b")], ["1", "2", "1"]);
  await app.close();
});
