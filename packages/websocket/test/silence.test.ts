import { once } from "node:events";
import { FakeClock } from "@steward/core/testing";
import { failure, trackHandles, until } from "@steward/testing";
import t from "tap";
import type { RawData, WebSocket } from "ws";
import type { Resumption } from "../src/index.ts";
import { closeCode, hubFor, plainFor, proxyFor, sessionsFor } from "./setup.ts";

const handles = trackHandles();
t.teardown(() => handles.assertNoLeaks());

const echo = { call: (body: unknown) => body };

t.test("calls that begin at a half-open connection go over a new one, before any call is refused", async (t) => {
  const hub = await hubFor(t, echo);
  const proxy = await proxyFor(t, hub.url);
  const clock = new FakeClock();
  const resumed: number[] = [];
  const resume = ({ reconnects }: Resumption): unknown => resumed.push(reconnects);
  const manager = await sessionsFor(t, { url: proxy.url, resume }, { clock });
  const { client } = manager;
  await client.call("well");
  await clock.advance(10);
  proxy.halfOpen();
  const lost = failure(client.call("lost"));
  const since = clock.now();
  // Asked after 450 ms, and over a new connection 500 ms later; then time stands still until that is there.
  await clock.advance(1_000);
  await until(() => client.stats()["opened"] === 2, "there is a new connection");
  t.equal(client.state, "open");
  t.equal(await client.call("next"), "next");
  await clock.runUntil(lost);
  t.match(await lost, { code: "OUTCOME_UNKNOWN", message: /silent for/ });
  const tookMs = clock.now() - since;
  t.ok(tookMs >= 1_450 && tookMs <= 2_000, `the old one was given up after ${tookMs} ms`);
  t.match(manager.stats(), { calls: { breaker: { state: "closed", opened: 0, refused: 0 } } });
  t.match(client.stats(), { opened: 2, retired: 1 });
  t.strictSame(resumed, [0, 1], "the hook reads that this is another connection");
  t.match(manager.passive, { failingRatio: 0 });
});

t.test("a peer that is only slow is asked by a ping, and gets no second connection", async (t) => {
  let release = (): void => {};
  const released = new Promise<void>((resolve) => (release = resolve));
  const hub = await hubFor(t, { call: async (body) => (await released, body) });
  const clock = new FakeClock();
  const { client } = await sessionsFor(t, { url: hub.url, timeoutMs: 10_000 }, { clock });
  const slow = client.call("slow");
  for (let i = 0; i < 8; i++) {
    const pong = client.socket === undefined ? undefined : once(client.socket, "pong");
    await clock.advance(460);
    if (i === 0) await pong;
    await client.ping();
  }
  release();
  t.equal(await slow, "slow");
  t.match(client.stats(), { opened: 1 });
});

t.test("a peer that answers before the new connection stands keeps the one it has", async (t) => {
  let [handshakes, letIn, answer] = [0, (): void => {}, (): void => {}];
  const verifyClient = (_info: unknown, done: (allowed: boolean) => void): void => {
    if (++handshakes === 1) done(true);
    else letIn = () => done(true);
  };
  const replyTo = (socket: WebSocket, data: RawData): void => {
    const { id, call } = JSON.parse(String(data)) as { id: number; call: string }; // our client sends it
    const reply = (): void => socket.send(JSON.stringify({ id, ok: call }));
    if (call === "late") answer = reply;
    else reply();
  };
  const onSocket = (socket: WebSocket): void => void socket.on("message", (data) => replyTo(socket, data));
  const server = await plainFor(t, onSocket, { autoPong: false, verifyClient });
  const clock = new FakeClock();
  const { client } = await sessionsFor(t, { url: server.url }, { clock });
  await clock.advance(10);
  const late = client.call("late");
  await clock.advance(1_000);
  await until(() => handshakes === 2, "it is asked over a new connection");
  answer();
  t.equal(await late, "late");
  letIn();
  await until(() => server.wss.clients.size === 1, "the new one has gone");
  t.equal(await client.call("next"), "next");
  t.match(client.stats(), { opened: 1 });
});

t.test("where one address is silent and refuses, the next question goes to the next one", async (t) => {
  const [one, other] = [await hubFor(t, echo), await hubFor(t, { call: () => "the other one" })];
  const proxy = await proxyFor(t, one.url);
  const clock = new FakeClock();
  const { client } = await sessionsFor(t, { url: [proxy.url, other.url] }, { clock });
  proxy.halfOpen();
  await proxy.refuse();
  const { signal } = new AbortController();
  const refused = failure(client.ask(signal));
  await clock.advance(500);
  t.match(await refused, { code: "WEBSOCKET_CONNECT_FAILED" });
  const asked = client.ask(signal);
  await clock.advance(1); // its ping has waited for long enough already
  await asked;
  t.equal(await client.call("x"), "the other one");
});

