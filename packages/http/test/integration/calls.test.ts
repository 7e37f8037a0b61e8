import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { currentContext, runWithContext } from "@steward/core";
import { compareMembers, documentedMembers, failure, FakeClock, trackHandles, until } from "@steward/testing";
import t from "tap";
import * as undici from "undici";
import { fetchOver } from "../../src/fetch/index.ts";
import { HttpSessionManager, type HttpSession } from "../../src/index.ts";
import { bodyOf, mirror, serve, started, type Mirrored } from "../servers.ts";

/** The clock of deadlines is looked at every so many ms. */
const SLACK_MS = 8;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const handles = trackHandles();
t.teardown(() => handles.assertNoLeaks());

async function mirrored(session: HttpSession, path: string, options = {}): Promise<Mirrored> {
  const { body } = await session.request(path, options);
  return (await body.json()) as Mirrored; // what `mirror` answers
}

t.test("the client is a dispatcher in every call of undici", async (t) => {
  await using server = await serve((request, response) => void mirror(request, response));
  await using http = await started();
  const dispatcher = http.client;
  t.ok(dispatcher instanceof undici.Dispatcher);
  const viaRequest = await undici.request(`${server.url}/request`, { dispatcher });
  t.match(await viaRequest.body.json(), { url: "/request" });
  const viaFetch = await undici.fetch(`${server.url}/fetch`, { dispatcher, method: "POST", body: "b" });
  t.match(await viaFetch.json(), { url: "/fetch", method: "POST", body: "b" });
  let streamed = "";
  const sink = (): Writable =>
    new Writable({ write: (chunk, _encoding, done) => ((streamed += String(chunk)), done()) });
  await undici.stream(`${server.url}/stream`, { dispatcher, method: "GET" }, sink);
  t.match(JSON.parse(streamed), { url: "/stream" });
  const pipe = dispatcher.pipeline({ origin: server.url, path: "/pipeline", method: "PUT" }, ({ body }) => body);
  pipe.end("piped");
  t.match(JSON.parse(await text(pipe)), { url: "/pipeline", body: "piped" });
  const composed = dispatcher.compose(undici.interceptors.dump());
  t.match(await (await composed.request({ origin: server.url, path: "/composed", method: "GET" })).body.text(), "");
  t.match(http.stats(), { started: 5, succeeded: 5, failed: 0, inUse: 0 });
});

t.test("an old and a new handler, and the callback forms, get the same", async (t) => {
  await using server = await serve((_request, response) => response.end("hello"));
  await using http = await started({ baseUrl: server.url });
  const [, data] = await new Promise<[Error | null, undici.Dispatcher.ResponseData]>((resolve) =>
    http.client.request({ path: "/", method: "GET" }, (error, answer) => resolve([error, answer])),
  );
  t.equal(await data.body.text(), "hello");
  const events: string[] = [];
  await new Promise<void>((resolve, reject) =>
    http.client.dispatch(
      { path: "/", method: "GET" },
      {
        onRequestStart: () => events.push("start"),
        onResponseStart: (_controller, status) => events.push(String(status)),
        onResponseData: (_controller, chunk) => events.push(String(chunk)),
        onResponseEnd: () => resolve(),
        onResponseError: (_controller, error) => reject(error),
      },
    ),
  );
  t.same(events, ["start", "200", "hello"]);
});

