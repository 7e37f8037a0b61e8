import { container } from "@steward/container";
import { resource, type RateLimiter } from "@steward/core";
import { trackHandles } from "@steward/testing";
import express, { type Express } from "express";
import t from "tap";
import { by, expressServer, from, handler, perRequest, problems, rateLimit, steward } from "../src/index.ts";

const handles = trackHandles();
t.teardown(() => handles.assertNoLeaks());

const greeting = resource("greeting", { start: () => "hello" });

function serverOf(routes: (app: Express) => unknown, settings: object = {}) {
  return expressServer("server", {
    listen: () => ({ port: 0 }),
    app: (_values, running) => {
      const app = express();
      steward(app, { running, ...settings });
      routes(app);
      return app.use(problems());
    },
  });
}

async function json(url: string, init: RequestInit = {}): Promise<readonly [status: number, body: unknown]> {
  const response = await fetch(url, { ...init, headers: { connection: "close", ...init.headers } });
  return [response.status, await response.json()];
}

t.test("routes of mounted routers have their needs, their template, and 405 with what they allow", async (t) => {
  const lines: object[] = [];
  const log = { error: () => {}, info: (line: object) => void lines.push(line) };
  const server = serverOf(
    (app) => {
      const videos = express.Router();
      videos.get(
        "/:id",
        handler({ greeting, id: from.path("id") }, (values) => values),
      );
      app.use("/videos", videos);
    },
    { log },
  );
  await using running = await container([server, greeting]).start();
  const { url } = running.get(server);
  t.strictSame(await json(`${url}/videos/7?token=secret`), [200, { greeting: "hello", id: "7" }]);
  t.match(lines, [{ method: "GET", url: "/videos/7?token=***", route: "/videos/:id", status: 200 }]);
  const refused = await fetch(`${url}/videos/7`, { method: "DELETE", headers: { connection: "close" } });
  t.strictSame([refused.status, refused.headers.get("allow")], [405, "GET, HEAD"]);
  t.match(await json(`${url}/videos/%zz`), [400, { detail: "malformed path" }]);
});

t.test("body parsers, guards and error middleware of Express go on working", async (t) => {
  const server = serverOf((app) => {
    app.use(express.json({ limit: 100 }));
    app.post(
      "/",
      handler({ body: from.body("body", { type: "object" }) }, ({ body }) => body),
    );
    app.get(
      "/reply",
      handler({ reply: from.reply }, ({ reply }) => reply.status(201).json({ own: true })),
    );
    app.get("/fails", () => {
      throw new Error("host=db.internal");
    });
  });
  await using running = await container([server]).start();
  const { url } = running.get(server);
  const post = (body: string) => json(url, { method: "POST", body, headers: { "content-type": "application/json" } });
  t.strictSame(await post('{"a":1}'), [200, { a: 1 }]);
  t.match(await post(`{"a":"${"x".repeat(200)}"}`), [413, { detail: "request entity too large" }]);
  t.match(await post("{"), [400, { status: 400 }]);
  t.strictSame(await json(`${url}/reply`), [201, { own: true }]);
  const [status, body] = await json(`${url}/fails`);
  t.equal(status, 500);
  t.notMatch(JSON.stringify(body), /internal/);
});

t.test("dependencies of the app come before those of a route", async (t) => {
  const log: string[] = [];
  const first = perRequest("first", {}, () => void log.push("first"));
  const second = perRequest("second", {}, () => void log.push("second"));
  const server = serverOf(
    (app) =>
      app.get(
        "/",
        handler({ second }, () => log),
      ),
    { dependencies: { first } },
  );
  await using running = await container([server]).start();
  t.strictSame(await json(running.get(server).url), [200, ["first", "second"]]);
});

t.test("what cannot work fails the start, with a word for it", async (t) => {
  const lacking = serverOf((app) =>
    app.get(
      "/",
      handler({ greeting }, () => 1),
    ),
  );
  await t.rejects(container([lacking]).start(), { code: "NOT_IN_GRAPH" });
  const bare = expressServer("bare", { listen: () => ({ port: 0 }), app: () => express() });
  await t.rejects(container([bare]).start(), { cause: { code: "NOT_REGISTERED", message: /steward\(app/ } });
  t.throws(() => steward(express(), { running: () => undefined, timeoutM: 1 } as never), /timeoutMs/);
  t.throws(() => steward(express(), {} as never), { code: "OPTIONS_INVALID" });
});

t.test("a container of the app's own is started and stopped with it", async (t) => {
  const log: string[] = [];
  const db = resource("db", { start: () => void log.push("starts"), stop: () => void log.push("stops") });
  const app = express();
  const life = steward(app, { container: container([db]) });
  t.equal(life.running, undefined);
  await life.start();
  t.strictSame(log, ["starts"]);
  await life.stop();
  t.strictSame([log, life.stats().openRequests], [["starts", "stops"], 0]);
});

t.test(
  "limits by address are refused at start where the app trusts everybody, and taken where it names its proxies",
  async (t) => {
    const left = { allowed: true, retryAfterMs: 0, limit: 5, windowMs: 60_000, remaining: 4, resetMs: 60_000 };
    const keys: unknown[] = [];
    const limiter = resource("limiter", {
      start: (): RateLimiter => ({
        take: async (_policy, key) => {
          keys.push(key);
          return left;
        },
      }),
    });
    const start = async (trust: unknown) => {
      const server = serverOf((app) => {
        app.set("trust proxy", trust);
        app.get(
          "/",
          handler({ limit: rateLimit(limiter, "api", { by: by.address }) }, () => "ok"),
        );
      });
      const running = await container([limiter, server]).start();
      return { url: running.get(server).url, [Symbol.asyncDispose]: async () => void (await running.stop()) };
    };
    for (const trust of [true, () => true])
      await t.rejects(start(trust), { message: /x-forwarded-for: name the proxies/ });
    for (const [trust, expected] of [
      [1, "203.0.113.9"],
      ["loopback", "203.0.113.9"],
      [false, "127.0.0.1"],
    ] as const) {
      await using app = await start(trust);
      await fetch(app.url, { headers: { "x-forwarded-for": "198.51.100.1, 203.0.113.9", connection: "close" } });
      t.strictSame(keys.splice(0), [["address", expected]]);
    }
  },
);

t.test("a container of the app's own holds what the handlers need", async (t) => {
  const app = express();
  const life = steward(app, { container: container([]) });
  app.get(
    "/",
    handler({ greeting }, (values) => values),
  );
  await life.start();
  t.equal(life.running?.get(greeting), "hello");
  await life.stop();
});
