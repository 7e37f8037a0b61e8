import { Writable } from "node:stream";
import { container, type RunningContainer } from "@steward/container";
import { currentContext, isStewardError, lazy, resource, StewardError } from "@steward/core";
import { fastify, LogController } from "fastify";
import t from "tap";
import {
  depend,
  from,
  handler,
  HttpError,
  memoryIdempotency,
  perRequest,
  steward,
  uuid7,
  withInputs,
} from "../src/index.ts";
import { override, testClient, type TestClient } from "../src/testing.ts";
import { got, served, turns } from "./app.ts";

t.test(
  "L01, L03: application resources are dependencies like any other: started once, stopped once (deviation: FastAPI has none)",
  async (t) => {
    const log: string[] = [];
    const db = resource("db", { start: () => ({ rows: 2 + log.push("start") }), stop: () => log.push("stop") });
    const rows = resource("rows", { lifetime: "request", needs: { db }, start: ({ db }) => db.rows });
    const client = await served(
      (app) =>
        app.get(
          "/",
          handler({ rows, db }, ({ rows, db }) => [rows, db.rows]),
        ),
      { roots: [db] },
    );
    t.strictSame(await got(client), [3, 3]);
    t.strictSame(await got(client), [3, 3]);
    t.strictSame(log, ["start"]);
    await client.app.close();
    t.strictSame(log, ["start", "stop"]);
  },
);

t.test("L02: an app starts what its routes need, and stops it with the rest", async (t) => {
  const log: string[] = [];
  const named = (name: string) =>
    resource(name, {
      start: () => (log.push(name), name),
      stop: () => void log.push(`${name} stops`),
    });
  const [db, mail, audit, store, late] = [named("db"), named("mail"), named("audit"), named("store"), named("late")];
  const me = perRequest("me", { db }, ({ db }) => db);
  const kept = resource("kept", { needs: { store }, start: () => memoryIdempotency() });
  await using client = await served((app) => {
    depend(app, { audit });
    app.post(
      "/",
      { preHandler: handler({ mail }, () => undefined) },
      handler({ me, late: lazy(late) }, ({ me }) => me, { idempotency: { store: kept } }),
    );
  });
  t.strictSame(log.sort(), ["audit", "db", "mail", "store"], "what is needed lazily waits");
  t.equal((await client.post("/")).body, "db");
  await client.app.close();
  t.equal(log.length, 8);
});

t.test("an override of what routes alone need is one, and the other is not started", async (t) => {
  const db = resource("db", { start: () => Promise.reject(new Error("no network")) as Promise<string> });
  const app = (): Promise<TestClient> =>
    served(
      (app) =>
        app.get(
          "/",
          handler({ db }, ({ db }) => db),
        ),
      { replacements: [override(db, "fake")] },
    );
  await using client = await app();
  t.equal((await client.get("/")).body, "fake");
});

t.test("a container that runs already and lacks what a route needs is refused, with what to do", async (t) => {
  const db = resource("db", { start: () => ({}) });
  await using running = await container([]).start();
  const app = fastify();
  await app.register(steward, { running });
  app.get(
    "/",
    handler({ db }, () => "ok"),
  );
  await t.rejects(async () => app.ready(), {
    code: "NOT_IN_GRAPH",
    message: 'this container does not hold "db": add it to the roots of container([...])',
  });
  await app.close();
});

t.test("an app whose resources do not start does not get ready, and can be closed", async (t) => {
  const app = fastify();
  const bad = resource("bad", { start: () => Promise.reject(new Error("no network")) });
  await app.register(steward, { container: container([bad]) });
  await t.rejects(async () => app.ready(), { code: "START_FAILED" });
  await app.close();
});

t.test("an injected handler on an app without the plugin says what is missing", async (t) => {
  const app = fastify();
  app.get(
    "/",
    handler({}, () => "ok"),
  );
  const answer = await app.inject("/");
  t.equal(answer.statusCode, 500);
  t.equal(answer.json().code, "NOT_REGISTERED");
  await app.close();
});

t.test(
  "a route that was added before the plugin had loaded says so; routes in plugins behind it are fine",
  async (t) => {
    const app = fastify();
    app.register(steward, { container: container([]), accessLog: false });
    app.get(
      "/early",
      handler({}, () => "ok"),
    );
    app.register(
      async (inner) =>
        void inner.get(
          "/behind",
          handler({}, () => "ok"),
        ),
    );
    const early = await app.inject("/early");
    t.equal(early.statusCode, 500);
    t.equal((await app.inject("/behind")).body, "ok");
    await app.close();
  },
);

