import { request as httpRequest } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { container } from "@steward/container";
import { resource, type RateLimiter } from "@steward/core";
import { fastify } from "fastify";
import t from "tap";
import { by, from, handler, HttpError, rateLimit, steward } from "../src/index.ts";
import { got, served, turns } from "./app.ts";

t.test(
  "a JSON route takes JSON alone: forms and text of another page are 415, behind what the request may not ask",
  async (t) => {
    const schema = { type: "object", properties: { to: { type: "string" } } } as const;
    await using client = await served(
      (app) => {
        app.post(
          "/pay",
          handler({ pay: from.body("pay", schema) }, ({ pay }) => pay),
        );
        app.post(
          "/form",
          handler({ to: from.form("to") }, ({ to }) => ({ to })),
        );
        const key = resource("key", {
          lifetime: "request",
          start: (): void => {
            throw new HttpError(401, "no");
          },
        });
        app.post(
          "/closed",
          handler({ key, pay: from.body("pay", schema) }, () => "ok"),
        );
      },
      { forms: {} },
    );
    const as = (type: string) => ({ headers: { "content-type": type } });
    const status = async (url: string, payload: string, type: string) =>
      (await client.post(url, payload, as(type))).statusCode;
    t.equal(await status("/pay", "to=mallory", "application/x-www-form-urlencoded"), 415);
    t.equal(await status("/pay", '{"to":"mallory"}', "text/plain"), 415);
    t.equal(await status("/pay", '{"to":"ann"}', "application/json; charset=utf-8"), 200);
    t.equal(await status("/pay", '{"to":"ann"}', "application/vnd.api+json"), 200);
    t.equal(await status("/form", '{"to":"ann"}', "application/json"), 415);
    t.equal(await status("/form", "to=ann", "application/x-www-form-urlencoded"), 200);
    t.equal(await status("/closed", "to=mallory", "application/x-www-form-urlencoded"), 401);
    const refusal = await client.post("/pay", "to=mallory", as("application/x-www-form-urlencoded"));
    t.match(refusal.json(), { status: 415, errors: [{ path: "header.content-type", code: "media_type" }] });
  },
);

t.test("P11: a header that is sent twice is a list of two", async (t) => {
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ x: from.header("x_h", { type: "array", items: { type: "integer" } }) }, ({ x }) => x),
    ),
  );
  await client.app.listen({ port: 0, host: "127.0.0.1" });
  const { port } = client.app.server.address() as AddressInfo; // it listens on TCP
  const asking = httpRequest({ port, host: "127.0.0.1", headers: { "x-h": ["1", "2"] } }).end();
  const [answer] = (await once(asking, "response")) as [AsyncIterable<Buffer>]; // as node:http documents
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk);
  t.strictSame(JSON.parse(Buffer.concat(chunks).toString()), [1, 2]);
});

t.test("P15: a limit that was not kept is in the error, and the input as it was written", async (t) => {
  const route = handler({ q: from.query("q", { type: "integer", minimum: 1 }) }, () => "ok");
  await using client = await served((app) => app.get("/", route), { errors: { shape: "fastapi" } });
  t.strictSame(await got(client, "/?q=0"), {
    detail: [
      {
        type: "greater_than_equal",
        loc: ["query", "q"],
        msg: "Input should be greater than or equal to 1",
        input: "0",
        ctx: { ge: 1 },
      },
    ],
  });
  await using other = await served((app) => app.get("/", route));
  t.match(await got(other, "/?q=0"), { errors: [{ path: "query.q", limit: { ge: 1 } }] });
});

t.test("R03: an error has none of the headers that were meant for a success", async (t) => {
  const caching = resource("caching", {
    lifetime: "request",
    needs: { reply: from.reply },
    start: ({ reply }) => void reply.header("cache-control", "public").header("set-cookie", "a=1").header("x-d", "1"),
  });
  await using client = await served((app) => {
    app.get(
      "/bad",
      handler({ caching }, () => Promise.reject(new HttpError(400, "bad"))),
    );
    app.get(
      "/out",
      handler({ caching }, () => {
        throw new HttpError(401, "out", { headers: { "set-cookie": "a=; max-age=0" } });
      }),
    );
    app.get(
      "/good",
      handler({ caching }, () => "ok"),
    );
  });
  const { headers } = await client.get("/bad");
  t.strictSame([headers["cache-control"], headers["set-cookie"], headers["x-d"]], [undefined, undefined, "1"]);
  t.equal((await client.get("/out")).headers["set-cookie"], "a=; max-age=0");
  t.equal((await client.get("/good")).headers["cache-control"], "public");
});

