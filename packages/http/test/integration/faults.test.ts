import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { startFaultProxy, trackHandles, type FaultProxy } from "@steward/testing";
import t from "tap";
import { HTTP_CHANNELS, HttpSessionManager, type UnreadBodyEvent } from "../../src/index.ts";
import { Load } from "../load.ts";
import { failure, serve, started, type TestServer } from "../servers.ts";

// Bounds that are checked are those of the promise, plus this and the machine's own hiccups.
const SLACK_MS = 250;
const slack = (load: Load): number => SLACK_MS + 3 * load.hiccup;
const TIMEOUT_MS = 1_000;
const RATE = 100;

const handles = trackHandles();
t.teardown(() => handles.assertNoLeaks());

interface Scene extends AsyncDisposable {
  readonly server: TestServer;
  readonly proxy: FaultProxy;
  readonly http: HttpSessionManager;
  readonly load: Load;
}

/** A server behind a fault proxy, under load. */
async function scene(options = {}): Promise<Scene> {
  const server = await serve((_request, response) => response.end("hello"));
  const proxy = await startFaultProxy({ target: server.url });
  const http = await started({
    baseUrl: proxy.url,
    timeoutMs: TIMEOUT_MS,
    maxConnections: 10,
    retry: false,
    ...options,
  });
  const load = new Load(RATE, async () => (await http.client.request("/")).body.text());
  await load.run(300);
  return {
    server,
    proxy,
    http,
    load,
    async [Symbol.asyncDispose]() {
      await load.end();
      await http.stop();
      await proxy.stop();
      await server[Symbol.asyncDispose]();
    },
  };
}

t.test("half-open connections: first error within the timeout, healthy a second later, most calls saved", async (t) => {
  await using s = await scene();
  s.proxy.halfOpen();
  const at = s.load.now;
  await s.load.run(TIMEOUT_MS + 1_500);
  await s.load.end();
  t.same(s.load.failed(0, at - TIMEOUT_MS), []);
  t.ok(s.load.firstError(at) - at <= TIMEOUT_MS + slack(s.load), `first error after ${s.load.firstError(at) - at} ms`);
  t.ok(
    s.load.healthyFrom() - at <= TIMEOUT_MS + 1_000 + slack(s.load),
    `healthy after ${s.load.healthyFrom() - at} ms`,
  );
  t.ok(s.load.slowest <= TIMEOUT_MS + slack(s.load), `slowest took ${s.load.slowest} ms`);
  t.ok(s.load.failed().length <= (RATE * (TIMEOUT_MS + slack(s.load))) / 2_000, `${s.load.failed().length} lost`);
});

t.test("half-open connections, with a reply timeout and retry: nothing is lost", async (t) => {
  await using s = await scene({ headersTimeoutMs: 300, retry: { maxAttempts: 3, budgetRatio: 1 } });
  s.proxy.halfOpen();
  await s.load.run(1_000);
  await s.load.end();
  t.same(s.load.failed(), []);
});

t.test("a reply timeout retires idle siblings, and leaves alone those that have answered since", async (t) => {
  await using s = await scene({ maxConnections: 4, headersTimeoutMs: 200 });
  await s.load.end();
  const calls = Array.from({ length: 4 }, async () => (await s.http.client.request("/")).body.text());
  await Promise.all(calls);
  t.match(s.http.stats(), { idle: 4, retired: 0 });
  s.proxy.halfOpen();
  t.match(await failure(s.http.client.request("/")), { code: "HTTP_REPLY_TIMEOUT" });
  t.match(s.http.stats(), { retired: 4 }, "one failed call, not four");
  await (await s.http.client.request("/")).body.text();
  await using slow = await serve((request, response) => void (request.url !== "/slow" && response.end("x")));
  await using other = await started({ baseUrl: slow.url, headersTimeoutMs: 200, retry: false });
  const stuck = failure(other.client.request("/slow"));
  for (let i = 0; i < 3; i++) await (await other.client.request("/")).body.text();
  await stuck;
  t.match(other.stats(), { retired: 1, idle: 1 }, "only the connection of the slow call");
});

t.test("a blackhole: no call outlives its deadline, and all is well soon after it ends", async (t) => {
  await using s = await scene();
  s.proxy.blackhole();
  await s.load.run(2_000);
  await s.proxy.heal();
  const healed = s.load.now;
  await s.load.run(TIMEOUT_MS + 1_500);
  await s.load.end();
  t.ok(s.load.slowest <= TIMEOUT_MS + slack(s.load), `slowest took ${s.load.slowest} ms`);
  t.ok(
    s.load.healthyFrom() - healed <= TIMEOUT_MS + 1_000 + slack(s.load),
    `healthy after ${s.load.healthyFrom() - healed} ms`,
  );
});

