import { createServer as createTlsServer } from "node:https";
import { inspect } from "node:util";
import { currentContext, runWithContext } from "@steward/core";
import { FakeClock } from "@steward/core/testing";
import { Alarm, compareMembers, failure, sleep, testCertificates, trackHandles, until } from "@steward/testing";
import t from "tap";
import { WebSocket } from "ws";
import {
  jsonCalls,
  webSocketSession,
  WebSocketSessionManager,
  type CallProtocol,
  type Resumption,
} from "../src/index.ts";
import { Pauses } from "../src/client/connection/pauses.ts";
import { closeCode, hubFor, plainFor, proxyFor, rawClient, sessionsFor } from "./setup.ts";

const { authority, serverCert, serverKey } = testCertificates;

const handles = trackHandles();
t.teardown(() => handles.assertNoLeaks());

const echo = { call: (body: unknown) => body };

t.test(
  "a handshake carries the id and the trace of the request that connects, unless it is to be silent",
  async (t) => {
    const context = { requestId: "visit-1", traceContext: `00-${"1".repeat(32)}-${"2".repeat(16)}-01` };
    const seen: unknown[] = [];
    const { url, wss } = await plainFor(t, () => {});
    wss.on("headers", (_, { headers }) => seen.push([headers["x-request-id"], headers["traceparent"]]));
    const connect = (options: object): Promise<unknown> =>
      runWithContext(context, () => sessionsFor(t, { url, ...options }));
    await connect({});
    await connect({ headers: () => ({ "x-request-id": "own" }) });
    await connect({ propagate: false });
    t.same(seen, [
      ["visit-1", context.traceContext],
      ["own", context.traceContext],
      [undefined, undefined],
    ]);
  },
);

t.test("member by member the sockets of sessions and hubs are those of ws", async (t) => {
  const accepted: WebSocket[] = [];
  const server = await plainFor(t, (socket) => accepted.push(socket));
  const raw = new WebSocket(server.url, { perMessageDeflate: false });
  await new Promise((resolve) => raw.once("open", resolve));
  t.teardown(() => raw.terminate());
  const { client } = await sessionsFor(t, { url: server.url });
  const hub = await hubFor(t, echo);
  await sessionsFor(t, { url: hub.url });
  const [socket] = hub.client.sockets;
  for (const [theirs, ours] of [
    [raw, client.socket],
    [accepted[0], socket],
  ]) {
    const { compared, replaced, different } = compareMembers(theirs ?? {}, ours ?? {});
    t.ok(compared > 30, `${compared} members`);
    t.same([...replaced, ...different], []);
  }
});

t.test("gives each caller the reply to their own call, whatever the order", async (t) => {
  const hub = await hubFor(t, {
    call: async (body) => (await new Promise((r) => setTimeout(r, Number(body) % 7)), body),
  });
  const { client } = await sessionsFor(t, { url: hub.url });
  const replies = await Promise.all(Array.from({ length: 50 }, (_, i) => client.call(i)));
  t.same(
    replies,
    Array.from({ length: 50 }, (_, i) => i),
  );
});

t.test("hands out the real socket and messages as ws gives them", async (t) => {
  const server = await plainFor(t, (socket) => socket.send(Buffer.from([1, 2])));
  const manager = new WebSocketSessionManager({ url: server.url });
  const first = new Promise((resolve) =>
    manager.client.once("message", (data, isBinary) => resolve([...data, isBinary])),
  );
  await manager.start();
  t.teardown(() => manager.stop());
  t.same(await first, [1, 2, true]);
  t.ok(manager.client.socket instanceof WebSocket);
  t.equal(await manager.client.ready(), manager.client.socket);
});

t.test("a client of yours is used once it is open, and outlives its manager with no listener of it left", async (t) => {
  const hub = await hubFor(t, echo);
  const client = new WebSocket(hub.url);
  t.teardown(() => client.terminate());
  const manager = await sessionsFor(t, { client });
  t.equal(manager.client.socket, client);
  t.equal(await manager.client.call("hello"), "hello");
  await manager.probe();
  await manager.renew();
  t.equal(manager.client.socket, client, "never replaced");
  t.throws(() => manager.client.session("second"), { code: "OPTIONS_INVALID", message: /url: is missing/ });
  const third = manager.client.session("third", { url: hub.url });
  await third.ready();
  t.equal(await third.call(3), 3);
  await manager.stop();
  t.equal(client.readyState, WebSocket.OPEN, "never closed");
  for (const event of ["message", "ping", "pong", "error", "open"]) t.equal(client.listenerCount(event), 0, event);
  await manager.start();
  t.equal(await manager.client.call("again"), "again");
});

t.test(
  "when a client of yours closes, its calls have an unknown outcome and its resource is down for good",
  async (t) => {
    const server = await plainFor(t, (socket) => socket.once("message", () => socket.close(4_000)));
    const client = await rawClient(t, server.url);
    const manager = await sessionsFor(t, { client });
    t.match(await failure(manager.client.call(1)), { code: "OUTCOME_UNKNOWN", message: /closed with 4000/ });
    t.equal(manager.client.state, "closed");
    t.match(await failure(manager.client.call(2)), { code: "WEBSOCKET_DISCONNECTED", message: /not ours to replace/ });
    t.match(manager.passive, { failingRatio: 1 });
    await t.rejects(manager.probe());
    await manager.stop();
    await t.rejects(manager.start(), { code: "WEBSOCKET_CONNECT_FAILED", message: /hand over an open one/ });
  },
);