t.test("the answer to what does not exist may have needs too", async (t) => {
  await using client = await served(
    (app) => app.setNotFoundHandler(handler({ request: from.request }, ({ request }) => `no ${request.url}`)),
    { notFound: false },
  );
  t.equal((await client.get("/nowhere")).body, "no /nowhere");
  await turns();
  t.equal(client.app.steward.stats().openRequests, 0);
});

t.test("a container that somebody else runs may be up later than the app: until then requests get 503", async (t) => {
  const db = resource("db", { start: () => "db" });
  const app = fastify();
  const up: { running?: RunningContainer } = {};
  await app.register(steward, { running: () => up.running });
  app.get(
    "/",
    handler({ db }, ({ db }) => ({ db })),
  );
  await app.ready();
  t.equal((await app.inject("/readyz")).statusCode, 503);
  const early = await app.inject("/");
  t.strictSame([early.statusCode, early.headers["retry-after"]], [503, "1"]);
  const running = await container([db]).start();
  up.running = running;
  t.equal((await app.inject("/readyz")).statusCode, 200);
  t.strictSame((await app.inject("/")).json(), { db: "db" });
  await app.close();
  t.equal(running.phase, "ready");
  await running.stop();
});

t.test("a container's inputs are given with it", async (t) => {
  const { input } = await import("@steward/core");
  const name = input<string>()("name");
  const greeting = resource("greeting", { needs: { name }, start: ({ name }) => `hello ${name}` });
  const app = fastify();
  await app.register(steward, withInputs(container([greeting]), [name.is("ann")]));
  app.get(
    "/",
    handler({ greeting: greeting as never }, (values) => values),
  );
  t.strictSame((await app.inject("/")).json(), { greeting: "hello ann" });
  await app.close();
});

