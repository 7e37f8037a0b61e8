import { once } from "node:events";
import { connect } from "node:net";
import { container } from "@steward/container";
import { by, HttpError, perRequest, rateLimit } from "@steward/server";
import { from, handler, serve, type NodeRouteOptions } from "@steward/server/node";
import t, { type Test } from "tap";
import { rateLimiter } from "../../src/index.ts";

const limiter = rateLimiter("limiter", {
  policies: { login: "2/hour", api: "5/hour", upload: { limit: 10, windowMs: 60_000 } },
});

async function up(t: Test, routes: readonly NodeRouteOptions[]): Promise<string> {
  const web = serve("web", { listen: () => ({ port: 0 }), routes });
  const running = await container([web, limiter]).start();
  t.teardown(() => running.stop());
  return running.get(web).url;
}

t.test("the third of two is 429 with retry-after, and every answer says what is left", async (t) => {
  let handled = 0;
  const limit = rateLimit(limiter, "login", { by: by.address, legacyHeaders: true });
  const url = await up(t, [
    { method: "POST", path: "/login", handler: handler({ limit }, () => ({ handled: ++handled })) },
  ]);
  const post = (): Promise<Response> => fetch(`${url}/login`, { method: "POST" });
  const first = await post();
  t.equal(first.status, 200);
  t.equal(first.headers.get("ratelimit-policy"), '"login";q=2;w=3600');
  t.equal(first.headers.get("ratelimit"), '"login";r=1;t=3600');
  t.equal(first.headers.get("x-ratelimit-remaining"), "1");
  t.equal((await post()).status, 200);
  const refused = await post();
  t.equal(refused.status, 429);
  t.match(Number(refused.headers.get("retry-after")), 3_600);
  t.equal(refused.headers.get("ratelimit"), '"login";r=0;t=3600');
  t.match(await refused.json(), { status: 429, code: "RATE_LIMITED" });
  t.equal(handled, 2);
});

t.test("an error that the handler gives says what is left too", async (t) => {
  const limit = rateLimit(limiter, "login", { by: by.address });
  const url = await up(t, [
    {
      method: "GET",
      path: "/",
      handler: handler({ limit }, () => {
        throw new HttpError(404, "there is none");
      }),
    },
  ]);
  const answer = await fetch(url);
  t.equal(answer.status, 404);
  t.equal(answer.headers.get("ratelimit"), '"login";r=1;t=3600');
});

t.test("users have budgets of their own, and who is nobody counts by the address", async (t) => {
  const me = perRequest("me", { name: from.header("x-user", { type: "string", default: "" }) }, ({ name }) =>
    name === "" ? null : { subject: name },
  );
  const limit = rateLimit(limiter, "login", { by: by.subject(me) });
  const url = await up(t, [{ method: "GET", path: "/", handler: handler({ limit }, () => "ok") }]);
  const status = async (user?: string): Promise<number> =>
    (await fetch(url, { headers: user === undefined ? {} : { "x-user": user } })).status;
  for (const user of ["ada", "bob", undefined])
    t.strictSame([await status(user), await status(user), await status(user)], [200, 200, 429]);
});

t.test("a request may cost more, by what its needs say, and keys of a credential are its hash", async (t) => {
  const key = from.apiKey("header", "x-key", { autoError: false });
  const size = from.query("size", { type: "integer", default: 1 });
  const limit = rateLimit(limiter, "upload", {
    by: by.key({ size, key }, ({ key }) => key ?? "nobody"),
    cost: ({ size }: { size: number }) => size,
  });
  const one = rateLimit(limiter, "api", { by: by.credential(key) });
  const url = await up(t, [
    { method: "GET", path: "/", handler: handler({ limit }, ({ limit }) => ({ left: limit.remaining })) },
    { method: "GET", path: "/one", handler: handler({ one }, ({ one }) => ({ left: one.remaining })) },
  ]);
  t.strictSame(await (await fetch(`${url}/?size=7`)).json(), { left: 3 });
  t.equal((await fetch(`${url}/?size=4`)).status, 429);
  t.strictSame(await (await fetch(`${url}/?size=3`)).json(), { left: 0 });
  const left = async (value: string): Promise<unknown> =>
    (await fetch(`${url}/one`, { headers: { "x-key": value } })).json();
  t.strictSame([await left("k1"), await left("k1"), await left("k2")], [{ left: 4 }, { left: 3 }, { left: 4 }]);
});

t.test("wrong options are refused all at once", (t) => {
  t.throws(() => rateLimit(limiter, "login", { by: by.address, cots: 1 } as never), { message: /did you mean "cost"/ });
  t.throws(() => rateLimit(limiter, "login", {} as never), { message: /by: is missing/ });
  t.throws(() => rateLimit({} as never, "" as never, { by: by.address }), { message: /limiter[^]*policy/ });
  t.throws(() => rateLimit(limiter, "login", { by: by.address, cost: Number.NaN }), { code: "OPTIONS_INVALID" });
  for (const name of ['lo"gin', "lo\\gin", "lo\r\ngin", "", "x".repeat(65)])
    t.throws(() => rateLimit(limiter, name as never, { by: by.address }), { message: /policy: .*name of a policy/ });
  // @ts-expect-error: there is no such policy
  t.ok(rateLimit(limiter, "logn", { by: by.address }));
  t.end();
});

t.test("a request is refused before its body is read", async (t) => {
  const limit = rateLimit(limiter, "login", { by: by.address });
  const body = from.body("credentials", { type: "object" });
  let handled = 0;
  const url = await up(t, [
    { method: "POST", path: "/login", handler: handler({ limit, body }, ({ body }) => ({ body, handled: ++handled })) },
  ]);
  const post = (text: string): Promise<Response> =>
    fetch(`${url}/login`, { method: "POST", headers: { "content-type": "application/json" }, body: text });
  t.strictSame(await (await post('{"name":"ada"}')).json(), { body: { name: "ada" }, handled: 1 });
  t.equal((await post("no JSON")).status, 422, "what is sent is read when it may be sent");
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  t.teardown(() => socket.destroy());
  const head = ["POST /login HTTP/1.1", "host: x", "content-type: application/json", "content-length: 1000000"];
  socket.write(`${head.join("\r\n")}\r\n\r\n{`);
  const [first] = (await once(socket, "data")) as [Buffer];
  t.match(first.toString(), /^HTTP\/1\.1 429 /);
  t.equal(handled, 1);
});