t.test("a client of yours that went silent is pinged, and not cut off", async (t) => {
  const server = await plainFor(t, () => {}, { autoPong: false });
  const client = await rawClient(t, server.url);
  const clock = new FakeClock();
  const manager = await sessionsFor(
    t,
    { client, silenceMs: 100, heartbeatTimeoutMs: 100, timeoutMs: 5_000 },
    { clock },
  );
  const pinged = new Promise((resolve) => [...server.wss.clients][0]?.once("ping", resolve));
  const call = failure(manager.client.call(1));
  await clock.runUntil(pinged);
  await clock.runUntil(call);
  t.match(await call, { code: "DEADLINE_EXCEEDED" });
  t.equal(client.readyState, WebSocket.OPEN);
});

t.test("an error that the other side answers reaches the caller, and is no failure of the resource", async (t) => {
  const hub = await hubFor(t, {
    call: () => {
      throw new Error("the password is 1234");
    },
  });
  const manager = await sessionsFor(t, { url: hub.url });
  const failed: unknown[] = [];
  hub.client.on("failure", (error) => failed.push(error));
  const error = await failure(manager.client.call(1));
  t.equal(error.code, "WEBSOCKET_CALL_FAILED");
  t.notMatch(error.message, /1234/);
  t.match(failed, [{ message: "the password is 1234" }]);
  t.match(manager.stats()["calls"], { succeeded: 1, failed: 0 });
});

t.test("a hub without a handler refuses calls, and says so", async (t) => {
  const hub = await hubFor(t);
  const { client } = await sessionsFor(t, { url: hub.url });
  const error = await failure(client.call(1));
  t.match(error, { code: "WEBSOCKET_CALL_FAILED", cause: { code: "WEBSOCKET_REFUSED" } });
});

t.test("an unencodable body rejects its own call, and takes no place", async (t) => {
  const hub = await hubFor(t, echo);
  const manager = await sessionsFor(t, { url: hub.url, maxConcurrent: 1 });
  t.match(await failure(manager.client.call(1n)), { name: "TypeError" });
  t.equal(await manager.client.call("next"), "next");
});

t.test("a server that does not answer the start is named, and the next URL is tried", async (t) => {
  const hub = await hubFor(t, echo);
  const error = await failure(new WebSocketSessionManager({ url: "ws://127.0.0.1:1/?token=geheim" }).start());
  t.equal(error.code, "WEBSOCKET_CONNECT_FAILED");
  t.match(error.message, /ECONNREFUSED/);
  t.notMatch(error.message, /geheim/);
  const { client } = await sessionsFor(t, { url: ["ws://127.0.0.1:1/", hub.url] });
  t.equal(await client.call("hi"), "hi");
});

t.test("a refused handshake shows its status", async (t) => {
  const hub = await hubFor(t, { authenticate: () => undefined });
  const error = await failure(new WebSocketSessionManager({ url: hub.url }).start());
  t.match(error, { code: "WEBSOCKET_CONNECT_FAILED", message: /401/, retryable: false });
});

t.test("calls in flight learn at once that their connection ended", async (t) => {
  const hub = await hubFor(t, { call: () => new Promise(() => {}) });
  const { client } = await sessionsFor(t, { url: hub.url, timeoutMs: 60_000 });
  const calls = [failure(client.call(1)), failure(client.call(2))];
  await until(() => [...hub.client.sockets].some((socket) => socket.calls === 2), "both calls are worked on");
  for (const socket of hub.client.sockets) socket.terminate();
  for (const error of await Promise.all(calls)) t.equal(error.code, "OUTCOME_UNKNOWN");
});

t.test("while there is no connection, sends and calls are refused at once", async (t) => {
  const hub = await hubFor(t, echo);
  const proxy = await proxyFor(t, hub.url);
  const { client } = await sessionsFor(t, { url: proxy.url });
  await proxy.refuse();
  proxy.reset();
  await until(() => client.state !== "open", "it has noticed");
  for (const error of [await failure(client.send("x")), await failure(client.call("x"))]) {
    t.equal(error.code, "WEBSOCKET_DISCONNECTED");
    t.equal(error.retryable, true);
  }
  await proxy.heal();
  await client.ready();
  t.equal(await client.call("back"), "back");
});

t.test("with `wait`, they go out in order on the next connection, or run into their deadline", async (t) => {
  const got: string[] = [];
  const server = await plainFor(t, (socket) => socket.on("message", (data) => got.push(String(data))));
  const proxy = await proxyFor(t, server.url);
  const { client } = await sessionsFor(t, { url: proxy.url, offline: "wait", timeoutMs: 5_000 });
  await proxy.refuse();
  proxy.reset();
  await until(() => client.state !== "open", "it has noticed");
  const error = failure(client.send("too late", { timeoutMs: 30 }));
  const sends = ["a", "b", "c"].map((text) => client.send(text));
  t.equal((await error).code, "DEADLINE_EXCEEDED");
  await proxy.heal();
  await Promise.all(sends);
  await until(() => got.length === 3, "all have arrived");
  t.same(got, ["a", "b", "c"]);
});

