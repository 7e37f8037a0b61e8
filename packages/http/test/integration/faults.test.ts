import { subscribe, unsubscribe } from "node:diagnostics_channel";
import {
  Alarm,
  failure,
  FakeClock,
  type FaultProxy,
  Load,
  startFaultProxy,
  trackHandles,
  until,
  Watch,
} from "@steward/testing";
import t from "tap";
import { HTTP_CHANNELS, HttpSessionManager, type HttpSessionOptions, type UnreadBodyEvent } from "../../src/index.ts";
import { serve, started, type TestServer } from "../servers.ts";

// A call is late after its timeout and this, for timers are not exact.
const SLACK_MS = 250;
const TIMEOUT_MS = 1_000;
const CONNECTIONS = 10;
/** Of two seconds the machine may take so much from this process, in ms, before a drill is repeated. */
const BUSY_MS = 100;
const DRILLS = 5;

const handles = trackHandles();
t.teardown(() => handles.assertNoLeaks());

/** A started manager whose deadlines run by a clock of the test's. */
async function onClock(options: HttpSessionOptions): Promise<{ clock: FakeClock; http: HttpSessionManager }> {
  const clock = new FakeClock();
  return { clock, http: await new HttpSessionManager(options, { clock }).start() };
}

/** Waits until a timer is set that runs out in so many ms at most. */
const dueIn = (clock: FakeClock, ms: number): Promise<void> =>
  until(() => clock.nextAt !== undefined && clock.nextAt <= clock.now() + ms);

interface Scene extends AsyncDisposable {
  readonly server: TestServer;
  readonly proxy: FaultProxy;
  readonly http: HttpSessionManager;
  readonly load: Load;
}