t.test("an upgraded socket is the caller's until it closes, and holds a place meanwhile", async (t) => {
  await using server = await serve(() => {});
  await using http = await started({ baseUrl: server.url, maxConnections: 1 });
  const { createServer } = await import("node:http");
  const upgrading = createServer();
  upgrading.on("upgrade", (_request, socket) => {
    socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n");
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => upgrading.listen(0, "127.0.0.1", () => resolve()));
  const { port } = upgrading.address() as { port: number };
  const origin = `http://127.0.0.1:${port}`;
  const { socket } = await http.client.upgrade({
    origin,
    path: "/",
    protocol: "echo",
  } as undici.Dispatcher.UpgradeOptions);
  socket.write("ping");
  t.equal(String((await once(socket, "data"))[0]), "ping");
  t.match(http.stats(), { inUse: 1 });
  await http.stop();
  t.ok(socket.destroyed, "stop ends it");
  upgrading.close();
});

t.test("paths are relative to baseUrl; without one a path is refused", async (t) => {
  await using server = await serve((request, response) => void mirror(request, response));
  await using http = await started({ baseUrl: `${server.url}/v1/` });
  t.equal((await mirrored(http.client, "/a?b=1")).url, "/a?b=1");
  t.equal((await mirrored(http.client, "a")).url, "/v1/a");
  t.equal((await mirrored(http.client, "/x/../y")).url, "/y");
  t.equal(((await (await fetchOver(http.client)("f")).json()) as Mirrored).url, "/v1/f");
  await using bare = await started();
  t.match(await failure(bare.client.request("/a?secret=1")), { code: "HTTP_ORIGIN_MISSING", message: /"\/a" is not/ });
  t.match(await failure(bare.client.request({ path: "/a", method: "GET" })), { code: "HTTP_ORIGIN_MISSING" });
});

t.test("a method that is undefined is the default; one that is missing is refused by undici", async (t) => {
  await using server = await serve((request, response) => void mirror(request, response));
  await using http = await started({ baseUrl: server.url });
  t.match(await mirrored(http.client, "/", { method: undefined }), { method: "GET" });
  const none = { path: "/" } as undici.Dispatcher.RequestOptions;
  t.match(await failure(http.client.request(none)), { code: "UND_ERR_INVALID_ARG", message: /method/ });
  const wrong = { path: "/", method: "GET", timeout: 5 } as undici.Dispatcher.RequestOptions;
  const sink = (): Writable => new Writable();
  t.match(await http.client.stream(wrong, sink).catch((error: Error) => error), { code: "OPTIONS_INVALID" });
  const called = await new Promise((resolve) => http.client.stream(wrong, sink, resolve));
  t.match(called, { code: "OPTIONS_INVALID" });
});

t.test("default headers come with every call, and give way to the call's own", async (t) => {
  await using server = await serve((request, response) => void mirror(request, response));
  await using http = await started({
    baseUrl: server.url,
    headers: { "X-One": "1", "x-two": "2" },
    userAgent: "tester/1",
  });
  t.match((await mirrored(http.client, "/")).headers, { "x-one": "1", "x-two": "2", "user-agent": "tester/1" });
  const own = { "X-ONE": "mine" };
  for (const headers of [own, ["X-ONE", "mine"], Object.entries(own), new Map(Object.entries(own))])
    t.match((await mirrored(http.client, "/", { headers })).headers, {
      "x-one": "mine",
      "x-two": "2",
      "user-agent": "tester/1",
    });
});

t.test("a flat list of headers may have several values for a name, also where defaults are added", async (t) => {
  await using server = await serve((request, response) => void mirror(request, response));
  await using http = await started({ baseUrl: server.url, headers: { "x-two": "2" } });
  const headers = ["x-list", ["1", "2"], "x-none", undefined, "x-last", "3"] as string[];
  const { headers: seen } = await mirrored(http.client, "/", { headers });
  t.match(seen, { "x-list": /^1, ?2$/, "x-last": "3", "x-two": "2" });
  t.notOk("x-none" in seen);
  t.match(await failure(http.client.request("/", { headers: ["x-list"] })), { code: "UND_ERR_INVALID_ARG" });
});

/** An interceptor that looks at headers, as some of undici's do. */
const curious: undici.Dispatcher.DispatcherComposeInterceptor = (dispatch) => (options, handler) => {
  Array.from(options.headers as Iterable<unknown>);
  return dispatch(options, handler);
};

t.test("headers that can be read but once are sent all the same, by every way, and with every attempt", async (t) => {
  let failures = 0;
  await using server = await serve((request, response) => {
    if (request.url !== "/busy" || failures++ > 0) return void mirror(request, response);
    response.statusCode = 503;
    response.end();
  });
  await using plain = await started({ baseUrl: server.url });
  await using http = await started({ baseUrl: server.url, headers: { "x-own": "default", "x-two": "2" } });
  const once = function* (): Generator<[string, string | string[]]> {
    yield ["X-Own", "mine"];
    yield ["x-list", ["1", "2"]];
  };
  await using looking = await started({ baseUrl: server.url, interceptors: [curious] });
  for (const { client } of [plain, http, looking]) {
    failures = 0;
    const again = client.compose(curious);
    const given = (): { method: "PUT"; path: string; headers: Generator<[string, string | string[]]> } => ({
      method: "PUT",
      path: "/",
      headers: once(),
    });
    const bodies = [
      (await client.request("/", { headers: once() })).body,
      (await client.request("/", { headers: once(), method: "POST", body: "b" })).body,
      (await client.request("/busy", { headers: once() })).body,
      (await client.request(given())).body,
      (await undici.request(server.url, { dispatcher: client, headers: once() })).body,
      (await again.request(given())).body,
      (await fetchOver(client)("/", { headers: once() as never })).body,
      client.pipeline(given(), ({ body }) => body).end(),
    ];
    const seen: unknown[] = [];
    for (const body of bodies) seen.push(JSON.parse(await text(body as AsyncIterable<Uint8Array>)));
    let streamed = "";
    const sink = (): Writable =>
      new Writable({ write: (chunk, _encoding, done) => ((streamed += String(chunk)), done()) });
    await client.stream(given(), sink);
    for (const one of [...seen, JSON.parse(streamed)])
      t.match(one, { headers: { "x-own": "mine", "x-list": /^1, ?2$/ } });
  }
});

t.test("headers whose reading fails are the failure of their call", async (t) => {
  await using server = await serve((request, response) => void mirror(request, response));
  const broken = function* (): Generator<[string, string]> {
    yield ["x-a", "1"];
    throw new Error("no more");
  };
  for (const interceptors of [[], [curious]]) {
    await using http = await started({ baseUrl: server.url, interceptors });
    t.match(await failure(http.client.request("/", { headers: broken() })), { message: "no more" });
    const dispatched = new Promise((resolve) =>
      http.client.dispatch({ path: "/", method: "GET", headers: broken() }, { onConnect() {}, onError: resolve }),
    );
    t.match(await dispatched, { message: "no more" });
  }
  t.same(server.seen, []);
});

t.test(
  "credentials go to the origin of baseUrl only, fresh for every attempt, and give way to the call's own",
  async (t) => {
    await using server = await serve((request, response) => void mirror(request, response));
    await using other = await serve((request, response) => void mirror(request, response));
    let asked = 0;
    await using http = await started({ baseUrl: server.url, authorization: async () => `Bearer ${++asked}` });
    t.equal((await mirrored(http.client, "/")).headers["authorization"], "Bearer 1");
    t.equal((await mirrored(http.client, "/")).headers["authorization"], "Bearer 2");
    t.equal((await mirrored(http.client, other.url)).headers["authorization"], undefined);
    t.equal(
      (await mirrored(http.client, "/", { headers: { Authorization: "Basic x" } })).headers["authorization"],
      "Basic x",
    );
    await using failing = await started({
      baseUrl: server.url,
      authorization: () => Promise.reject(new Error("no token")),
    });
    t.match(await failure(failing.client.request("/")), { message: "no token" });
  },
);

t.test("a function for authorization that throws, or gives no text, fails its call at once and no other", async (t) => {
  await using server = await serve((request, response) => void mirror(request, response));
  const answers: (() => unknown)[] = [
    () => "Bearer 1",
    () => {
      throw new Error("no token");
    },
    () => undefined,
    async () => undefined,
    () => "Bearer 2",
  ];
  const authorization = () => answers.shift()?.() as string;
  await using http = await started({ baseUrl: server.url, authorization, maxConnections: 1, retry: false });
  const calls = [...answers].map(() => mirrored(http.client, "/")); // all but the first begin where another one ends
  const ends = await Promise.allSettled(calls);
  t.same(
    ends.map((end) => (end.status === "fulfilled" ? end.value.headers["authorization"] : end.reason.message)),
    ["Bearer 1", "no token", "authorization gave no text", "authorization gave no text", "Bearer 2"],
  );
});

t.test("a function for authorization runs where its call was made, though another one made room for it", async (t) => {
  await using server = await serve((request, response) => void mirror(request, response));
  const authorization = (): string => `Bearer ${currentContext()?.requestId}`;
  await using http = await started({ baseUrl: server.url, authorization, maxConnections: 1 });
  const ids = ["one", "two", "three"];
  const calls = ids.map((requestId) => runWithContext({ requestId }, () => mirrored(http.client, "/")));
  t.same(
    (await Promise.all(calls)).map(({ headers }) => headers["authorization"]),
    ids.map((id) => `Bearer ${id}`),
  );
});

t.test(
  "a call carries the id and the trace of its request, unless it has its own or the session says otherwise",
  async (t) => {
    await using server = await serve((request, response) => void mirror(request, response));
    await using http = await started({ baseUrl: server.url });
    await using silent = await started({ baseUrl: server.url, propagate: false });
    const traceContext = `00-${"1".repeat(32)}-${"2".repeat(16)}-01`;
    const carried = (session: HttpSession, headers = {}): Promise<Mirrored> =>
      runWithContext({ traceContext, requestId: "visit-1" }, () => mirrored(session, "/", { headers }));
    t.match((await carried(http.client)).headers, { traceparent: traceContext, "x-request-id": "visit-1" });
    t.match((await carried(http.client, { "X-Request-Id": "own" })).headers, { "x-request-id": "own" });
    const { headers } = await carried(silent.client);
    t.notOk("traceparent" in headers || "x-request-id" in headers);
  },
);

t.test("only origins on the list are called, redirects included", async (t) => {
  await using inside = await serve((_request, response) => response.writeHead(302, { location: outside.url }).end());
  await using outside = await serve((_request, response) => response.end("secret"));
  await using http = await started({ allowedOrigins: [inside.url, "https://*.example.com"] });
  t.match(await failure(http.client.request(outside.url)), { code: "HTTP_ORIGIN_REFUSED" });
  t.match(await failure(fetchOver(http.client)(inside.url)), { cause: { code: "HTTP_ORIGIN_REFUSED" } });
  t.match(await failure(undici.fetch(inside.url, { dispatcher: http.client })), {
    cause: { code: "HTTP_ORIGIN_REFUSED" },
  });
  const redirecting = http.client.compose(undici.interceptors.redirect({ maxRedirections: 3 }));
  t.match(await failure(redirecting.request({ origin: inside.url, path: "/", method: "GET" })), {
    code: "HTTP_ORIGIN_REFUSED",
  });
  for (const url of [
    "https://example.com",
    "http://a.example.com",
    "https://a.example.com.evil.test",
    "https://evilexample.com",
    "file:///etc/passwd",
  ])
    t.match(await failure(http.client.request(url)), { code: "HTTP_ORIGIN_REFUSED" }, url);
  t.same(outside.seen, []);
  await using none = await started({ allowedOrigins: [] });
  t.match(await failure(none.client.request(inside.url)), { code: "HTTP_ORIGIN_REFUSED" });
});

t.test("calls beyond maxConnections wait in order, and beyond maxPending are refused", async (t) => {
  const answers: (() => void)[] = [];
  await using server = await serve((_request, response) => answers.push(() => response.end("x")));
  await using http = await started({ baseUrl: server.url, maxConnections: 2, maxPending: 2 });
  const calls = ["/1", "/2", "/3", "/4", "/5"].map((path) =>
    http.client.request(path).then(
      ({ body }) => body.text(),
      (error: { code: string }) => error.code,
    ),
  );
  t.equal(await calls[4], "OVERLOADED");
  while (answers.length < 2) await turn();
  t.same(server.seen, ["GET /1", "GET /2"]);
  t.match(http.stats(), { inUse: 2, pending: 2, overloaded: 1, size: 2, max: 2 });
  for (let done = 0; done < 4;) {
    const answer = answers.shift();
    if (answer === undefined) await turn();
    else {
      answer();
      done++;
    }
  }
  t.same(await Promise.all(calls), ["x", "x", "x", "x", "OVERLOADED"]);
  t.same(server.seen, ["GET /1", "GET /2", "GET /3", "GET /4"]);
  t.equal(server.connections(), 2);
});

t.test("one deadline covers queue, headers and body", async (t) => {
  await using server = await serve((request, response) => {
    if (request.url === "/body") response.write("some");
  });
  const clock = new FakeClock();
  const options = { baseUrl: server.url, maxConnections: 1, timeoutMs: 150, retry: false } as const;
  await using http = await new HttpSessionManager(options, { clock }).start();
  const first = failure(http.client.request("/never"));
  const queued = failure(http.client.request("/queued", { timeoutMs: 80 }));
  await clock.advance(80 + SLACK_MS);
  t.match(await queued, { code: "DEADLINE_EXCEEDED", message: /queued/ });
  await clock.advance(150 - 80);
  t.match(await first, { code: "DEADLINE_EXCEEDED", message: /no answer/ });
  const { body } = await http.client.request("/body");
  const read = failure(body.text());
  await clock.advance(150 + SLACK_MS);
  t.match(await read, { code: "DEADLINE_EXCEEDED", message: /answered, but not done/ });
  const inContext = failure(runWithContext({ deadline: clock.now() + 20 }, () => http.client.request("/never")));
  await clock.advance(20 + SLACK_MS);
  t.match(await inContext, { code: "DEADLINE_EXCEEDED" });
  t.match(http.stats(), { timedOut: 4, inUse: 0 });
});

t.test("a stream may outlive the deadline, any other body may not", async (t) => {
  const open: ServerResponse[] = [];
  await using server = await serve((_request, response) => {
    response.write("first ");
    open.push(response);
  });
  const clock = new FakeClock();
  await using http = await new HttpSessionManager({ baseUrl: server.url, timeoutMs: 1_000 }, { clock }).start();
  const stream = await http.client.request("/", { streaming: true });
  const answer = await http.client.request("/");
  const cut = failure(answer.body.text());
  await clock.advance(1_008);
  t.match(await cut, { code: "DEADLINE_EXCEEDED" });
  await clock.advance(100_000);
  open[0]?.end("last");
  t.equal(await stream.body.text(), "first last");
});

t.test("an origin that is full holds up no other", async (t) => {
  await using full = await serve(() => {});
  await using other = await serve((_request, response) => response.end("x"));
  await using http = await started({ maxConnections: 1, maxPending: 1 });
  const giveUp = new AbortController();
  const calls = Array.from({ length: 2 }, () => failure(http.client.request(full.url, { signal: giveUp.signal })));
  t.match(await failure(http.client.request(full.url)), {
    code: "OVERLOADED",
    message: `http ${full.url}: the queue is full (in use 1 of 1, pending 1 of 1); raise its bounds, or send less at once`,
  });
  t.equal(await (await http.client.request(other.url)).body.text(), "x");
  giveUp.abort();
  await Promise.all(calls);
});

t.test("cookies are handed over, and never kept or sent by themselves", async (t) => {
  await using server = await serve((request, response) => {
    response.setHeader("set-cookie", ["a=1", "b=2"]);
    return mirror(request, response);
  });
  await using http = await started({ baseUrl: server.url });
  for (let i = 0; i < 2; i++) {
    const { headers, body } = await http.client.request("/");
    t.same(headers["set-cookie"], ["a=1", "b=2"]);
    t.notHas(((await body.json()) as Mirrored).headers, { cookie: /./ });
    const fetched = await fetchOver(http.client)("/");
    t.same(fetched.headers.getSetCookie(), ["a=1", "b=2"]);
    t.notHas(((await fetched.json()) as Mirrored).headers, { cookie: /./ });
  }
});

t.test("a caller who aborts is rid of the call at once, with its own reason", async (t) => {
  await using server = await serve(() => {});
  await using http = await started({ baseUrl: server.url, maxConnections: 1 });
  const reason = new Error("changed my mind");
  const running = new AbortController();
  const waiting = new AbortController();
  const calls = [running, waiting].map(({ signal }) => failure(http.client.request("/", { signal })));
  waiting.abort(reason);
  t.equal(await calls[1], reason);
  running.abort(reason);
  t.equal(await calls[0], reason);
  t.equal(await failure(fetchOver(http.client)("/", { signal: AbortSignal.abort(reason) })), reason);
  t.match(await failure(runWithContext({ signal: AbortSignal.abort(reason) }, () => http.client.request("/"))), {
    code: "CALL_ABORTED",
    cause: reason,
  });
  t.match(http.stats(), { inUse: 0, pending: 0 });
});

t.test("a body larger than maxResponseBytes is cut off", async (t) => {
  await using server = await serve((request, response) =>
    response.end(Buffer.alloc(request.url === "/big" ? 1_001 : 1_000)),
  );
  await using http = await started({ baseUrl: server.url, maxResponseBytes: 1_000 });
  t.equal((await (await http.client.request("/ok")).body.bytes()).length, 1_000);
  t.match(await failure(http.client.request("/big").then(({ body }) => body.text())), {
    code: "HTTP_RESPONSE_TOO_LARGE",
  });
});

t.test("interceptors see a call in the order in which they stand, before the guard", async (t) => {
  await using server = await serve((request, response) => void mirror(request, response));
  const order: string[] = [];
  const named =
    (name: string): undici.Dispatcher.DispatcherComposeInterceptor =>
    (dispatch) =>
    (options, handler) => {
      order.push(`${name} ${(http.stats()["started"] as number) ?? 0}`);
      return dispatch({ ...options, headers: { ...(options.headers as object), [name]: "was here" } }, handler);
    };
  const http: HttpSessionManager = new HttpSessionManager({
    baseUrl: server.url,
    interceptors: [named("first"), named("second")],
  });
  await http.start();
  t.match((await mirrored(http.client, "/")).headers, { first: "was here", second: "was here" });
  t.same(order, ["first 0", "second 0"]);
  await http.stop();
});

t.test("a dispatcher of the user's is used and never closed", async (t) => {
  await using server = await serve((_request, response) => response.end("x"));
  const agent = new undici.Agent();
  const http = await started({ baseUrl: server.url, client: agent, maxConnections: 1, probeUrl: server.url });
  t.equal(await (await http.client.request("/")).body.text(), "x");
  await http.probe();
  await http.stop();
  t.notOk(agent.closed);
  t.match(await failure(http.client.request("/")), { code: "RESOURCE_UNAVAILABLE" });
  // One that knows only the new style of handlers, as later versions of undici do.
  const modern = {
    dispatch(options: undici.Dispatcher.DispatchOptions, handler: undici.Dispatcher.DispatchHandler) {
      t.type(handler.onRequestStart, "function");
      return agent.dispatch(options, handler);
    },
  };
  await using other = await started({ baseUrl: server.url, client: modern as undici.Dispatcher });
  t.equal(await (await other.client.request("/")).body.text(), "x");
  await agent.close();
});

t.test("a stop ends what a dispatcher of the user's does not answer", async (t) => {
  await using server = await serve(() => {});
  const client = new undici.Agent();
  const http = await new HttpSessionManager(
    { baseUrl: server.url, client },
    { drainTimeoutMs: 50, stopTimeoutMs: 1_000 },
  ).start();
  const call = failure(http.client.request("/"));
  await until(() => server.seen.length === 1, "the call arrives");
  await http.stop();
  t.match(await call, { code: "RESOURCE_UNAVAILABLE", message: /stopped while the call was in flight/ });
  t.match(http.stats(), { started: 1, failed: 1, inUse: 0 });
  await until(() => (client.stats[server.url]?.running ?? 0) === 0, "the dispatcher lets go of it");
  t.notOk(client.closed);
  await client.close();
});

t.test("the client survives stop, start and renew, and cannot be closed by a user", async (t) => {
  await using server = await serve((_request, response) => response.end("x"));
  const http = new HttpSessionManager({ baseUrl: server.url });
  const { client } = http;
  const get = async (): Promise<string> => (await client.request("/")).body.text();
  t.match(await failure(get()), { code: "RESOURCE_UNAVAILABLE" });
  await http.start();
  await get();
  await http.renew();
  await get();
  t.equal(server.connections(), 2, "a renewed session connects anew");
  t.match(await failure(client.close()), { code: "LIFECYCLE_CONFLICT" });
  t.match(await failure(client.destroy()), { code: "LIFECYCLE_CONFLICT" });
  await new Promise<void>((resolve) => client.close(() => resolve()));
  await http.stop();
  t.match(await failure(get()), { code: "RESOURCE_UNAVAILABLE" });
  await http.start();
  t.equal(await get(), "x");
  t.equal(http.client, client);
  t.match(http.stats(), { started: 3, succeeded: 3 }, "counts go on");
  await http.stop();
});

t.test("origins that are not used make room for new ones", async (t) => {
  await using a = await serve((_request, response) => response.end("a"));
  await using b = await serve((request, response) => void (request.url === "/" && response.end("b")));
  await using c = await serve((_request, response) => response.end("c"));
  await using http = await started({ maxOrigins: 2 });
  for (const server of [a, b, c, a]) await (await http.client.request(server.url)).body.text();
  t.same(Object.keys(http.stats()["origins"] as object).sort(), [c.url, a.url].sort());
  t.match(http.stats(), { started: 4, succeeded: 4 });
  await using one = await started({ maxOrigins: 1, timeoutMs: 300 });
  const busy = failure(one.client.request(`${b.url}/never`));
  t.match(await failure(one.client.request(a.url)), { code: "OVERLOADED", message: /raise maxOrigins/ });
  await busy;
});

t.test("a probe asks its URL, or judges by what calls have met", async (t) => {
  let status = 200;
  const server = await serve((_request, response) => response.writeHead(status).end());
  await using asking = await started({ probeUrl: `${server.url}/health` });
  await asking.probe();
  t.same(server.seen, ["GET /health"]);
  status = 503;
  t.match(await failure(asking.probe()), { code: "HTTP_PROBE_FAILED", message: /503/ });
  status = 200;
  await using judging = await started({ retry: false });
  await judging.probe();
  await judging.client.request(server.url);
  await judging.probe();
  await server[Symbol.asyncDispose]();
  await failure(judging.client.request(server.url));
  t.match(await failure(judging.probe()), {
    code: "HTTP_PROBE_FAILED",
    message: /ECONNREFUSED|UND_ERR_SOCKET|ECONNRESET/,
  });
});

t.test("a request body travels in every form", async (t) => {
  await using server = await serve(async (request, response) => void response.end(await bodyOf(request)));
  await using http = await started({ baseUrl: server.url });
  const { Readable } = await import("node:stream");
  for (const body of ["text", Buffer.from("text"), Readable.from(["te", "xt"])])
    t.equal(await (await http.client.request("/", { method: "POST", body })).body.text(), "text");
});

t.test("a body that cannot be read fails its own call, and nothing else", async (t) => {
  await using server = await serve((request, response) => void mirror(request, response));
  await using http = await started({ baseUrl: server.url });
  const locked = new ReadableStream();
  locked.getReader();
  const call = fetchOver(http.client)("/", { method: "POST", body: locked, duplex: "half" });
  t.match(await failure(call), { message: "fetch failed", cause: { code: "ERR_INVALID_STATE" } });
  t.match(await mirrored(http.client, "/next"), { url: "/next" });
  t.same(server.seen, ["GET /next"]);
});

t.test("member by member it is an undici.Agent, but for what the README lists", async (t) => {
  await using server = await serve((_request, response) => response.end("ok"));
  const raw = new undici.Agent();
  t.teardown(() => raw.close());
  await (await raw.request({ origin: server.url, path: "/", method: "GET" })).body.text();
  await using http = await started();
  await (await http.client.request(server.url)).body.text();
  const { compared, replaced, different } = compareMembers(raw, http.client);
  t.ok(compared > 25, `${compared} members`);
  t.same(
    [...replaced, ...different].sort(),
    documentedMembers(readFileSync("README.md", "utf8"), "Differences to undici.Agent"),
  );
  t.same(http.client.stats, raw.stats, "with undici's own numbers");
});

t.test("events of its connections are those of an undici.Agent", async (t) => {
  await using http = await started({ retry: false, breaker: false });
  const raw = new undici.Agent();
  t.teardown(() => raw.close());
  const story = async (dispatcher: undici.Dispatcher): Promise<unknown[]> => {
    const server = await serve((_request, response) => response.end("ok"));
    const told: unknown[] = [];
    for (const event of ["connect", "disconnect", "connectionError"] as const)
      dispatcher.on(event as "disconnect", (origin, targets, error?: Error & { code?: string }) =>
        told.push([
          event,
          origin.href === `${server.url}/`,
          targets[0] === dispatcher && targets.at(-1) instanceof undici.Client,
          error?.code,
        ]),
      );
    const call = async (): Promise<void> => {
      const { body } = await dispatcher.request({ origin: server.url, path: "/", method: "GET" });
      await body.text();
    };
    await call();
    server.cut();
    await until(() => told.length === 2);
    await server[Symbol.asyncDispose]();
    await failure(call());
    await until(() => told.length === 3);
    return told;
  };
  const [theirs, ours] = [await story(raw), await story(http.client)];
  t.same(ours, theirs);
  t.match(ours, [
    ["connect", true, true, undefined],
    ["disconnect", true, true, "UND_ERR_SOCKET"],
    ["connectionError", true, true, "ECONNREFUSED"],
  ]);
});