t.test("what waits for a connection when a stop begins is refused like what comes then", async (t) => {
  const server = await plainFor(t, () => {});
  const proxy = await proxyFor(t, server.url);
  const manager = await sessionsFor(t, { url: proxy.url, offline: "wait", timeoutMs: 60_000 });
  const { client } = manager;
  await proxy.refuse();
  proxy.reset();
  await until(() => client.state !== "open", "it has noticed");
  const waiting = [client.send("x"), client.call("x")].map(failure);
  const stopping = manager.stop();
  for (const call of [...waiting, failure(client.send("x")), failure(client.call("x"))]) {
    const { code, retryable, message } = await call;
    t.strictSame([code, retryable], ["RESOURCE_UNAVAILABLE", true]);
    t.match(message, /: stopping$/);
  }
  await stopping;
});

t.test("the outbound queue is bounded in messages and in bytes, and awaiting send paces the sender", async (t) => {
  const server = await plainFor(t, (socket) => socket.pause());
  const { client } = await sessionsFor(t, {
    url: server.url,
    maxPending: 3,
    maxPendingBytes: 100_000,
    heartbeatTimeoutMs: 60_000,
  });
  t.equal((await failure(client.send("x".repeat(100_001)))).code, "OVERLOADED");
  const burst = await Promise.all(
    Array.from({ length: 5 }, () =>
      client.send("x").then(
        () => "sent",
        (error: { code: string }) => error.code,
      ),
    ),
  );
  t.same(burst, ["sent", "sent", "sent", "OVERLOADED", "OVERLOADED"]);
  const chunk = "x".repeat(50_000);
  const error = await failure(
    (async () => {
      for (;;) await client.send(chunk, { timeoutMs: 300 });
    })(),
  );
  t.equal(error.code, "DEADLINE_EXCEEDED");
  t.ok(Number(client.stats()["pendingBytes"]) <= 100_000);
});

t.test("a message goes out behind whatever was written to the real socket by hand", async (t) => {
  const sizes: number[] = [];
  const server = await plainFor(t, (socket) =>
    socket.on("message", (data: Buffer, isBinary: boolean) => sizes.push(isBinary ? data.length : -data.length)),
  );
  const { client } = await sessionsFor(t, { url: server.url, timeoutMs: 60_000 });
  client.socket?.send(Buffer.alloc(20_000_000));
  t.ok((client.socket?.bufferedAmount ?? 0) > 1_000_000, "more than the system takes at once");
  await client.send("after");
  await client.send(new Uint8Array(3));
  await until(() => sizes.length === 3, "all have arrived");
  t.same(sizes, [20_000_000, -5, 3]);
});

t.test("a send that its caller gave up is not sent", async (t) => {
  const got: string[] = [];
  const server = await plainFor(t, (socket) => socket.on("message", (data) => got.push(String(data))));
  const { client } = await sessionsFor(t, { url: server.url });
  const abort = new AbortController();
  const given = failure(client.send("never", { signal: abort.signal }));
  abort.abort();
  t.equal((await given).code, "CALL_ABORTED");
  await client.send("after");
  await until(() => got.length > 0, "the next one has arrived");
  t.same(got, ["after"]);
});

t.test("more calls at once than maxConcurrent are refused", async (t) => {
  const hub = await hubFor(t, { call: () => new Promise(() => {}) });
  const { client } = await sessionsFor(t, { url: hub.url, maxConcurrent: 2, timeoutMs: 100 });
  const codes = await Promise.all([1, 2, 3].map(async (i) => (await failure(client.call(i))).code));
  t.same(codes, ["DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", "OVERLOADED"]);
});

t.test("an ack gives a call more time; the late reply of one that was given up is for nobody", async (t) => {
  let release = (): void => {};
  const released = new Promise<void>((resolve) => (release = resolve));
  const hub = await hubFor(t, {
    call: async (body, { ack }) => {
      if (body === "at once") return body;
      if (body !== "short") ack();
      await released;
      return body;
    },
  });
  const clock = new FakeClock();
  const { client } = await sessionsFor(t, { url: hub.url, timeoutMs: 1_000, ackedTimeoutMs: 60_000 }, { clock });
  const messages: string[] = [];
  client.on("message", (data) => messages.push(String(data)));
  const long = client.call("long");
  const short = failure(client.call("short"));
  await client.call("at once"); // the ack has come before its reply
  await clock.advance(1_008);
  t.equal((await short).code, "DEADLINE_EXCEEDED");
  const hasty = await sessionsFor(t, { url: hub.url, timeoutMs: 60_000, ackedTimeoutMs: 20 }, { clock });
  const forEver = failure(hasty.client.call("for ever"));
  await hasty.client.call("at once");
  await clock.advance(28);
  t.equal((await forEver).code, "DEADLINE_EXCEEDED");
  release();
  t.equal(await long, "long");
  await client.call("both replies have come by now");
  t.same(messages, []);
});

t.test("the resume hook goes before everything else, on every connection", async (t) => {
  const got: string[][] = [];
  const server = await plainFor(t, (socket) => {
    const mine: string[] = [];
    got.push(mine);
    socket.on("message", (data) => mine.push(String(data)));
  });
  const seen: number[] = [];
  const resume = async ({ send, reconnects }: Resumption): Promise<void> => {
    seen.push(reconnects);
    await send("log in");
  };
  const manager = await sessionsFor(t, { url: server.url, resume, offline: "wait" });
  await manager.client.send("first");
  await until(() => got[0]?.length === 2, "both have arrived");
  for (const client of server.wss.clients) client.terminate();
  await until(() => manager.client.state !== "open", "it has noticed");
  await manager.client.send("second");
  await until(() => got[1]?.length === 2, "both have arrived");
  t.same(got, [
    ["log in", "first"],
    ["log in", "second"],
  ]);
  t.same(seen, [0, 1]);
});

