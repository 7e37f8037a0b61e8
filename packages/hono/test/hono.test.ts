import type { ServerResponse } from "node:http";
import { container } from "@steward/container";
import { resource } from "@steward/core";
import { trackHandles } from "@steward/testing";
import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import t from "tap";
import { from, handler, honoServer, perRequest, steward } from "../src/index.ts";

const handles = trackHandles();
t.teardown(() => handles.assertNoLeaks());

const greeting = resource("greeting", { start: () => "hello" });

function serverOf(routes: (app: Hono) => unknown, settings: object = {}) {
  return honoServer("server", {
    listen: () => ({ port: 0 }),
    app: (_values, running) => {
      const app = new Hono();
      steward(app, { running, ...settings });
      routes(app);
      return app;
    },
  });
}

async function json(url: string, init: RequestInit = {}): Promise<readonly [status: number, body: unknown]> {
  const response = await fetch(url, { ...init, headers: { connection: "close", ...init.headers } });
  return [response.status, await response.json()];
}

t.test("routes of mounted apps have their needs and their template; middleware sees the answer", async (t) => {
  const lines: object[] = [];
  const log = { error: () => {}, info: (line: object) => void lines.push(line) };
  const server = serverOf(
    (app) => {
      app.use(async (context, next) => {
        await next();
        context.res.headers.set("x-seen", String(context.res.status));
      });
      const videos = new Hono();
      videos.get(
        "/:id",
        handler({ greeting, id: from.path("id") }, (values) => values),
      );
      app.route("/videos", videos);
    },
    { log },
  );
  await using running = await container([server, greeting]).start();
  const { url } = running.get(server);
  const answer = await fetch(`${url}/videos/7?token=secret`, { headers: { connection: "close" } });
  t.strictSame([answer.headers.get("x-seen"), await answer.json()], ["200", { greeting: "hello", id: "7" }]);
  t.match(lines, [{ method: "GET", url: "/videos/7?token=***", route: "/videos/:id", status: 200 }]);
});

t.test("a content type, a status and headers that the context was given are those of the answer", async (t) => {
  const server = serverOf((app) => {
    app.get(
      "/own",
      handler({}, (_values, context) => {
        context.header("content-type", "application/hal+json");
        context.header("x-own", "1");
        context.status(202);
        return { a: 1 };
      }),
    );
    app.get(
      "/usual",
      handler({}, () => ({ a: 1 })),
    );
  });
  await using running = await container([server]).start();
  const seen = await Promise.all(
    ["/own", "/usual"].map(async (path) => {
      const { status, headers } = await fetch(running.get(server).url + path, { headers: { connection: "close" } });
      return [status, headers.get("content-type"), headers.get("x-own"), headers.get("content-length")];
    }),
  );
  t.strictSame(seen, [
    [202, "application/hal+json", "1", "7"],
    [200, "application/json; charset=utf-8", null, "7"],
  ]);
});

t.test("an answer that was begun past Hono and then fails is broken off; Response.error() is a problem", async (t) => {
  const server = serverOf((app) => {
    app.get(
      "/begun",
      handler({ reply: from.reply }, async ({ reply }) => {
        const { outgoing } = reply.env as { outgoing: ServerResponse };
        outgoing.writeHead(200).write("some of it");
        throw new Error("no");
      }),
    );
    app.get(
      "/error",
      handler({}, () => Response.error()),
    );
  });
  await using running = await container([server]).start();
  const { url } = running.get(server);
  await t.rejects(async () => (await fetch(`${url}/begun`)).text());
  t.match(await json(`${url}/error`), [500, { status: 500 }]);
});

t.test("what middleware has read, set or thrown goes on working", async (t) => {
  const server = serverOf((app) => {
    app.post("/", async (context, next) => {
      await context.req.json();
      context.header("x-own", "1");
      context.status(202);
      await next();
    });
    app.post(
      "/",
      handler({ body: from.body("body", { type: "object" }) }, ({ body }) => body),
    );
    app.get(
      "/own",
      handler({}, (_values, context) => context.json({ own: true }, 201)),
    );
    app.get("/teapot", () => {
      throw new HTTPException(418, { message: "a teapot" });
    });
  });
  await using running = await container([server]).start();
  const { url } = running.get(server);
  const headers = { "content-type": "application/json", connection: "close" };
  const posted = await fetch(url, { method: "POST", body: '{"a":1}', headers });
  t.strictSame([posted.status, posted.headers.get("x-own"), await posted.json()], [202, "1", { a: 1 }]);
  t.strictSame(await json(`${url}/own`), [201, { own: true }]);
  t.match(await json(`${url}/teapot`), [418, { detail: "a teapot", status: 418 }]);
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

t.test("what cannot work is refused, with a word for it", async (t) => {
  const lacking = serverOf((app) =>
    app.get(
      "/",
      handler({ greeting }, () => 1),
    ),
  );
  await t.rejects(container([lacking]).start(), { code: "NOT_IN_GRAPH" });
  const bare = honoServer("bare", { listen: () => ({ port: 0 }), app: () => new Hono() });
  await t.rejects(container([bare]).start(), { cause: { code: "NOT_REGISTERED", message: /steward\(app/ } });
  const elsewhere = new Hono();
  steward(elsewhere, { container: container([]) });
  elsewhere.onError((error, context) => context.text(error.message));
  t.match(await (await elsewhere.request("/")).text(), /Node alone/);
  t.throws(() => steward(new Hono(), { running: () => undefined, timeoutM: 1 } as never), /timeoutMs/);
});

t.test("a container of the app's own holds what the handlers need", async (t) => {
  const app = new Hono();
  const life = steward(app, { container: container([]) });
  app.get(
    "/",
    handler({ greeting }, (values) => values),
  );
  await life.start();
  t.equal(life.running?.get(greeting), "hello");
  await life.stop();
});