t.test("connections reset under load cost no call that may be repeated", async (t) => {
  await using s = await scene({ retry: { maxAttempts: 3, budgetRatio: 1 } });
  for (let i = 0; i < 3; i++) {
    s.proxy.reset();
    await s.load.run(150);
  }
  await s.load.end();
  t.same(s.load.failed(), []);
  t.ok(s.load.slowest <= 1_000 + slack(s.load), `slowest took ${s.load.slowest} ms`);
});

t.test("a server that is gone for a moment and back: no call takes longer than its deadline", async (t) => {
  await using s = await scene({ retry: { maxAttempts: 4, maxDelayMs: 400, budgetRatio: 1 } });
  await s.proxy.refuse();
  s.proxy.reset();
  await s.load.run(400);
  await s.proxy.heal();
  const back = s.load.now;
  await s.load.run(1_000);
  await s.load.end();
  t.ok(s.load.slowest <= TIMEOUT_MS + slack(s.load), `slowest took ${s.load.slowest} ms`);
  t.same(s.load.failed(back), []);
});

t.test("retries repeat what is safe, and only that", async (t) => {
  let failing = 2;
  await using server = await serve((request, response) => {
    if (request.url === "/cut") return void request.socket.destroy();
    if (failing-- > 0) return void response.writeHead(503, { "retry-after": "0" }).end("busy");
    response.end("done");
  });
  await using http = await started({ baseUrl: server.url, retry: { maxAttempts: 3, baseDelayMs: 1, budgetRatio: 1 } });
  const send = async (method: "GET" | "POST", path: string, more = {}): Promise<string> => {
    const { statusCode, body } = await http.client.request(path, { method, ...more });
    return `${statusCode} ${await body.text()}`;
  };
  t.equal(await send("GET", "/"), "200 done");
  t.equal(server.seen.length, 3);
  failing = 1;
  t.equal(await send("POST", "/", { body: "x" }), "503 busy");
  failing = 1;
  t.equal(await send("POST", "/", { body: "x", idempotent: true }), "200 done");
  failing = 1;
  const { Readable } = await import("node:stream");
  t.equal(await send("POST", "/", { body: Readable.from(["x"]), idempotent: true }), "503 busy");
  failing = 3;
  t.equal(await send("GET", "/"), "503 busy", "the last answer is the answer");
  server.seen.length = 0;
  t.match(await failure(send("POST", "/cut")), { code: "UND_ERR_SOCKET" });
  t.equal(server.seen.length, 1, "a call that may have arrived is not repeated");
  t.match(await failure(send("GET", "/cut")), { code: "UND_ERR_SOCKET" });
  t.equal(server.seen.length, 4);
  await using once = await started({ baseUrl: server.url, retry: false });
  failing = 1;
  t.equal((await once.client.request("/")).statusCode, 503);
});

t.test("what never left is sent again, whatever it is", async (t) => {
  const server = await serve(() => {});
  const { port } = server;
  await server[Symbol.asyncDispose]();
  await using http = await started({
    baseUrl: server.url,
    retry: { maxAttempts: 10, baseDelayMs: 30, budgetRatio: 1 },
  });
  const call = http.client.request("/", { method: "POST", body: "x" });
  await using back = await serve((_request, response) => response.end("x"), port);
  t.equal((await call).statusCode, 200);
  t.same(back.seen, ["POST /"]);
});

t.test("a dead server sees little more than one attempt per call", async (t) => {
  await using server = await serve((request) => void request.socket.destroy());
  await using http = await started({
    baseUrl: server.url,
    retry: { maxAttempts: 3, baseDelayMs: 1, budgetRatio: 0.1 },
  });
  for (let i = 0; i < 100; i++) await failure(http.client.request("/"));
  t.ok(server.seen.length <= 121, `${server.seen.length} attempts for 100 calls`);
});

t.test("a breaker stops calls to an origin that does not answer, and only to that one", async (t) => {
  await using well = await serve((_request, response) => response.end("x"));
  let broken = true;
  await using server = await serve((request, response) => void (broken ? request.socket.destroy() : response.end("x")));
  await using http = await started({
    retry: false,
    breaker: { consecutiveFailures: 3, breakDurationMs: 50, rampMs: 50 },
  });
  const call = async (url: string): Promise<string> => (await http.client.request(url)).body.text();
  for (let i = 0; i < 3; i++) t.match(await failure(call(server.url)), { code: "UND_ERR_SOCKET" });
  t.match(await failure(call(server.url)), { code: "CIRCUIT_OPEN", retryable: true });
  t.equal(await call(well.url), "x");
  broken = false;
  const until = performance.now() + 2_000;
  while (performance.now() < until && (await call(server.url).catch(() => "")) !== "x")
    await new Promise((resolve) => setTimeout(resolve, 10));
  t.equal(await call(server.url), "x");
  t.ok((http.stats()["refused"] as number) >= 1);
});