t.test("a resume hook can make calls, and one that fails ends the connection", async (t) => {
  const hub = await hubFor(t, echo);
  const replies: unknown[] = [];
  await sessionsFor(t, { url: hub.url, resume: async ({ call, session }) => void replies.push(await call(session)) });
  t.same(replies, ["main"]);
  const failing = new WebSocketSessionManager({
    url: hub.url,
    resume: () => Promise.reject(new Error("wrong password")),
  });
  const error = await failure(failing.start());
  t.match(error, { code: "WEBSOCKET_DISCONNECTED", message: /wrong password/ });
});

t.test("a resume hook that does nothing for too long ends its connection, and another one is tried", async (t) => {
  const hub = await hubFor(t, echo);
  const proxy = await proxyFor(t, hub.url);
  const clock = new FakeClock();
  const hang = (): Promise<void> => new Promise(() => {});
  const failing = new WebSocketSessionManager({ url: hub.url, resume: hang, connectTimeoutMs: 700 }, { clock });
  const start = failure(failing.start());
  await clock.runUntil(start);
  t.match(await start, { code: "WEBSOCKET_DISCONNECTED", message: /resume hook failed: .* for 700 ms/ });
  let hooks = 0;
  const resume = ({ reconnects }: Resumption): unknown => (hooks++, reconnects === 1 ? hang() : undefined);
  const { client } = await sessionsFor(t, { url: proxy.url, resume }, { clock });
  proxy.reset();
  await until(async () => (await clock.advance(20), hooks === 2), "it is connected again");
  t.equal(client.state, "resuming");
  await until(async () => (await clock.advance(20), client.state === "open"), "and once more");
  t.equal(hooks, 3);
});

t.test("the calls of a resume hook have their own deadlines", async (t) => {
  let release = (): void => {};
  const released = new Promise<void>((resolve) => (release = resolve));
  const hub = await hubFor(t, { call: async (body) => (await released, body) });
  const clock = new FakeClock();
  const resume = async ({ call }: Resumption): Promise<void> => void (await call("log in"));
  const options = { url: hub.url, resume, connectTimeoutMs: 200 };
  const manager = new WebSocketSessionManager(options, { clock });
  t.teardown(() => manager.stop());
  const started = manager.start();
  await until(() => manager.client.state === "resuming", "it logs in");
  await clock.advance(1_000);
  release();
  await started;
  t.match(manager.client.stats(), { opened: 1 });
});

t.test("headers are asked for before every connect, and subprotocols are offered", async (t) => {
  const seen: unknown[] = [];
  const hub = await hubFor(t, {
    protocols: ["v2"],
    authenticate: ({ headers }) => (seen.push(headers["authorization"], headers["sec-websocket-protocol"]), "somebody"),
  });
  let token = 0;
  const { client } = await sessionsFor(t, {
    url: hub.url,
    protocols: ["v3", "v2"],
    headers: async () => ({ authorization: `${++token}` }),
  });
  t.equal(client.socket?.protocol, "v2");
  for (const socket of hub.client.sockets) socket.terminate();
  await until(() => client.state !== "open", "it has noticed");
  await client.ready();
  t.same(seen, ["1", "v3,v2", "2", "v3,v2"]);
});

t.test("renew moves to a new connection without losing a call", async (t) => {
  const hub = await hubFor(t, { call: async (body) => (await new Promise((r) => setTimeout(r, 50)), body) });
  const manager = await sessionsFor(t, { url: hub.url });
  const before = manager.client.socket;
  const call = manager.client.call("old");
  const opened = new Promise((resolve) => manager.client.once("open", resolve));
  await manager.renew();
  await opened;
  t.not(manager.client.socket, before);
  t.equal(await call, "old");
  t.equal(await manager.client.call("new"), "new");
  await until(() => hub.client.sockets.size === 1, "the old one has gone");
});

t.test("`for await` gives messages over reconnects, and ends with the session", async (t) => {
  const server = await plainFor(t, (socket) => {
    socket.send("hello");
    socket.send(Buffer.from("bytes"));
  });
  const manager = new WebSocketSessionManager({ url: server.url });
  const got: unknown[] = [];
  await manager.start();
  const reading = (async () => {
    for await (const message of manager.client) got.push(message);
  })();
  for (const client of server.wss.clients) client.terminate();
  await until(() => got.length >= 2, "the second greeting has arrived");
  t.same(got.slice(-2), ["hello", Buffer.from("bytes")]);
  await manager.stop();
  await reading;
});

t.test("a reader that lags pauses the socket, and loses nothing", async (t) => {
  const server = await plainFor(t, (socket) => {
    socket.on("message", () => {
      for (let i = 0; i < 500; i++) socket.send(String(i));
    });
  });
  const { client } = await sessionsFor(t, { url: server.url, maxUnread: 10 });
  const inbox = client[Symbol.asyncIterator]();
  await client.send("go");
  await until(() => client.socket?.isPaused === true, "the socket is paused");
  const got: number[] = [];
  for await (const message of inbox) if (got.push(Number(message)) === 500) break;
  t.same(
    got,
    Array.from({ length: 500 }, (_, i) => i),
  );
  t.equal(client.socket?.isPaused, false);
});