t.test("a connection that is made anew lets a call try at once, although the circuit is open", async (t) => {
  const hub = await hubFor(t, echo);
  const proxy = await proxyFor(t, hub.url);
  const clock = new FakeClock();
  const manager = await sessionsFor(t, { url: proxy.url, offline: "wait" }, { clock });
  const { client } = manager;
  const breakerOf = (): unknown => (manager.stats()["calls"] as { breaker: { state: string } }).breaker.state; // of its guard
  await client.call("well");
  await clock.advance(10);
  await proxy.refuse();
  proxy.reset();
  await until(() => client.state !== "open", "it has noticed");
  const waiting = client.call("waits").catch(() => {});
  await until(async () => (await clock.advance(20), breakerOf() === "open"), "the circuit is open");
  t.match(await failure(client.call("refused")), { code: "CIRCUIT_OPEN" });
  let first: Promise<unknown> | undefined;
  client.once("open", () => (first = client.call("first").catch((error: unknown) => error)));
  await proxy.heal();
  await until(async () => (await clock.advance(20), client.state === "open"), "it is connected again");
  t.equal(await first, "first");
  await waiting;
});

t.test("a probe whose connection ends fails at once", async (t) => {
  const server = await plainFor(t, () => {}, { autoPong: false });
  const manager = await sessionsFor(t, { url: server.url }, { clock: new FakeClock() });
  const probe = failure(manager.probe());
  await until(() => server.wss.clients.size === 1, "it is connected");
  for (const socket of server.wss.clients) socket.terminate();
  t.match(await probe, { code: "WEBSOCKET_DISCONNECTED" });
});

t.test("renewed twice, and then stopped, a connection ends in peace each time", async (t) => {
  const codes: Promise<number>[] = [];
  const server = await plainFor(t, (socket) => {
    codes.push(closeCode(socket));
    socket.on("message", (data) => {
      const { id, call } = JSON.parse(String(data)) as { id: number; call: string }; // our client sends it
      setTimeout(() => socket.send(JSON.stringify({ id, ok: call })), 50);
    });
  });
  const manager = await sessionsFor(t, { url: server.url });
  for (let i = 0; i < 2; i++) {
    const call = manager.client.call("old");
    const opened = once(manager.client, "open");
    await manager.renew();
    await opened;
    t.equal(await call, "old");
  }
  await manager.stop();
  t.strictSame(await Promise.all(codes), [1000, 1000, 1000]);
});

/** Replies to calls, and answers a text with fifty. */
const flooding = (socket: WebSocket): void =>
  void socket.on("message", (data: RawData) => {
    const text = String(data);
    if (text === "flood") for (let i = 0; i < 50; i++) socket.send(`m${i}`);
    else {
      const { id, call } = JSON.parse(text) as { id: number; call: unknown }; // our client sends it
      socket.send(JSON.stringify({ id, ok: call }));
    }
  });

t.test("a reader that lags speaks not against the peer, whose replies lie in the paused socket", async (t) => {
  const server = await plainFor(t, flooding);
  const clock = new FakeClock();
  const manager = await sessionsFor(t, { url: server.url, maxUnread: 10 }, { clock });
  const { client } = manager;
  await client.call("well");
  await clock.advance(10);
  const inbox = client[Symbol.asyncIterator]();
  await client.send("flood");
  await until(() => client.socket?.isPaused === true, "the socket is paused");
  const unread = Promise.all(Array.from({ length: 10 }, (_, i) => failure(client.call(i))));
  await clock.runUntil(unread);
  t.same(new Set((await unread).map(({ code }) => code)), new Set(["DEADLINE_EXCEEDED"]));
  for (let i = 0; i < 6; i++) {
    const short = failure(client.call("short", { timeoutMs: 100 }));
    await clock.runUntil(short);
    t.match(await short, { code: "DEADLINE_EXCEEDED" });
  }
  await manager.probe();
  t.match(manager.stats(), { calls: { breaker: { state: "closed", opened: 0, refused: 0, consecutiveFailures: 0 } } });
  t.match(manager.passive, { failingRatio: 0, isSuspect: false });
  const late = client.call("late");
  let read = 0;
  for await (const _ of inbox) if (++read === 50) break;
  t.equal(await late, "late");
  t.match(client.stats(), { opened: 1 });
});