t.test(
  "ids: those that come are kept where they may stand in a log; others are UUIDs of version 7, in order",
  async (t) => {
    await using client = await served((app) =>
      app.get(
        "/",
        handler({ request: from.request }, ({ request }) => ({ id: request.id, context: currentContext()?.requestId })),
      ),
    );
    const own = await client.get("/", { headers: { "x-request-id": "abc-1" } });
    t.strictSame([own.json(), own.headers["x-request-id"]], [{ id: "abc-1", context: "abc-1" }, "abc-1"]);
    const made = await client.get("/", { headers: { "x-request-id": "a\tb;rm" } });
    t.match(made.headers["x-request-id"], /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
    t.equal(made.json().id, made.headers["x-request-id"]);
    t.equal((await client.get("/missing")).headers["x-request-id"]?.toString().length, 36);
    const ids = Array.from({ length: 2_000 }, (_, i) => uuid7(1_700_000_000_000 + i));
    t.strictSame([...ids].sort(), ids);
    t.equal(new Set(Array.from({ length: 2_000 }, () => uuid7(1))).size, 2_000);
  },
);

t.test("the context carries the deadline; the signal aborts when it passes", async (t) => {
  const seen: unknown[] = [];
  await using client = await served((app) => {
    app.get(
      "/context",
      handler(
        {},
        () => {
          const { deadline = 0 } = currentContext() ?? {};
          return { left: deadline - performance.now() };
        },
        { timeoutMs: 50_000 },
      ),
    );
    app.get(
      "/late",
      handler(
        { requestSignal: from.signal },
        async ({ requestSignal }) => {
          t.equal(currentContext()?.signal, requestSignal);
          await new Promise((resolve) => requestSignal.addEventListener("abort", resolve));
          seen.push(requestSignal.reason);
          throw requestSignal.reason;
        },
        { timeoutMs: 20 },
      ),
    );
  });
  const { left } = (await got(client, "/context")) as { left: number };
  t.ok(left > 40_000 && left <= 50_000);
  t.equal((await client.get("/late")).statusCode, 504);
  t.match(seen, [{ code: "DEADLINE_EXCEEDED" }]);
});

t.test("errors are answered by what they are: never more than a client may know", async (t) => {
  const errors: Record<string, [error: unknown, status: number]> = {
    http: [new HttpError(418, "teapot", { headers: { "x-tea": "yes" } }), 418],
    down: [new StewardError("RESOURCE_UNAVAILABLE", 'db "main" at 10.0.0.1 is down', { retryAfterMs: 3_500 }), 503],
    full: [new Error("wrapped", { cause: new StewardError("OVERLOADED", "queue full") }), 503],
    open: [new StewardError("CIRCUIT_OPEN", "open"), 503],
    late: [new StewardError("DEADLINE_EXCEEDED", "too late"), 504],
    own: [Object.assign(new Error("not you"), { statusCode: 403 }), 403],
    bug: [new TypeError("secret host db-1"), 500],
    text: ["just text", 500],
  };
  await using client = await served((app) => {
    for (const [name, [error]] of Object.entries(errors))
      app.get(
        `/${name}`,
        handler({}, async () => Promise.reject(error)),
      );
  });
  for (const [name, [, status]] of Object.entries(errors)) {
    const answer = await client.get(`/${name}`);
    t.equal(answer.statusCode, status, name);
    t.notMatch(answer.body, /10\.0\.0\.1|\bdb-1\b|queue/);
  }
  t.equal((await client.get("/down")).headers["retry-after"], "4");
  t.match((await client.get("/http")).headers, { "x-tea": "yes", "content-type": /problem\+json/ });
});

t.test("an app says what its resources' errors are for clients; an error's code is sent", async (t) => {
  const refused = new Error("driver", { cause: new StewardError("HTTP_ORIGIN_REFUSED", "10.0.0.1 is not allowed") });
  await using client = await served(
    (app) => {
      app.get(
        "/refused",
        handler({}, () => Promise.reject(refused)),
      );
      app.get(
        "/gone",
        handler({}, () => Promise.reject(new HttpError(410, "it was destroyed", { code: "KEY_DESTROYED" }))),
      );
      app.get(
        "/late",
        handler({}, () => Promise.reject(new StewardError("DEADLINE_EXCEEDED", "too late"))),
      );
    },
    {
      errors: {
        toHttpError: (error) =>
          isStewardError(error, "HTTP_ORIGIN_REFUSED") ? new HttpError(403, "not on the list") : undefined,
      },
    },
  );
  const answer = await client.get("/refused");
  t.match(answer.json(), { status: 403, detail: "not on the list" });
  t.notOk("code" in answer.json());
  t.match((await client.get("/gone")).json(), { status: 410, code: "KEY_DESTROYED" });
  t.equal((await client.get("/late")).statusCode, 504);
});

t.test("the access log has one line for a request, without secrets", async (t) => {
  const lines: Record<string, unknown>[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(JSON.parse(chunk.toString()) as Record<string, unknown>);
      done();
    },
  });
  const app = fastify({
    logger: { level: "info", stream },
    logController: new LogController({ disableRequestLogging: true }),
  });
  await app.register(steward, { container: container([]), accessLog: {}, metrics: { render: () => "" } });
  app.get(
    "/users/:id",
    handler({ q: from.query("q", { type: "string" }, { required: false }) }, () => "ok"),
  );
  await app.inject("/users/5?q=a&Token=xyzzy&api%5Fkey=plugh&x=1");
  await app.inject("/users/5?q=a");
  await app.inject("/livez");
  await app.inject("/metrics");
  const requests = lines.filter(({ msg }) => msg === "request");
  t.match(requests, [
    { method: "GET", url: "/users/5?q=a&Token=***&api%5Fkey=***&x=1", route: "/users/:id", status: 200 },
    { url: "/users/5?q=a" },
  ]);
  t.equal(requests.length, 2);
  t.notMatch(JSON.stringify(lines), /xyzzy|plugh/); // no id of a request holds those
  await app.close();
});

t.test("metrics are served by what renders them, whole or in parts; the app has series of its own", async (t) => {
  await using client = await served(
    (app) =>
      app.get(
        "/",
        handler({ background: from.background }, ({ background }) => {
          background.add("task", () => {});
          return "ok";
        }),
      ),
    { metrics: { render: async () => "up 1\n" } },
  );
  const answer = await client.get("/metrics");
  t.strictSame([answer.body, answer.headers["content-type"]], ["up 1\n", "text/plain; version=0.0.4; charset=utf-8"]);
  await client.get("/");
  await turns(10);
  const series = [...client.app.steward.metrics()].map(({ name, value, attributes }) => [
    name,
    value,
    attributes["outcome"],
  ]);
  t.strictSame(series.slice(0, 5), [
    ["steward.requests.open", 0, undefined],
    ["steward.background.pending", 0, undefined],
    ["steward.background.tasks", 1, "done"],
    ["steward.background.tasks", 0, "failed"],
    ["steward.background.tasks", 0, "lost"],
  ]);
  await using parts = await served(() => {}, {
    metrics: { path: "/own", contentType: "text/own", render: () => ["a", "b"] },
  });
  t.equal((await parts.get("/own")).body, "ab");
  await using guarded = await served(() => {}, { metrics: { token: "let me in", render: () => "up 1\n" } });
  const refused = await guarded.get("/metrics");
  t.strictSame([refused.statusCode, refused.headers["www-authenticate"]], [401, "Bearer"]);
  t.equal((await guarded.get("/metrics", { headers: { authorization: "Bearer let me" } })).statusCode, 401);
  t.equal((await guarded.get("/metrics", { headers: { authorization: "Bearer let me in" } })).body, "up 1\n");
});