t.test("named sessions: one each, on their own way, bounded, and closed when idle", async (t) => {
  const paths: (string | undefined)[] = [];
  const hub = await hubFor(t, {
    ...echo,
    authenticate: ({ url, headers }) => (paths.push(url, headers["x-me"]?.toString()), 1),
  });
  const manager = await sessionsFor(t, { url: hub.url, maxSessions: 3, idleSessionTimeoutMs: 300, silenceMs: 20 });
  const { client } = manager;
  const prices = client.session("prices", { url: `${hub.url}/prices`, headers: { "x-me": "1" } });
  t.equal(client.session("prices"), prices);
  await prices.ready();
  t.equal(await prices.call("p"), "p");
  t.same(paths.slice(-2), ["/prices", "1"]);
  const other = client.session("other");
  await other.ready();
  other.on("message", () => {});
  const third = client.session("third");
  t.equal(prices.state, "closed", "the one used least lately made room");
  third.on("message", () => {});
  t.throws(() => client.session("fourth"), { code: "OVERLOADED" });
  t.match(await failure(prices.call(1)), { code: "WEBSOCKET_DISCONNECTED", message: /made room/ });
  third.removeAllListeners("message");
  await until(() => third.state === "closed", "the idle one is closed");
  t.equal(client.state, "open", "the main one stays");
  t.equal(other.state, "open", "one with a listener stays");
  t.throws(() => client.session("bad", { url: "http://x" }), { code: "OPTIONS_INVALID" });
});

t.test("the first connect carries the id of its request; what comes later belongs to no request", async (t) => {
  const seen: unknown[] = [];
  const hub = await hubFor(t, {
    authenticate: ({ headers }) => (seen.push(headers["x-request-id"]), "somebody"),
  });
  const { client } = await runWithContext({ requestId: "visit-1" }, () => sessionsFor(t, { url: hub.url }));
  client.on("message", () => seen.push(currentContext()));
  hub.client.broadcast("hello");
  await until(() => seen.length > 1, "the message");
  for (const socket of hub.client.sockets) socket.terminate();
  await until(() => client.state !== "open", "it has noticed");
  await client.ready();
  t.same(seen, ["visit-1", undefined, undefined]);
});

t.test("TLS: a certificate of one's own authority is accepted, others are not", async (t) => {
  const tls = createTlsServer({ cert: serverCert, key: serverKey });
  const server = await plainFor(t, () => {}, {}, tls as never);
  const url = server.url.replace("ws://127.0.0.1", "wss://localhost");
  t.equal((await failure(new WebSocketSessionManager({ url }).start())).code, "WEBSOCKET_CONNECT_FAILED");
  const { client } = await sessionsFor(t, { url, tls: { ca: authority } });
  t.equal(client.state, "open");
});

t.test("deflate is off, and on where it is asked for", async (t) => {
  const server = await plainFor(t, () => {}, { perMessageDeflate: true });
  const off = await sessionsFor(t, { url: server.url });
  const on = await sessionsFor(t, { url: server.url, deflate: true });
  t.equal(off.client.socket?.extensions, "");
  t.match(on.client.socket?.extensions, /permessage-deflate/);
});

t.test("a message larger than maxPayloadBytes ends the connection", async (t) => {
  const server = await plainFor(t, (socket) => socket.on("message", () => socket.send("x".repeat(100))));
  const { client } = await sessionsFor(t, { url: server.url, maxPayloadBytes: 50 });
  const closed = new Promise((resolve) => client.once("close", resolve));
  await client.send("go");
  await closed;
});

t.test("calls of other servers: a protocol of one's own", async (t) => {
  const protocol: CallProtocol = {
    encode: (id, body) => JSON.stringify({ jsonrpc: "2.0", id, method: body }),
    decode: (data) => {
      const { id, result } = JSON.parse(data.toString());
      return id === undefined ? undefined : { id, kind: "value", value: result };
    },
  };
  const server = await plainFor(t, (socket) =>
    socket.on("message", (data) => {
      const { id, method } = JSON.parse(String(data));
      socket.send(JSON.stringify({ jsonrpc: "2.0", id, result: `did ${method}` }));
    }),
  );
  const { client } = await sessionsFor(t, { url: server.url, protocol });
  t.equal(await client.call("dance"), "did dance");
});

t.test("replies are told from other messages by what they are", async (t) => {
  const text = (message: string) => jsonCalls.decode(Buffer.from(message), false);
  t.same(text('{"id":1,"ok":null}'), { id: 1, kind: "value", value: null });
  t.same(text('{"id":1,"ack":true}'), { id: 1, kind: "ack" });
  t.match(text('{"id":1,"error":{}}'), { kind: "failure", failure: { code: "UNKNOWN", retryable: false } });
  for (const other of ["", "{", '{"id', '{"id":', '{"id":"1","ok":1}', '{"id":1}', '{"idea":1,"ok":2}', "null", "[1]"])
    t.equal(text(other), undefined, other);
  t.equal(jsonCalls.decode(Buffer.from('{"id":1,"ok":1}'), true), undefined, "binary");
});