t.test("a question that we stop to read the answer of is not held against the peer", async (t) => {
  const server = await plainFor(t, flooding, { autoPong: false });
  const { client } = await sessionsFor(t, { url: server.url, maxUnread: 10 }, { clock: new FakeClock() });
  const inbox = client[Symbol.asyncIterator]();
  const asked = client.ask(new AbortController().signal);
  await client.send("flood");
  await asked;
  t.equal(client.socket?.isPaused, true);
  await inbox.return?.();
});

t.test("a connection that is replaced while a reader lags is read to its last reply", async (t) => {
  const server = await plainFor(t, flooding);
  const manager = await sessionsFor(t, { url: server.url, maxUnread: 10 }, { clock: new FakeClock() });
  const { client } = manager;
  const inbox = client[Symbol.asyncIterator]();
  await client.send("flood");
  await until(() => client.socket?.isPaused === true, "the socket is paused");
  const call = client.call("on the old one");
  const opened = once(client, "open");
  await manager.renew();
  await opened;
  t.equal(client.socket?.isPaused, true);
  let read = 0;
  for await (const _ of inbox) if (++read === 50) break;
  t.equal(await call, "on the old one");
});

/** A server whose first handshake is accepted at once, and others when they are let in; only calls of `next` are answered. */
async function slowToLetIn(
  t: Parameters<typeof plainFor>[0],
): Promise<{ url: string; letIn(): void; handshakes: number }> {
  const letIns: (() => void)[] = [];
  const verifyClient = (_info: unknown, done: (allowed: boolean) => void): void => {
    if (++server.handshakes === 1) done(true);
    else letIns.push(() => done(true));
  };
  const onSocket = (socket: WebSocket): void =>
    void socket.on("message", (data: RawData) => {
      const { id, call } = JSON.parse(String(data)) as { id: number; call: string }; // our client sends it
      if (call === "next") socket.send(JSON.stringify({ id, ok: call }));
    });
  const server = { url: "", handshakes: 0, letIn: () => letIns.splice(0).forEach((one) => one()) };
  server.url = (await plainFor(t, onSocket, { autoPong: false, verifyClient })).url;
  return server;
}

t.test("a new connection takes over although its handshake outlasts the question that it is for", async (t) => {
  const server = await slowToLetIn(t);
  const clock = new FakeClock();
  const manager = await sessionsFor(t, { url: server.url, connectTimeoutMs: 5_000 }, { clock });
  const { client } = manager;
  await client.call("next");
  await clock.advance(10);
  const lost = failure(client.call("lost"));
  await clock.advance(1_000);
  await until(() => server.handshakes === 2, "it is asked over a new connection");
  const stats = (): string => (manager.stats()["calls"] as { breaker: { state: string } }).breaker.state; // of its guard
  await until(async () => (await clock.advance(5), stats() === "open"), "the circuit is open");
  t.equal(client.state, "open");
  server.letIn();
  await until(() => client.stats()["opened"] === 2, "the new one is there");
  t.equal(await client.call("next"), "next");
  t.equal(server.handshakes, 2);
  await clock.runUntil(lost);
});

t.test("an attempt that is under way when the old connection dies becomes the next one", async (t) => {
  for (const begin of ["ask", "renew"]) {
    const server = await slowToLetIn(t);
    const clock = new FakeClock();
    const manager = await sessionsFor(t, { url: server.url, connectTimeoutMs: 5_000 }, { clock });
    const { client } = manager;
    await clock.advance(10);
    const lost = failure(client.call("lost"));
    await clock.advance(begin === "renew" ? 500 : 1_000);
    if (begin === "renew") await manager.renew();
    await until(() => server.handshakes === 2, "a new connection is on its way");
    await clock.runUntil(lost);
    t.match(await lost, { code: "OUTCOME_UNKNOWN" }, begin);
    t.equal(client.state, "connecting");
    server.letIn();
    await until(() => client.state === "open", "it stands");
    t.equal(await client.call("next"), "next");
    t.equal(server.handshakes, 2);
    t.match(client.stats(), { opened: 2, reconnects: 1 });
  }
});

t.test("after a connection that went silent the next address is next", async (t) => {
  const [one, other] = [await hubFor(t, echo), await hubFor(t, { call: () => "the other one" })];
  const proxy = await proxyFor(t, one.url);
  const clock = new FakeClock();
  const { client } = await sessionsFor(t, { url: [proxy.url, other.url] }, { clock });
  await clock.advance(10);
  proxy.blackhole();
  const since = clock.now();
  const lost = failure(client.call("lost"));
  await clock.runUntil(lost);
  await until(async () => (await clock.advance(10), client.state === "open"), "it is connected again");
  t.equal(await client.call("x"), "the other one");
  const tookMs = clock.now() - since;
  t.ok(tookMs < 2_300, `after ${tookMs} ms`);
});