t.test("R06: an error's detail may be any JSON, and a problem has the members that it is given", async (t) => {
  const thrown = (error: () => HttpError) =>
    handler({}, () => {
      throw error();
    });
  for (const shape of ["fastapi", "problem"] as const) {
    await using client = await served(
      (app) => {
        app.get(
          "/object",
          thrown(() => new HttpError(401, { reason: "expired" }, { headers: { "x-a": "1" } })),
        );
        app.get(
          "/list",
          thrown(() => new HttpError(400, ["a", "b"])),
        );
        app.get(
          "/members",
          thrown(() => new HttpError(409, "taken", { code: "TAKEN", members: { by: "ann", status: 200 } })),
        );
      },
      { errors: { shape } },
    );
    const object = await client.get("/object");
    t.equal(object.headers["x-a"], "1");
    if (shape === "fastapi") {
      t.strictSame(object.json(), { detail: { reason: "expired" } });
      t.strictSame(await got(client, "/list"), { detail: ["a", "b"] });
      t.strictSame(await got(client, "/members"), { detail: "taken", by: "ann", status: 200, code: "TAKEN" });
    } else {
      t.match(object.json(), { status: 401, title: "Unauthorized", detail: "Unauthorized", reason: "expired" });
      t.match(await got(client, "/list"), { detail: "Bad Request", details: ["a", "b"] });
      t.match(await got(client, "/members"), { status: 409, detail: "taken", code: "TAKEN", by: "ann" });
    }
  }
});

t.test("an HttpError with a status that is none of an error, or a header that cannot be sent, is refused", (t) => {
  for (const make of [
    () => new HttpError(200, "fine"),
    () => new HttpError(600, "far"),
    () => new HttpError(400, "bad", { headers: { "x-a": "one\ntwo" } }),
    () => new HttpError(400, "bad", { member: {} } as {}),
  ])
    t.throws(make, { code: "OPTIONS_INVALID" });
  t.end();
});

t.test("a background task with a value for a need is refused where it is added", async (t) => {
  const db = resource("db", { start: () => ({ open: true }) });
  let thrown: unknown;
  await using client = await served(
    (app) =>
      app.get(
        "/",
        handler({ background: from.background, db }, ({ background, db }) => {
          try {
            background.add("two", { db } as {}, () => {});
          } catch (error) {
            thrown = error;
          }
          return "ok";
        }),
      ),
    { roots: [db] },
  );
  await client.get("/");
  t.match(thrown, { code: "NEED_INVALID" });
});

t.test("a background task has one outcome, also where it was given up while it ran", async (t) => {
  const held = resolvers();
  const client = await served(
    (app) =>
      app.get(
        "/",
        handler({ background: from.background }, ({ background }) => {
          background.add("one", () => held.promise);
          background.add("two", () => {});
          return "ok";
        }),
      ),
    { closeTimeoutMs: 100 },
  );
  await client.get("/");
  await turns();
  await t.rejects(client.app.close(), { code: "STOP_FAILED" });
  held.resolve();
  await turns();
  t.match(client.app.steward.stats().background, { pending: 0, done: 0, failed: 0, lost: 2 });
});

/** A promise and what fulfils it. */
function resolvers(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => {};
  const promise = new Promise<void>((fulfil) => {
    resolve = fulfil;
  });
  return { promise, resolve };
}

t.test(
  "limits by address are refused at start where the app trusts everybody; a hook limits before the body is read",
  async (t) => {
    const keys: unknown[] = [];
    const decision = { retryAfterMs: 60_000, limit: 1, windowMs: 60_000, remaining: 0, resetMs: 60_000 };
    const limiter = resource("limiter", {
      start: (): RateLimiter => ({ take: async (_policy, key) => ({ ...decision, allowed: keys.push(key) === 1 }) }),
    });
    const limit = rateLimit(limiter, "api", { by: by.address });
    const start = async (trust: unknown) => {
      const trustProxy = trust as boolean; // one of the types of the option
      const app = fastify({ trustProxy });
      t.teardown(() => app.close());
      await app.register(steward, { container: container([limiter]) });
      app.post(
        "/",
        { onRequest: handler({ limit }, () => {}) },
        handler({ limit, body: from.body("it", { type: "object" }) }, ({ body }) => body),
      );
      await app.ready();
      return app;
    };
    for (const trust of [true, () => true])
      await t.rejects(start(trust), { message: /x-forwarded-for: name the proxies/ });
    for (const [trust, expected] of [
      [["127.0.0.1", "10.0.0.0/8"], "203.0.113.9"],
      ["127.0.0.1", "203.0.113.9"],
      [false, "127.0.0.1"],
    ] as const) {
      const app = await start(trust);
      const headers = { "x-forwarded-for": "198.51.100.1, 203.0.113.9", "content-type": "application/json" };
      const post = (payload: string) => app.inject({ method: "POST", url: "/", headers, payload });
      t.strictSame((await post("{}")).json(), {});
      t.equal((await post("no JSON")).statusCode, 429);
      t.strictSame(keys.splice(0), [
        ["address", expected],
        ["address", expected],
      ]);
    }
  },
);