t.test(
  "a silent peer is found by a ping without an answer: soon while it owes something, later while not",
  async (t) => {
    // It lets no third one in: a question about calls without a reply goes over a new connection, which would take over.
    let handshakes = 0;
    const verifyClient = (): boolean => ++handshakes <= 2;
    const server = await plainFor(t, () => {}, { autoPong: false, verifyClient });
    const clock = new FakeClock();
    const manager = await sessionsFor(
      t,
      { url: server.url, silenceMs: 500, heartbeatMs: 4_000, heartbeatTimeoutMs: 1_000, timeoutMs: 60_000 },
      { clock },
    );
    const endsAfter = async (): Promise<number> => {
      const since = clock.now();
      const closed = new Promise<void>((resolve) => manager.client.once("close", () => resolve()));
      await clock.runUntil(closed);
      return clock.now() - since;
    };
    const idle = await endsAfter();
    t.ok(idle >= 5_000 && idle <= 6_500, `idle: ${idle} ms`);
    await clock.runUntil(manager.client.ready());
    const call = failure(manager.client.call(1));
    const owing = await endsAfter();
    t.ok(owing >= 1_500 && owing <= 2_500, `owing: ${owing} ms`);
    t.match(await call, { code: "OUTCOME_UNKNOWN", message: /silent for/ });
    t.match(manager.client.stats(), { retired: 2, opened: 2, inUse: 0, pending: 0 });
    t.match(manager.stats(), { calls: { failed: 1, unknown: 1 } });
  },
);

t.test("pauses between attempts are drawn at random up to a bound that doubles", async (t) => {
  const pauses = new Pauses({ reconnect: { minMs: 100, maxMs: 400 } });
  const drawn = (draw: () => number): [number, number] => {
    const all = Array.from({ length: 300 }, draw);
    return [Math.min(...all), Math.max(...all)];
  };
  for (const [what, bound, draw] of [
    ["the first attempt", 100, () => pauses.after(0)],
    ["the second", 200, () => pauses.after(1)],
    ["the tenth", 400, () => pauses.after(9)],
    ["a connection that ended", 100, () => pauses.afterClose(1006, 0, 0)],
    ["one that ended early, again and again", 400, () => pauses.afterClose(1006, 5, 0)],
    ["one that had lived long", 100, () => pauses.afterClose(1006, 5, 400)],
    ["a server that sends all its clients away", 400, () => pauses.afterClose(1001, 0, 60_000)],
  ] as const) {
    const [least, most] = drawn(draw);
    t.ok(least >= 0 && least < bound * 0.2 && most <= bound && most > bound * 0.8, `${what}: ${least} to ${most}`);
  }
});

t.test("stop waits for a goodbye no longer than closeTimeoutMs", async (t) => {
  const server = await plainFor(t, (socket) => socket.pause());
  const manager = await new WebSocketSessionManager({ url: server.url, closeTimeoutMs: 50 }).start();
  using alarm = new Alarm(1_000);
  await manager.stop();
  t.notOk(alarm.hasRung);
});

t.test(
  "everybody who ends a session waits for the same end, and one that begins again is not touched by it",
  async (t) => {
    const got: string[] = [];
    const server = await plainFor(t, (socket) => {
      // The first one never hears our goodbye.
      if (server.wss.clients.size === 1) socket.pause();
      socket.on("message", (data) => got.push(String(data)));
    });
    const manager = await sessionsFor(t, { url: server.url, closeTimeoutMs: 200 });
    const { client } = manager;
    const { socket } = client;
    const ends = [client.finish("first"), client.finish("second")];
    client.begin();
    const inbox = client[Symbol.asyncIterator]();
    await client.ready();
    await Promise.race(ends);
    t.equal(socket?.readyState, WebSocket.CLOSED);
    await Promise.all(ends);
    await client.send("on the next one");
    await until(() => got.length === 1, "it has arrived");
    for (const ws of server.wss.clients) ws.send("and back");
    t.same(await inbox.next(), { done: false, value: "and back" });
  },
);

t.test("stop says goodbye with 1000", async (t) => {
  let code: Promise<number> | undefined;
  const server = await plainFor(t, (socket) => (code = closeCode(socket)));
  const manager = await new WebSocketSessionManager({ url: server.url }).start();
  await manager.stop();
  t.equal(await code, 1000);
});

t.test("health and metrics show what the connections tell", async (t) => {
  const hub = await hubFor(t, echo);
  const proxy = await proxyFor(t, hub.url);
  const manager = await sessionsFor(t, { url: proxy.url });
  await manager.client.call(1);
  t.match(manager.passive, { failingRatio: 0 });
  t.ok(manager.passive.lastSuccessAt > 0);
  const named = [...manager.metrics()].map(({ name, attributes, value }) => [
    name,
    attributes["operation"] ?? attributes["state"] ?? "",
    attributes["outcome"] ?? "",
    value,
  ]);
  t.strictSame(
    named.filter(([name]) => name === "dependency_requests_total").filter(([, , outcome]) => outcome === "success"),
    [
      ["dependency_requests_total", "call", "success", 1],
      ["dependency_requests_total", "send", "success", 0],
    ],
  );
  t.strictSame(
    named.filter(([name]) => name === "websocket_sessions"),
    [
      ["websocket_sessions", "open", "", 1],
      ["websocket_sessions", "other", "", 0],
    ],
  );
  await proxy.refuse();
  proxy.reset();
  await until(() => manager.client.state !== "open", "it has noticed");
  t.match(manager.passive, { failingRatio: 1, reason: /not connected|no connection/ });
});