/** A server behind a fault proxy, under load. */
async function scene(options: HttpSessionOptions = {}): Promise<Scene> {
  const server = await serve((_request, response) => response.end("hello"));
  const proxy = await startFaultProxy({ target: server.url });
  const http = await started({
    baseUrl: proxy.url,
    timeoutMs: TIMEOUT_MS,
    maxConnections: CONNECTIONS,
    retry: false,
    ...options,
  });
  const call = async (): Promise<string> => (await http.client.request("/")).body.text();
  const load = await Load.begin(100, call, TIMEOUT_MS + SLACK_MS);
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

t.test("half-open connections: no call outlives its deadline, all is well again, most calls saved", async (t) => {
  // Where the machine keeps this process waiting, calls miss their deadlines, and it is the machine that is tested.
  for (let drill = 1; drill <= DRILLS; drill++) {
    await using s = await scene();
    s.proxy.halfOpen();
    const at = performance.now();
    t.ok(await s.load.runUntilWell(at));
    await s.load.end();
    t.same(s.load.failed(0, at - TIMEOUT_MS), []);
    t.strictSame(s.load.late, []);
    const begun = s.load.samples.filter(({ began }) => began >= at && began < at + TIMEOUT_MS).length;
    const lost = s.load.failed().length;
    const isSaved = lost <= CONNECTIONS + begun / 4;
    const stolenMs = Math.round(s.load.watch.stolen(at, at + 2 * TIMEOUT_MS));
    const outcome = `${lost} of ${begun} lost, ${stolenMs} ms taken by others: ${JSON.stringify(s.load.outcomes)}`;
    if (isSaved) return void t.pass(outcome);
    t.comment(outcome);
    if (stolenMs < BUSY_MS) return void t.fail(outcome);
  }
  t.fail(`the machine was too busy for all ${DRILLS} drills`);
});

t.test("half-open connections, with a reply timeout and retry: nothing is lost", async (t) => {
  await using s = await scene({ headersTimeoutMs: 300, retry: { maxAttempts: 3, budgetRatio: 1 } });
  s.proxy.halfOpen();
  await s.load.run(1_000);
  await s.load.end();
  t.same(s.load.failed(), []);
});

t.test("a reply timeout retires idle siblings", async (t) => {
  await using server = await serve((_request, response) => response.end("x"));
  await using proxy = await startFaultProxy({ target: server.url });
  const { clock, http } = await onClock({ baseUrl: proxy.url, headersTimeoutMs: 200, retry: false });
  await Promise.all(Array.from({ length: 4 }, async () => (await http.client.request("/")).body.text()));
  t.match(http.stats(), { idle: 4, retired: 0 });
  proxy.halfOpen();
  const call = failure(http.client.request("/"));
  await until(() => proxy.stats().lostBytes > 0);
  await clock.advance(200 + 8);
  t.match(await call, { code: "HTTP_REPLY_TIMEOUT" });
  t.match(http.stats(), { retired: 4 }, "one failed call, not four");
  await (await http.client.request("/")).body.text();
  await http.stop();
});

t.test("a reply timeout leaves alone connections that have answered since", async (t) => {
  await using server = await serve((request, response) => void (request.url !== "/slow" && response.end("x")));
  const { clock, http } = await onClock({ baseUrl: server.url, headersTimeoutMs: 200, retry: false });
  const stuck = failure(http.client.request("/slow"));
  await until(() => server.seen.length === 1);
  for (let i = 0; i < 3; i++) await (await http.client.request("/")).body.text();
  await clock.advance(200 + 8);
  t.match(await stuck, { code: "HTTP_REPLY_TIMEOUT" });
  t.match(http.stats(), { retired: 1, idle: 1 }, "only the connection of the slow call");
  await http.stop();
});

t.test("a blackhole: no call outlives its deadline, and all is well soon after it ends", async (t) => {
  await using s = await scene();
  s.proxy.blackhole();
  await s.load.run(2_000);
  await s.proxy.heal();
  t.ok(await s.load.runUntilWell(performance.now()));
  await s.load.end();
  t.strictSame(s.load.late, []);
});

t.test("connections reset under load cost no call that may be repeated", async (t) => {
  await using s = await scene({ retry: { maxAttempts: 3, budgetRatio: 1 } });
  for (let i = 0; i < 3; i++) {
    s.proxy.reset();
    await s.load.run(150);
  }
  await s.load.end();
  t.same(s.load.failed(), []);
  t.strictSame(s.load.late, []);
});

t.test("a server that is gone for a moment and back: no call takes longer than its deadline", async (t) => {
  await using s = await scene({ breaker: false, retry: { maxAttempts: 4, maxDelayMs: 400, budgetRatio: 1 } });
  await s.proxy.refuse();
  s.proxy.reset();
  await s.load.run(400);
  await s.proxy.heal();
  const back = performance.now();
  await s.load.run(1_000);
  await s.load.end();
  t.strictSame(s.load.late, []);
  t.same(s.load.failed(back), []);
});

t.test("more calls than can be answered in time: as many are answered as can be", async (t) => {
  const ANSWER_MS = 100;
  await using server = await serve((_request, response) => void setTimeout(() => response.end("x"), ANSWER_MS));
  await using http = await started({ baseUrl: server.url, timeoutMs: TIMEOUT_MS, maxConnections: 2, retry: false });
  await (await http.client.request("/")).body.text();
  server.seen.length = 0;
  using watch = new Watch();
  const since = performance.now();
  const calls = Array.from({ length: 60 }, async () => (await http.client.request("/")).body.text().catch(() => ""));
  const outcomes = await Promise.allSettled(calls);
  const answered = outcomes.filter(({ status }) => status === "fulfilled").length;
  t.ok(answered > 0);
  // Those that have a connection when time is over; and where the machine stood still, what it had answered meanwhile.
  const late = 2 * (1 + Math.ceil(watch.stolen(since) / ANSWER_MS));
  t.ok(server.seen.length <= answered + late, `${server.seen.length} were sent for ${answered} answers`);
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
  await using http = await started({ retry: false, breaker: { consecutiveFailures: 3, breakDurationMs: 60_000 } });
  const call = async (url: string): Promise<string> => (await http.client.request(url)).body.text();
  for (let i = 0; i < 3; i++) t.match(await failure(call(server.url)), { code: "UND_ERR_SOCKET" });
  t.match(await failure(call(server.url)), { code: "CIRCUIT_OPEN", retryable: true });
  t.equal(await call(well.url), "x");
  t.equal(server.seen.length, 3);
  t.match(http.stats(), { refused: 1 });
  broken = false;
  http.answers();
  t.equal(await call(server.url), "x");
});

t.test("a body nobody reads gives its connection back, and tells who forgot it", async (t) => {
  await using server = await serve((_request, response) => response.end(Buffer.alloc(1_000_000)));
  const { clock, http } = await onClock({ baseUrl: server.url, maxConnections: 1, unreadBodyTimeoutMs: 100 });
  const events: UnreadBodyEvent[] = [];
  const listen = (event: unknown): void => void events.push(event as UnreadBodyEvent);
  subscribe(HTTP_CHANNELS.unreadBody, listen);
  const forgetful = async (path: string): Promise<unknown> =>
    (await http.client.request(path)).body.on("error", () => {});
  for (const path of ["/first?token=1", "/second"]) {
    await forgetful(path);
    const waiting = http.client.request("/read");
    await dueIn(clock, 100); // its buffer is full
    await clock.advance(92);
    t.match(http.stats(), { inUse: 1, pending: 1 });
    await clock.advance(16);
    t.equal((await (await waiting).body.bytes()).length, 1_000_000);
  }
  unsubscribe(HTTP_CHANNELS.unreadBody, listen);
  t.match(events, [
    { path: "/first", method: "GET", stack: undefined },
    { path: "/second", stack: /faults\.test/ },
  ]);
  t.ok(events.every(({ unreadMs }) => unreadMs >= 100 && unreadMs <= 108));
  t.match(http.stats(), { unread: 2, inUse: 0 });
  const forgotten = await http.client.request("/late");
  await dueIn(clock, 100);
  await clock.advance(108);
  t.match(await failure(forgotten.body.text()), { code: "HTTP_BODY_UNREAD" });
  await http.stop();
});

t.test("a body that is read slowly is left alone", async (t) => {
  await using server = await serve((_request, response) => response.end(Buffer.alloc(4_000_000)));
  const { clock, http } = await onClock({ baseUrl: server.url, unreadBodyTimeoutMs: 1_000 });
  const { body } = await http.client.request("/");
  let bytes = 0;
  for await (const chunk of body) {
    bytes += (chunk as Buffer).length;
    await clock.advance(100);
  }
  t.equal(bytes, 4_000_000);
  t.ok(clock.now() > 2_000, "it took longer than a body may go unread");
  await http.stop();
});

t.test("a silence in the middle of a body ends it after idleTimeoutMs", async (t) => {
  await using server = await serve((_request, response) => void response.write("some"));
  await using http = await started({ baseUrl: server.url, idleTimeoutMs: 200 });
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
  const aborting = new AbortController();
  const unread = http.client.request("/", { signal: aborting.signal }).catch((error: Error) => error);
  using alarm = new Alarm(500 + SLACK_MS);
  await http.stop();
  t.notOk(alarm.hasRung);
  for (const error of await Promise.all(calls)) t.match(error, { code: "RESOURCE_UNAVAILABLE" });
  t.match(await unread, { code: "RESOURCE_UNAVAILABLE" });
  t.match(http.stats(), { inUse: 0, pending: 0, size: 0 });
});

t.test("a connect that hangs is given up after connectTimeoutMs, and holds up no deadline", async (t) => {
  // A server that accepts and never says a word keeps a TLS connect waiting.
  const silent = await startFaultProxy({ target: "https://localhost:1" });
  silent.blackhole();
  await using http = await started({ connectTimeoutMs: 400, timeoutMs: 5_000, retry: false });
  using soon = new Alarm(100 + SLACK_MS);
  using later = new Alarm(100 + 400 + 1_000 + SLACK_MS);
  t.match(await failure(http.client.request(silent.url, { timeoutMs: 100 })), { code: "DEADLINE_EXCEEDED" });
  t.notOk(soon.hasRung, "the deadline holds while it connects");
  t.match(await failure(http.client.request(silent.url)), { code: "UND_ERR_CONNECT_TIMEOUT" });
  t.notOk(later.hasRung, "undici's timer may be a second late");
  await http.stop();
  await silent.stop();
});