t.test("a body nobody reads gives its connection back, and tells who forgot it", async (t) => {
  await using server = await serve((_request, response) => response.end(Buffer.alloc(1_000_000)));
  await using http = await started({ baseUrl: server.url, maxConnections: 1, unreadBodyTimeoutMs: 100 });
  const events: UnreadBodyEvent[] = [];
  const listen = (event: unknown): void => void events.push(event as UnreadBodyEvent);
  subscribe(HTTP_CHANNELS.unreadBody, listen);
  const forgetful = async (path: string): Promise<unknown> =>
    (await http.client.request(path)).body.on("error", () => {});
  for (const path of ["/first?token=1", "/second"]) {
    await forgetful(path);
    const { body } = await http.client.request("/read");
    t.equal((await body.bytes()).length, 1_000_000);
  }
  unsubscribe(HTTP_CHANNELS.unreadBody, listen);
  t.match(events, [
    { path: "/first", method: "GET", stack: undefined },
    { path: "/second", stack: /faults\.test/ },
  ]);
  t.ok(events.every(({ unreadMs }) => unreadMs >= 95 && unreadMs < 100 + SLACK_MS));
  t.match(http.stats(), { unread: 2, inUse: 0 });
  const forgotten = await http.client.request("/late");
  await new Promise((resolve) => setTimeout(resolve, 200));
  t.match(await failure(forgotten.body.text()), { code: "HTTP_BODY_UNREAD" });
});

t.test("a body that is read slowly is left alone", async (t) => {
  await using server = await serve((_request, response) => response.end(Buffer.alloc(400_000)));
  await using http = await started({ baseUrl: server.url, unreadBodyTimeoutMs: 150 });
  const { body } = await http.client.request("/");
  let bytes = 0;
  for await (const chunk of body) {
    bytes += (chunk as Buffer).length;
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
  t.equal(bytes, 400_000);
});

t.test("a silence in the middle of a body ends it after bodyTimeoutMs", async (t) => {
  await using server = await serve((_request, response) => void response.write("some"));
  await using http = await started({ baseUrl: server.url, bodyTimeoutMs: 200 });
  const { body } = await http.client.request("/");
  t.match(await failure(body.text()), { code: "UND_ERR_BODY_TIMEOUT" });
});

t.test("drain waits for a body to its last byte, but not for one that nobody reads", async (t) => {
  await using server = await serve((request, response) => {
    if (request.url === "/unread") return void response.end(Buffer.alloc(1_000_000));
    response.write("first ");
    setTimeout(() => response.end("last"), 200);
  });
  await using http = await started({ baseUrl: server.url });
  const read = (await http.client.request("/read")).body.text();
  (await http.client.request("/unread")).body.on("error", () => {});
  const draining = http.drain();
  t.match(await failure(http.client.request("/")), { code: "RESOURCE_UNAVAILABLE" });
  await draining;
  t.equal(await read, "first last");
});

t.test("stop on a frozen peer ends in time and settles every call", async (t) => {
  await using server = await serve(() => {});
  const http = await new HttpSessionManager(
    { baseUrl: server.url, maxConnections: 5, retry: { maxAttempts: 3 } },
    { stopTimeoutMs: 500, drainTimeoutMs: 100 },
  ).start();
  const calls = Array.from({ length: 15 }, () => failure(http.client.request("/")));
  const unread = http.client.request("/", { signal: AbortSignal.timeout(10_000) }).catch((error: Error) => error);
  const since = performance.now();
  await http.stop();
  t.ok(performance.now() - since <= 500 + SLACK_MS);
  for (const error of await Promise.all(calls)) t.match(error, { code: "RESOURCE_UNAVAILABLE" });
  t.match(await unread, { code: "RESOURCE_UNAVAILABLE" });
  t.match(http.stats(), { inUse: 0, pending: 0, size: 0 });
});

t.test("a connect that hangs is given up after connectTimeoutMs, and holds up no deadline", async (t) => {
  // A server that accepts and never says a word keeps a TLS connect waiting.
  const silent = await startFaultProxy({ target: "https://localhost:1" });
  silent.blackhole();
  await using http = await started({ connectTimeoutMs: 400, timeoutMs: 5_000, retry: false });
  const since = performance.now();
  t.match(await failure(http.client.request(silent.url, { timeoutMs: 100 })), { code: "DEADLINE_EXCEEDED" });
  t.ok(performance.now() - since <= 100 + SLACK_MS, "the deadline holds while it connects");
  t.match(await failure(http.client.request(silent.url)), { code: "UND_ERR_CONNECT_TIMEOUT" });
  t.ok(performance.now() - since <= 100 + 400 + 1_000 + SLACK_MS, "undici's timer may be a second late");
  await http.stop();
  await silent.stop();
});