t.test("options: typos, contradictions and wrong values are refused", async (t) => {
  const wrong = (options: object): string => {
    try {
      return (new WebSocketSessionManager(options as never), "fine");
    } catch (error) {
      return String((error as Error).message);
    }
  };
  t.match(wrong({ url: "ws://x", timeout: 1 }), /did you mean "timeoutMs"/);
  t.match(wrong({ url: "http://x" }), /must be a ws: or wss: URL/);
  t.match(wrong({ url: "ws://x#y" }), /fragment/);
  t.match(wrong({ url: [] }), /at least one URL/);
  t.match(wrong({ url: "ws://x", tls: {} }), /tls needs a wss: URL/);
  t.match(wrong({ url: "wss://x", tls: { cert: "c" } }), /cert and key need each other/);
  t.match(wrong({ url: "ws://x", reconnect: { minMs: 2_000 } }), /maxMs must not be shorter/);
  t.match(wrong({ url: "ws://x", protocols: ["a b"] }), /no subprotocol name/);
  t.match(wrong({ url: "ws://x", silenceMs: 0 }), /at least 1 ms/);
  t.match(wrong({}), /expected a URL, or a client of yours/);
  t.match(wrong({ client: {} }), /client: must be a WebSocket of ws/);
  const client = new WebSocket("ws://127.0.0.1:1");
  client.on("error", () => {});
  t.match(wrong({ client, connectTimeoutMs: 1 }), /brings its own connection: leave out url/);
  t.match(wrong({ client, url: "ws://x" }), /brings its own connection/);
  t.match(wrong({ client, timeoutMs: 1 }), "fine");
  t.equal(webSocketSession("feed", { url: "ws://x" }).name, "feed");
});

t.test("the main session is shared, so nobody ends it but its manager; a named one ends", async (t) => {
  const hub = await hubFor(t, { call: (body) => body });
  const { client } = await sessionsFor(t, { url: hub.url });
  t.match(await failure(client.end("done")), {
    code: "LIFECYCLE_CONFLICT",
    message: /others use it too; stop its manager/,
  });
  t.equal(await client.call(1), 1, "it goes on");
  const named = client.session("prices");
  await named.ready();
  await named.end("done");
  t.equal(named.state, "closed");
  t.equal(await client.call(2), 2);
});

t.test("a password in the URL stands in no error", async (t) => {
  const manager = new WebSocketSessionManager({ url: "ws://me:S3CR3T@127.0.0.1:1/?token=S3CR3T" });
  t.teardown(() => manager.stop());
  const error = await failure(manager.start());
  t.equal(error.code, "WEBSOCKET_CONNECT_FAILED");
  t.notMatch(inspect(error, { depth: 9, showHidden: true }), /S3CR3T/);
});

t.test("options of a call that are unknown or of a wrong type are refused before anything is sent", async (t) => {
  const seen: unknown[] = [];
  const hub = await hubFor(t, { call: (body) => seen.push(body) });
  const { client } = await sessionsFor(t, { url: hub.url });
  for (const [options, message] of [
    [{ timeout: 5 }, /timeout: .*did you mean "timeoutMs"/],
    [{ timeoutMs: "5" }, /timeoutMs: expected number/],
    [{ timeoutMs: Number.NaN }, /timeoutMs: expected number/],
    [{ signal: 1 }, /signal: must be an AbortSignal/],
  ] as const) {
    t.match(await failure(client.call(1, options as never)), { code: "OPTIONS_INVALID", message });
    t.match(await failure(client.send("x", options as never)), { code: "OPTIONS_INVALID", message });
  }
  t.equal(await client.call("fine", { timeoutMs: 1_000 }), 1);
  t.same(seen, ["fine"]);
});

t.test("what is no message is refused before it is sent, and those that follow go out", async (t) => {
  const hub = await hubFor(t, echo);
  const { client } = await sessionsFor(t, { url: hub.url, timeoutMs: 500 });
  for (const wrong of [{}, [], 5, undefined, null])
    t.match(await failure(client.send(wrong as never)), { code: "OPTIONS_INVALID", message: /a string or bytes/ });
  t.match(client.stats(), { pending: 0, pendingBytes: 0 });
  const bytes = new Uint16Array([1, 2]);
  const heard = new Promise((resolve) => hub.client.once("message", (_socket, data) => resolve(data.length)));
  await client.send(bytes as never);
  t.equal(await heard, 4, "all that ws takes for bytes");
  t.equal(await client.call("on"), "on");
  const protocol = { ...jsonCalls, encode: () => ({}) as never };
  const other = await sessionsFor(t, { url: hub.url, protocol, timeoutMs: 500 });
  t.match(await failure(other.client.call(1)), { code: "OPTIONS_INVALID", message: /a string or bytes/ });
});