t.test("the context carries the caller's trace", async (t) => {
  await using client = await served((app) =>
    app.get(
      "/",
      handler({}, () => ({ trace: currentContext()?.traceContext ?? "none" })),
    ),
  );
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  t.strictSame(await got(client, "/", { traceparent }), { trace: traceparent });
  t.strictSame(await got(client, "/", { traceparent: "nonsense" }), { trace: "none" });
});

t.test("health routes show how the container is; unknown ones are 404", async (t) => {
  await using client = await served(() => {}, { health: {}, roots: [resource("db", { start: () => 1 })] });
  for (const path of ["/livez", "/readyz", "/startupz", "/health", "/health/resources", "/health/resources/db"])
    t.equal((await client.get(path)).statusCode, 200, path);
  t.equal((await client.get("/health/resources/none")).statusCode, 404);
  t.equal((await client.inject({ method: "HEAD", url: "/readyz" })).body, "");
});

t.test(
  "Fastify's own timeout of a handler: 503 at once, no commit, and what is held goes when the handler has ended",
  async (t) => {
    const log: string[] = [];
    let go: () => void = () => {};
    const held = new Promise<void>((resolve) => (go = resolve));
    const tx = resource("tx", {
      lifetime: "handler",
      async *start() {
        try {
          yield 1;
          log.push("commit");
        } finally {
          log.push("release");
        }
      },
    });
    await using client = await served((app) =>
      app.get(
        "/",
        { handlerTimeout: 20 },
        handler({ tx, requestSignal: from.signal }, async ({ requestSignal }) => {
          await held;
          log.push(`aborted ${requestSignal.aborted}`);
          return "late";
        }),
      ),
    );
    const answer = await client.get("/");
    t.equal(answer.statusCode, 503);
    await turns();
    t.strictSame(log, []);
    t.equal(client.app.steward.stats().openRequests, 1);
    go();
    await turns(10);
    t.strictSame(log, ["aborted true", "release"]);
    t.equal(client.app.steward.stats().openRequests, 0);
  },
);

t.test("an error of Fastify's behind the handler reaches what lives for the request", async (t) => {
  const log: string[] = [];
  const seen = resource("seen", {
    lifetime: "request",
    async *start() {
      try {
        yield 1;
      } catch (error) {
        log.push((error as Error).message);
        throw error;
      }
    },
  });
  const response = { 200: { type: "object", required: ["a"], properties: { a: { type: "string" } } } } as const;
  await using client = await served((app) => {
    app.get(
      "/serializer",
      { schema: { response } },
      handler({ seen }, () => ({ b: 1 })),
    );
    app.get(
      "/hook",
      { onSend: async () => Promise.reject(new Error("from onSend")) },
      handler({ seen }, () => "ok"),
    );
  });
  t.equal((await client.get("/serializer")).statusCode, 500);
  t.equal((await client.get("/hook")).statusCode, 500);
  await turns(10);
  t.strictSame(log, ['"a" is required!', "from onSend"]);
  t.equal(client.app.steward.stats().openRequests, 0);
});

t.test("a handler that hijacks the reply holds what it needs until the response ends", async (t) => {
  const log: string[] = [];
  const held = resource("held", {
    lifetime: "request",
    async *start() {
      yield 1;
      log.push("released");
    },
  });
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ held, reply: from.reply }, ({ reply }) => {
        reply.hijack();
        setImmediate(() => {
          log.push("ends");
          reply.raw.end("raw");
        });
      }),
    ),
  );
  t.equal((await client.get("/")).body, "raw");
  await turns(10);
  t.strictSame(log, ["ends", "released"]);
});

t.test("two apps may share one container; each has its own requests", async (t) => {
  const db = resource("db", { start: () => "db" });
  const running = await container([db]).start();
  const shared = handler({ db }, ({ db }) => ({ db }));
  const make = async () => {
    const app = fastify();
    await app.register(steward, { running });
    app.get("/", shared);
    return testClient(app);
  };
  const [one, two] = [await make(), await make()];
  t.strictSame([await got(one), await got(two)], [{ db: "db" }, { db: "db" }]);
  await one.app.close();
  t.strictSame(await got(two), { db: "db" });
  await two.app.close();
  await running.stop();
});