t.test("an error of a listener is an uncaught exception, and the session reads on and ends", async (t) => {
  const thrown: unknown[] = [];
  const taken = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException").on("uncaughtException", (error) => thrown.push(error.message));
  t.teardown(() => {
    process.removeAllListeners("uncaughtException");
    for (const listener of taken) process.on("uncaughtException", listener);
  });
  const fail = (word: string) => (): never => {
    throw new Error(word);
  };
  const hub = await hubFor(t, { ...echo, authorize: () => true });
  const { decode } = jsonCalls;
  const broken = (data: Buffer): never => fail(`decode ${data}`)();
  const protocol = {
    ...jsonCalls,
    decode: (data: Buffer, isBinary: boolean) => (isBinary ? broken(data) : decode(data, isBinary)),
  };
  const manager = await sessionsFor(t, { url: hub.url, protocol });
  const { client } = manager;
  const heard: unknown[] = [];
  client.once("message", fail("message"));
  for (const listener of [fail("room"), ({ data }: { data: unknown }) => heard.push(data)])
    await client.join("news", listener);
  const messages = client[Symbol.asyncIterator]();
  for (const socket of hub.client.sockets) for (const data of ["one", "two"]) socket.send(data);
  t.same([(await messages.next()).value, (await messages.next()).value], ["one", "two"]);
  await hub.client.publish("news", "extra");
  for (const socket of hub.client.sockets) socket.send(Buffer.from("bytes"));
  t.equal(await client.call("still here"), "still here");
  t.same(heard, ["extra"], "the other listener has it");
  t.same(thrown.splice(0), ["message", "room", "decode bytes"]);

  client.once("gap", fail("gap")).once("open", fail("open")).once("close", fail("close"));
  for (const socket of hub.client.sockets) socket.terminate();
  for (let i = 0; i < 60; i++) await hub.client.publish("news", i);
  const others = (): unknown[] => thrown.filter((word) => word !== "room");
  await until(() => others().length === 3, "all of them");
  t.same(others(), ["close", "gap", "open"]);
  t.match(client.stats(), { state: "open", opened: 2 }, "what a listener throws ends no connection");
  await manager.stop();
});

t.test("headers that cannot be had fail the start, and the next attempt asks for them again", async (t) => {
  const hub = await hubFor(t, echo);
  let isDown = true;
  const headers = (): Record<string, string> => {
    if (isDown) throw new Error("no token");
    return {};
  };
  const manager = new WebSocketSessionManager({ url: hub.url, headers }, { startTimeoutMs: 1_000 });
  t.teardown(() => manager.stop());
  t.match(await failure(manager.start()), { code: "WEBSOCKET_CONNECT_FAILED", message: /no token/ });
  isDown = false;
  await manager.start();
  isDown = true;
  for (const socket of hub.client.sockets) socket.terminate();
  const { client } = manager;
  await until(() => client.lastError?.message.includes("no token") === true, "the next attempt has none");
  isDown = false;
  await client.ready();
  t.equal(await client.call("back"), "back");
});

t.test("a connection that ended with an error says which", async (t) => {
  const server = await plainFor(t, (socket) => socket.on("message", () => socket.send("x".repeat(100))));
  const { client } = await sessionsFor(t, { url: server.url, maxPayloadBytes: 50 });
  t.match(await failure(client.call("go")), { code: "OUTCOME_UNKNOWN", message: /Max payload size exceeded/ });
  t.match(client.lastError, { code: "WEBSOCKET_DISCONNECTED", message: /Max payload size exceeded/ });
});

t.test("wrong arguments of a join and of a named session are refused, and its headers may be a function", async (t) => {
  const tokens: unknown[] = [];
  const hub = await hubFor(t, {
    authorize: () => true,
    authenticate: ({ headers }) => (tokens.push(headers["x-token"]), 1),
  });
  const { client } = await sessionsFor(t, { url: hub.url });
  for (const args of [["news"], ["news", {}], [5, () => {}], [undefined, () => {}]])
    t.match(await failure(client.join(...(args as [string, () => void]))), {
      code: "OPTIONS_INVALID",
      message: /join/,
    });
  for (const target of [{ ulr: hub.url }, { headers: { a: 1 } }, { protocols: "v2" }, 5, { url: "http://x" }])
    t.throws(() => client.session("prices", target as never), { code: "OPTIONS_INVALID" });
  t.throws(() => client.session(undefined as never), { code: "OPTIONS_INVALID" });
  let token = 0;
  const session = client.session("prices", { headers: () => ({ "x-token": `${++token}` }) });
  await session.ready();
  session.socket?.terminate();
  await until(() => session.state !== "open", "it has noticed");
  await session.ready();
  t.same(tokens, [undefined, "1", "2"]);
});

t.test("a session that has ended leaves no timer behind", async (t) => {
  const hub = await hubFor(t, echo);
  const clock = new FakeClock();
  const manager = await sessionsFor(t, { url: hub.url }, { clock });
  await manager.client.call(1);
  t.ok(clock.pending > 0, "it looks after its connection");
  await manager.stop();
  // The timer of deadlines fires once more; one that looks after a connection would go on for ever.
  await clock.advance(600_000);
  t.equal(clock.pending, 0);
});

t.test("what waits to be sent is given up when the connection ends, and when the session does", async (t) => {
  const server = await plainFor(t, (socket) => socket.pause());
  const full = (): Promise<unknown>[] => Array.from({ length: 200 }, () => client.send(Buffer.alloc(64_000)));
  const manager = await sessionsFor(t, { url: server.url, offline: "reject", maxPendingBytes: 64_000_000 });
  const { client } = manager;
  const outcomes = (sent: Promise<unknown>[]): Promise<string[]> =>
    Promise.all(
      sent.map((one) =>
        one.then(
          () => "sent",
          (error: { code: string }) => error.code,
        ),
      ),
    );
  const first = outcomes(full());
  await until(() => server.wss.clients.size === 1, "it is connected");
  await sleep(50);
  for (const socket of server.wss.clients) socket.terminate();
  t.ok((await first).includes("WEBSOCKET_DISCONNECTED"), "at a disconnect");
  await client.ready();
  const second = outcomes(full());
  await manager.stop();
  t.notOk(
    (await second).every((code) => code === "sent"),
    "at a stop",
  );
});
