import { once } from "node:events";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { createServer } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { CHANNELS, type PubSub } from "@steward/core";
import { FakeClock } from "@steward/core/testing";
import { failure, trackHandles, until } from "@steward/testing";
import t from "tap";
import { WebSocket } from "ws";
import { History } from "../src/hub/history.ts";
import { webSocketHub, WebSocketHubManager, type PresenceChange } from "../src/hub/index.ts";
import type { RoomMessage } from "../src/index.ts";
import { closeCode, hubFor, nextText, rawClient, sessionsFor } from "./setup.ts";

const handles = trackHandles();
t.teardown(() => handles.assertNoLeaks());

/** A broker in this process, whose messages can be lost. */
class Broker implements PubSub {
  readonly #listeners = new Map<string, Set<(message: string) => void>>();
  readonly #gapListeners = new Set<() => void>();
  loses = false;

  async publish(topic: string, message: string): Promise<void> {
    if (this.loses) return;
    for (const listener of this.#listeners.get(topic) ?? []) queueMicrotask(() => listener(message));
  }

  async subscribe(topic: string, listener: (message: string) => void): Promise<() => Promise<void>> {
    const all = this.#listeners.get(topic) ?? new Set();
    this.#listeners.set(topic, all.add(listener));
    return async () => void all.delete(listener);
  }

  onGap(listener: () => void): () => void {
    this.#gapListeners.add(listener);
    return () => void this.#gapListeners.delete(listener);
  }

  gap(): void {
    for (const listener of this.#gapListeners) listener();
  }
}

/** Status and headers of an upgrade that is not accepted. */
function refusal(url: string, options: object = {}): Promise<{ status: number; retryAfter: unknown }> {
  return new Promise((resolve, reject) => {
    const ws = new WebSocket(url, options);
    ws.on("error", () => {});
    ws.once("open", () => reject(new Error("it was accepted")));
    ws.once("unexpected-response", (request, response) => {
      resolve({ status: response.statusCode ?? 0, retryAfter: response.headers["retry-after"] });
      response.resume();
      request.destroy();
    });
  });
}

t.test("lets in who is known, and tells others 401; when nobody can tell, 503", async (t) => {
  const hub = await hubFor<{ name: string }>(t, {
    authenticate: async ({ headers }) => {
      if (headers["x-name"] === "crash") throw new Error("the user store is down");
      if (headers["x-name"] === "slow") await new Promise(() => {});
      return headers["x-name"] === undefined ? undefined : { name: String(headers["x-name"]) };
    },
    authenticateTimeoutMs: 50,
  });
  const refused: unknown[] = [];
  hub.client.on("refused", (status, _request, error) =>
    refused.push(`${status} ${error instanceof Error ? error.message : ""}`),
  );
  const entered = new Promise<unknown>((resolve) =>
    hub.client.once("connection", (socket, request) => resolve([socket.user, request.url])),
  );
  await rawClient(t, `${hub.url}/here`, { headers: { "x-name": "ada" } });
  t.same(await entered, [{ name: "ada" }, "/here"]);
  t.equal((await refusal(hub.url)).status, 401);
  t.same(await refusal(hub.url, { headers: { "x-name": "crash" } }), { status: 503, retryAfter: "1" });
  t.equal((await refusal(hub.url, { headers: { "x-name": "slow" } })).status, 503);
  t.same(refused, ["401 ", "503 the user store is down", "503 authenticate took longer than 50 ms"]);
});

t.test("authenticate lets in nobody by false or null", async (t) => {
  for (const nobody of [false, null]) {
    const hub = await hubFor(t, { authenticate: () => nobody as never });
    t.equal((await refusal(hub.url)).status, 401);
  }
  const hub = await hubFor(t, { authenticate: async () => 0 });
  await rawClient(t, hub.url);
  t.same([...hub.client.sockets][0]?.user, 0);
});

t.test("a client that leaves while it is authenticated is forgotten, and authenticate is told", async (t) => {
  let told: AbortSignal | undefined;
  const hub = await hubFor(t, { authenticate: (_request, signal) => ((told = signal), new Promise(() => {})) });
  const ws = new WebSocket(hub.url);
  ws.on("error", () => {});
  await until(() => told !== undefined, "it is asked");
  ws.terminate();
  await until(() => told?.aborted === true, "it is told");
  await until(() => hub.stats()["pending"] === 0, "it is forgotten");
});

t.test("pages of other origins are refused, unless they are listed", async (t) => {
  const own = await hubFor(t);
  const host = own.url.replace("ws:", "http:");
  await rawClient(t, own.url);
  await rawClient(t, own.url, { origin: host });
  t.equal((await refusal(own.url, { origin: "https://evil.example" })).status, 403);
  t.equal((await refusal(own.url, { origin: "null" })).status, 403);
  const listed = await hubFor(t, { origins: ["https://app.example"] });
  await rawClient(t, listed.url, { origin: "https://app.example" });
  t.equal((await refusal(listed.url, { origin: host })).status, 403);
  await rawClient(t, (await hubFor(t, { origins: ["*"] })).url, { origin: "https://any.example" });
});

t.test("a hub that knows its hosts answers for no other, whatever the page is called", async (t) => {
  const refused: unknown[] = [];
  const hub = await hubFor(t, { hosts: ["api.example"], origins: ["*"] });
  hub.client.on("refused", (_status, _request, error) => refused.push(error));
  const { port } = new URL(hub.url);
  for (const host of [`evil.example:${port}`, "api.example.evil.example", "evil.example"]) {
    const headers = { host };
    t.equal((await refusal(hub.url, { headers, origin: `http://${host}` })).status, 403, host);
  }
  t.match(refused[0], { message: /none of the option hosts/ });
  for (const host of [`api.example:${port}`, "api.example", `127.0.0.1:${port}`, `localhost:${port}`])
    await rawClient(t, hub.url, { headers: { host } });
});

t.test(
  "a page of the same host by another scheme is another origin; a proxy before us says which one it was",
  async (t) => {
    const refused: unknown[] = [];
    const hub = await hubFor(t);
    hub.client.on("refused", (_status, _request, error) => refused.push(error));
    const { host } = new URL(hub.url);
    t.equal((await refusal(hub.url, { origin: `https://${host}` })).status, 403);
    t.match(refused, [{ message: /name its origin in the option origins.*x-forwarded-proto/ }]);
    const proxied = { "x-forwarded-proto": "https" };
    await rawClient(t, hub.url, { origin: `https://${host}`, headers: proxied });
    t.equal((await refusal(hub.url, { origin: `http://${host}`, headers: proxied })).status, 403);
  },
);

t.test("hubs share a server by path; a path of nobody is told 404; other listeners are left alone", async (t) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  t.teardown(() => new Promise((resolve) => server.close(resolve)));
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const a = await new WebSocketHubManager({ server, path: "/a" }).start();
  const b = await new WebSocketHubManager({ path: "/b" }).start();
  const detach = b.client.attach(server);
  await rawClient(t, `${url}/a?x=1`);
  await rawClient(t, `${url}/b`);
  t.equal(a.client.sockets.size, 1);
  t.equal(b.client.sockets.size, 1);
  t.equal((await refusal(`${url}/c`)).status, 404);
  detach();
  t.equal((await refusal(`${url}/b`)).status, 404);
  const theirs = (_request: unknown, socket: { end(text: string): void }): void =>
    socket.end("HTTP/1.1 418 Teapot\r\ncontent-length: 0\r\n\r\n");
  server.on("upgrade", theirs);
  t.equal((await refusal(`${url}/b`)).status, 418);
  server.off("upgrade", theirs);
  await a.stop();
  t.equal(server.listenerCount("upgrade"), 0);
  server.on("upgrade", (request, socket, head) => b.client.handleUpgrade(request, socket, head));
  await rawClient(t, `${url}/any`);
  await b.stop();
});

t.test("a hub that is attached twice serves until both are undone", async (t) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  t.teardown(() => new Promise((resolve) => server.close(resolve)));
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/a`;
  const manager = await new WebSocketHubManager({ server, path: "/a" }).start();
  t.teardown(() => manager.stop());
  const detach = manager.client.attach(server);
  detach();
  detach();
  await rawClient(t, url);
  await manager.stop();
  t.equal(server.listenerCount("upgrade"), 0);
});

t.test("an error of a listener is an uncaught exception, and keeps no socket from leaving", async (t) => {
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
  const hub = await hubFor(t, { drainSpreadMs: 0 });
  hub.client.once("connection", fail("connection"));
  const first = await rawClient(t, hub.url);
  await until(() => thrown.length === 1, "it is thrown");
  t.same([hub.client.sockets.size, first.readyState], [1, first.OPEN], "as with plain ws");
  hub.client.once("message", fail("message")).once("close", fail("close"));
  first.send("x");
  t.equal(await closeCode(first), 1006);
  await until(() => hub.client.sockets.size === 0, "it leaves");
  hub.client.on("close", fail("close in a drain"));
  await rawClient(t, hub.url);
  await hub.drain();
  await hub.stop();
  t.same(thrown, ["connection", "message", "close", "close in a drain"]);
});

t.test("what is no WebSocket handshake is told 400", async (t) => {
  const hub = await hubFor(t);
  const socket = connect(Number(new URL(hub.url).port), "127.0.0.1");
  socket.write("GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
  const text = await new Promise((resolve) => socket.once("data", (data) => resolve(String(data))));
  t.match(text, /^HTTP\/1.1 400 /);
  socket.destroy();
});

t.test("more sockets than maxSockets are told to come back later", async (t) => {
  const hub = await hubFor(t, { maxSockets: 2 });
  await Promise.all([rawClient(t, hub.url), rawClient(t, hub.url)]);
  t.same(await refusal(hub.url), { status: 503, retryAfter: "1" });
});

t.test("a message that is too large ends its socket with 1009, too many with 1008", async (t) => {
  const hub = await hubFor(t, { maxPayloadBytes: 100, messagesPerSecond: 1, messageBurst: 3 });
  const large = await rawClient(t, hub.url);
  large.send("x".repeat(101));
  t.equal(await closeCode(large), 1009);
  const many = await rawClient(t, hub.url);
  let got = 0;
  hub.client.on("message", () => got++);
  for (let i = 0; i < 10; i++) many.send("x");
  t.equal(await closeCode(many), 1008);
  t.equal(got, 3);
  t.match(hub.stats(), { limited: 1 });
});

t.test("the allowance of messages fills up again with time", async (t) => {
  const clock = new FakeClock();
  const hub = await hubFor(t, { messagesPerSecond: 10, messageBurst: 2 }, { clock });
  const ws = await rawClient(t, hub.url);
  let got = 0;
  hub.client.on("message", () => got++);
  for (let round = 1; round <= 5; round++) {
    ws.send("x");
    ws.send("x");
    await until(() => got === round * 2, "both have arrived");
    await clock.advance(200);
  }
  t.equal(ws.readyState, WebSocket.OPEN);
});

t.test("broadcast reaches all, or a room, or all but one, as they are", async (t) => {
  const hub = await hubFor(t);
  const clients = await Promise.all([rawClient(t, hub.url), rawClient(t, hub.url), rawClient(t, hub.url)]);
  const [first] = hub.client.sockets;
  if (first === undefined) throw new Error("nobody is there");
  hub.client.join(first, "room");
  const all = clients.map(nextText);
  t.equal(hub.client.broadcast("to all"), 3);
  t.same(await Promise.all(all), ["to all", "to all", "to all"]);
  const bytes = new Promise<unknown>((resolve) => {
    for (const ws of clients) ws.once("message", (data, isBinary) => resolve([data, isBinary]));
  });
  t.equal(hub.client.broadcast(new Uint8Array([1, 2]), { room: "room" }), 1);
  t.same(await bytes, [Buffer.from([1, 2]), true]);
  t.equal(hub.client.broadcast("x".repeat(70_000), { except: first }), 2);
  t.equal(hub.client.room("room").has(first), true);
  hub.client.leave(first, "room");
  t.equal(hub.client.broadcast("x", { room: "room" }), 0);
});

t.test("rooms: only who is allowed may join; leaving ends it; the frames suit any client", async (t) => {
  const hub = await hubFor<string>(t, {
    authorize: (room, { user }) => room === `of ${user}`,
    authenticate: () => "ada",
  });
  const ws = await rawClient(t, hub.url);
  const ask = async (text: string): Promise<unknown> => {
    const answer = nextText(ws);
    ws.send(text);
    return JSON.parse(await answer);
  };
  t.match(await ask('{"id":1,"join":"of bob"}'), {
    id: 1,
    error: { code: "WEBSOCKET_REFUSED", message: "you may not join this room" },
  });
  t.match(await ask('{"id":2,"join":"of ada"}'), { id: 2, ok: { gap: false } });
  const heard = nextText(ws);
  await hub.client.publish("of ada", { n: 1 });
  t.match(JSON.parse(await heard), { room: "of ada", id: /^[0-9a-f]{12}-1$/, data: { n: 1 } });
  t.match(await ask('{"id":3,"leave":"of ada"}'), { id: 3 });
  t.equal(hub.client.room("of ada").size, 0);
  const messages: string[] = [];
  hub.client.on("message", (_socket, data) => messages.push(String(data)));
  for (const text of ["plain", '{"id":4}', '{"id":"x","call":1}', '{"id"']) ws.send(text);
  await until(() => messages.length === 4, "what is no request is a message");
});

t.test("who comes back gets what came in between, each once and in order", async (t) => {
  const hub = await hubFor(t, { historySize: 10 });
  const { client } = await sessionsFor(t, { url: hub.url });
  const got: unknown[] = [];
  const gaps: string[] = [];
  client.on("gap", (room) => gaps.push(room));
  await client.join("r", ({ data }) => got.push(data));
  await hub.client.publish("r", 1);
  await hub.client.publish("elsewhere", 0);
  await until(() => got.length === 1, "the first has arrived");
  for (const socket of hub.client.sockets) socket.terminate();
  for (const n of [2, 3, 4]) await hub.client.publish("r", n);
  await client.ready().then(() => hub.client.publish("r", 5));
  await until(() => got.length === 5, "all have arrived");
  t.same(got, [1, 2, 3, 4, 5]);
  t.same(gaps, []);
  for (const socket of hub.client.sockets) socket.terminate();
  for (let n = 6; n <= 20; n++) await hub.client.publish("r", n);
  await until(() => got.length === 15, "as much as is kept");
  t.same(got.slice(5), [11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
  await until(() => gaps.length === 1, "the gap is told");
  t.same(gaps, ["r"]);
});

t.test("a room that lets nobody in again is told, and the others go on", async (t) => {
  let open = true;
  const hub = await hubFor(t, { authorize: (room) => open || room !== "closed" });
  const { client } = await sessionsFor(t, { url: hub.url });
  const got: RoomMessage[] = [];
  await client.join("closed", (message) => got.push(message));
  const leave = await client.join("open", (message) => got.push(message));
  await client.join("open", () => {});
  open = false;
  const expelled = new Promise((resolve) => client.once("expelled", (room) => resolve(room)));
  for (const socket of hub.client.sockets) socket.terminate();
  t.equal(await expelled, "closed");
  await client.ready();
  await hub.client.publish("closed", 1);
  await hub.client.publish("open", 2);
  await until(() => got.length === 1, "one has arrived");
  t.match(got, [{ room: "open", data: 2 }]);
  await leave();
  t.equal(hub.client.room("open").size, 1, "the other listener stays");
  t.match(await failure(client.join("closed", () => {})), { code: "WEBSOCKET_CALL_FAILED" });
});

t.test("history knows what it does not have", async (t) => {
  const frame = Buffer.alloc(0);
  const history = new History(2, 2);
  const say = (origin: string, number: number, room = "r"): boolean => {
    const isNext = history.hear(origin, number);
    history.add(room, { origin, number, frame });
    return isNext;
  };
  const after = (reading: Record<string, number>, room = "r"): [number[], boolean] => {
    const { entries, gap } = history.after(room, new Map(Object.entries(reading)));
    return [entries.map(({ number }) => number), gap];
  };
  t.equal(say("a", 1), true);
  t.equal(say("a", 2), true);
  t.same(after({ a: 1 }), [[2], false]);
  t.same(after({ a: 2 }), [[], false]);
  t.same(after({ a: 3 }), [[], true], "it has not come that far itself");
  t.same(after({ a: 1, gone: 5 }), [[2], true], "an instance it never heard");
  t.equal(say("a", 3), true);
  t.same(after({ a: 1 }), [[2, 3], false], "the oldest that went was read");
  t.same(after({}), [[2, 3], true]);
  t.equal(say("a", 5), false, "4 is missing");
  t.same(after({ a: 3 }), [[5], true]);
  t.equal(say("b", 7), true, "the first that is heard of an instance");
  t.same(after({ a: 5, b: 3 }), [[7], true], "what b said before is not here");
  t.same(after({ a: 5, b: 6 }), [[7], false]);
  say("a", 6, "s");
  t.same(after({ a: 5, b: 7 }, "s"), [[6], false]);
  say("a", 7, "u");
  t.same(after({ a: 4, b: 6 }), [[], true], "its room made room for others");
  t.same(after({ a: 7, b: 7 }), [[], false]);
  t.same(new History(0, 1).after("r", new Map()), { entries: [], gap: true });
});

t.test("a peer that reads too slowly costs no more than its bound: drop, and a word about the gap", async (t) => {
  const hub = await hubFor(t, { maxBufferedBytes: 100_000 });
  const slow = await rawClient(t, hub.url);
  const fast = await rawClient(t, hub.url);
  const got: string[] = [];
  let fastGot = 0;
  slow.on("message", (data) => got.push(String(data).slice(0, 20)));
  fast.on("message", () => fastGot++);
  for (const socket of hub.client.sockets) hub.client.join(socket, "r");
  slow.pause();
  const data = "x".repeat(10_000);
  for (let i = 0; i < 2_000; i++) {
    await hub.client.publish("r", data);
    if (i % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    for (const { bufferedAmount } of hub.client.sockets)
      if (bufferedAmount > 100_000) t.fail(`${bufferedAmount} bytes`);
  }
  await until(() => fastGot === 2_000, "the other one got all");
  slow.resume();
  await until(() => got.includes('{"gap":"r"}'), "it is told of the gap");
  t.equal(got.filter((text) => text === '{"gap":"r"}').length, 1);
  const [first] = hub.client.sockets;
  t.equal(got.length - 1 + (first?.dropped ?? 0), 2_000);
  await hub.client.publish("r", "after");
  await until(() => got.at(-1)?.startsWith('{"room":"r"') === true, "and goes on");
});

t.test("a peer that reads too slowly gets the newest of each key, or is ended", async (t) => {
  const coalescing = await hubFor(t, { maxBufferedBytes: 50_000, backpressure: "coalesce" });
  const slow = await rawClient(t, coalescing.url);
  const got: string[] = [];
  slow.on("message", (data) => got.push(String(data)));
  slow.pause();
  const pad = "x".repeat(5_000);
  for (let i = 0; i < 2_000; i++)
    coalescing.client.broadcast(`${i % 2 === 0 ? "even" : "odd"} ${i} ${pad}`, { key: i % 2 === 0 ? "even" : "odd" });
  slow.resume();
  await until(
    () => got.some((text) => text.startsWith("odd 1999")) && got.some((text) => text.startsWith("even 1998")),
    "the newest of both",
  );
  t.ok(got.length < 2_000);
  t.match(coalescing.stats(), { coalesced: Number });

  const strict = await hubFor(t, { maxBufferedBytes: 50_000, backpressure: "close" });
  const ended = await rawClient(t, strict.url);
  ended.pause();
  for (let i = 0; i < 3_000 && strict.client.sockets.size > 0; i++) {
    strict.client.broadcast(pad);
    if (i % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  t.equal(strict.client.sockets.size, 0);
  t.equal(strict.stats()["slow"], 1, "one socket, however much was published before its end");
});

t.test("who does not read the replies is not read either; nor who has maxCalls open", async (t) => {
  const hub = await hubFor(t, { call: () => "x".repeat(10_000), maxBufferedBytes: 50_000, messagesPerSecond: 0 });
  const slow = await rawClient(t, hub.url);
  slow.pause();
  for (let i = 0; i < 3_000; i++) slow.send(`{"id":${i},"call":1}`);
  await until(() => [...hub.client.sockets][0]?.isPaused === true, "it is not read any more");
  let replies = 0;
  slow.on("message", () => replies++);
  slow.resume();
  await until(() => replies === 3_000, "all are answered in the end");

  let open = 0;
  let most = 0;
  const busy = await hubFor(t, {
    maxCalls: 5,
    call: async () => {
      most = Math.max(most, ++open);
      await new Promise((resolve) => setTimeout(resolve, 5));
      open--;
    },
  });
  const { client } = await sessionsFor(t, { url: busy.url });
  await Promise.all(Array.from({ length: 50 }, (_, i) => client.call(i)));
  t.equal(most, 5);
});

t.test("what arrived in one piece is not worked on while its replies are not read", async (t) => {
  const hub = await hubFor(t, { call: () => "x".repeat(100_000), maxBufferedBytes: 50_000, messagesPerSecond: 0 });
  const slow = await rawClient(t, hub.url);
  slow.pause();
  for (let i = 0; i < 1_000; i++) slow.send(`{"id":${i},"call":1}`);
  const socket = [...hub.client.sockets][0];
  await until(() => socket?.isPaused === true, "it is not read any more");
  await new Promise((resolve) => setTimeout(resolve, 50)); // what should not happen has no sign
  t.ok(Number(socket?.bufferedAmount) < 20_000_000, `${socket?.bufferedAmount} bytes wait`);
  let replies = 0;
  slow.on("message", () => replies++);
  slow.resume();
  await until(() => replies === 1_000, "all are answered in the end");
});

/** What the other side has sent on a connection has been read here, and what answers it is on its way. */
async function roundTrip(ws: WebSocket): Promise<void> {
  if (ws.readyState === WebSocket.CLOSED) return;
  const over = new AbortController();
  const either = Promise.race(["pong", "close"].map((event) => once(ws, event, { signal: over.signal })));
  if (ws.readyState === WebSocket.OPEN) ws.ping();
  await either;
  over.abort();
}

t.test("a socket without a sign of life is ended, one that answers pings stays", async (t) => {
  const clock = new FakeClock();
  const hub = await hubFor(t, { heartbeatMs: 1_000 }, { clock });
  const dead = await rawClient(t, hub.url, { autoPong: false });
  const alive = await rawClient(t, hub.url);
  let pings = 0;
  alive.on("ping", () => pings++);
  for (let i = 0; i < 30; i++) {
    await clock.advance(100);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await until(() => dead.readyState === WebSocket.CLOSED, "the dead one is ended");
  t.equal(alive.readyState, WebSocket.OPEN);
  t.ok(pings >= 2);
});

t.test("a drain lets nobody in, closes each socket at its own moment, and answers what it has", async (t) => {
  const clock = new FakeClock();
  let finish = (): void => {};
  const hub = await hubFor(
    t,
    { drainSpreadMs: 1_000, call: () => new Promise<string>((resolve) => (finish = () => resolve("done"))) },
    { clock },
  );
  const clients = await Promise.all(Array.from({ length: 20 }, () => rawClient(t, hub.url)));
  const codes = clients.map(closeCode);
  const [busy] = clients;
  const reply = busy === undefined ? "" : nextText(busy);
  busy?.send('{"id":1,"call":1}');
  await until(() => [...hub.client.sockets].some(({ calls }) => calls === 1), "the call is worked on");
  const drained = hub.drain();
  t.equal((await refusal(hub.url)).status, 503);
  const left: number[] = [];
  for (let i = 0; i < 10; i++) {
    await clock.advance(100);
    await Promise.all(clients.map(roundTrip));
    left.push(clients.filter(({ readyState }) => readyState === WebSocket.OPEN).length);
  }
  t.ok(new Set(left).size >= 4, `spread: ${left.join()}`);
  await until(() => hub.client.sockets.size === 1, "the one with a call stays");
  finish();
  t.equal(await reply, '{"id":1,"ok":"done"}');
  await drained;
  t.same(new Set(await Promise.all(codes)), new Set([1001]));
});

t.test(
  "dismiss lets nobody in, and waits for replies no longer than it is told; a start opens the hub again",
  async (t) => {
    const clock = new FakeClock();
    const hub = await hubFor(t, { drainSpreadMs: 1_000, call: () => new Promise(() => {}) }, { clock });
    const [idle, busy] = await Promise.all([rawClient(t, hub.url), rawClient(t, hub.url)]);
    const codes = [closeCode(idle), closeCode(busy)];
    busy.send('{"id":1,"call":1}');
    await until(() => [...hub.client.sockets].some(({ calls }) => calls === 1), "the call is worked on");
    const dismissed = hub.client.dismiss(5_000);
    t.equal((await refusal(hub.url)).status, 503);
    await clock.advance(1_000);
    t.equal(await codes[0], 1001);
    await clock.advance(3_900);
    t.equal(busy.readyState, WebSocket.OPEN, "the call may still be answered");
    await clock.advance(200);
    await dismissed;
    t.equal(await codes[1], 1001);
    await hub.stop();
    await hub.start();
    await rawClient(t, hub.url);
  },
);

t.test("instances are one hub: rooms, presence and history reach over them", async (t) => {
  const pubSub = new Broker();
  const identify = ({ user }: { user: string | undefined }): string | undefined => user;
  const authenticate = ({ url }: { url?: string | undefined }): string => (url ?? "").slice(1);
  const a = await hubFor<string>(t, { pubSub, identify, authenticate });
  const b = await hubFor<string>(t, { pubSub, identify, authenticate });
  const changes: PresenceChange[] = [];
  b.client.on("presence", (change) => changes.push(change));
  const ada = await sessionsFor(t, { url: `${a.url}/ada` });
  const bob = await sessionsFor(t, { url: [`${b.url}/bob`, `${a.url}/bob`] });
  const got: unknown[] = [];
  const hear = ({ data }: RoomMessage): void => void got.push(data);
  await ada.client.join("r", hear);
  await bob.client.join("r", hear);
  await until(() => a.client.presence("r").length === 2, "a knows both");
  t.same(b.client.presence("r"), ["ada", "bob"]);
  await a.client.publish("r", "from a");
  await b.client.publish("r", "from b");
  await until(() => got.length === 4, "each reached both");
  await a.probe();
  bob.client.once("close", () => void a.client.publish("r", "meanwhile"));
  await b.stop();
  await until(() => got.filter((data) => data === "meanwhile").length === 2, "bob got it from a");
  await until(() => a.client.presence("r").length === 2, "a still knows both");
  t.match(changes, [
    { room: "r", identity: "ada", here: true },
    { room: "r", identity: "bob", here: true },
  ]);
});

t.test(
  "messages that the broker lost are told as a gap, once the next one shows it, or the broker says so",
  async (t) => {
    const pubSub = new Broker();
    const a = await hubFor(t, { pubSub });
    const b = await hubFor(t, { pubSub });
    const { client } = await sessionsFor(t, { url: b.url });
    const seen: unknown[] = [];
    client.on("gap", (room) => seen.push(`gap in ${room}`));
    await client.join("r", ({ data }) => seen.push(data));
    await a.client.publish("r", 1);
    pubSub.loses = true;
    await a.client.publish("r", 2);
    pubSub.loses = false;
    await a.client.publish("r", 3);
    await until(() => seen.length === 3, "all is told");
    t.same(seen, [1, 3, "gap in r"]);
    const told = new Promise<void>((resolve) => b.client.once("gap", resolve));
    pubSub.gap();
    await told;
    await until(() => seen.length === 4, "the broker's word is passed on");
  },
);

t.test("presence counts names, not sockets, and forgets an instance that vanished", async (t) => {
  const clock = new FakeClock();
  const pubSub = new Broker();
  const options = { pubSub, presenceMs: 1_000, identify: () => "same", heartbeatMs: 3_600_000 };
  const a = await hubFor(t, options, { clock });
  const b = await hubFor(t, options, { clock });
  const changes: PresenceChange[] = [];
  a.client.on("presence", (change) => changes.push(change));
  await Promise.all([rawClient(t, a.url), rawClient(t, a.url), rawClient(t, b.url)]);
  await until(() => a.client.sockets.size === 2 && b.client.sockets.size === 1, "all are in");
  for (const hub of [a, b]) for (const socket of hub.client.sockets) hub.client.join(socket, "r");
  await clock.advance(10);
  for (const socket of a.client.sockets) a.client.leave(socket, "r");
  t.same(a.client.presence("r"), ["same"], "still there by the other instance");
  t.same(changes, [{ room: "r", identity: "same", here: true }]);
  pubSub.loses = true;
  await clock.advance(3_500);
  await clock.advance(1_000);
  t.same(a.client.presence("r"), []);
  t.same(changes.at(-1), { room: "r", identity: "same", here: false });
  pubSub.loses = false;
  await clock.advance(1_000);
  t.same(a.client.presence("r"), ["same"], "and is back with its next word");
});

t.test("metrics and options of a hub", async (t) => {
  const hub = await hubFor(t);
  await rawClient(t, hub.url);
  hub.client.broadcast("x");
  const series = Object.fromEntries(
    [...hub.metrics()].map(({ name, attributes, value }) => [`${name} ${attributes["outcome"] ?? ""}`.trim(), value]),
  );
  t.match(series, {
    websocket_hub_sockets: 1,
    websocket_hub_rooms: 0,
    websocket_hub_refused_total: 0,
    "websocket_hub_messages_total sent": 1,
  });
  const wrong = (options: object): string => {
    try {
      return (new WebSocketHubManager(options), "fine");
    } catch (error) {
      return String((error as Error).message);
    }
  };
  t.match(wrong({ pat: "/x" }), /did you mean "path"/);
  t.match(wrong({ path: "x" }), /must begin with/);
  t.match(wrong({ server: {} }), /an HTTP server/);
  t.match(wrong({ pubSub: {} }), /a PubSub/);
  t.match(wrong({ call: 1 }), /must be a function/);
  t.match(wrong({ backpressure: "wait" }), /backpressure/);
  t.equal(webSocketHub("hub", {}).name, "hub");
  t.match(await failure(new WebSocketHubManager().client.publish("r", 1)), { code: "RESOURCE_UNAVAILABLE" });
  t.throws(() => new WebSocketHubManager().client.broadcast("x"), { code: "RESOURCE_UNAVAILABLE" });
});

t.test("a client is in at most maxRooms rooms, with names of at most maxRoomNameBytes, however it asks", async (t) => {
  const asked: string[] = [];
  const authorize = async (room: string): Promise<boolean> => {
    asked.push(room);
    await Promise.resolve();
    return true;
  };
  const hub = await hubFor(t, { authorize, maxRooms: 3, maxRoomNameBytes: 8, messagesPerSecond: 0 });
  const ws = await rawClient(t, hub.url);
  const replies: { id: number; ok?: unknown; error?: { code: string; message: string } }[] = [];
  ws.on("message", (data) => replies.push(JSON.parse(String(data)) as (typeof replies)[0]));
  const names = ["a", "b", "c", "d", "e", "é".repeat(5), "r".repeat(1_000_000), "a"];
  for (const [id, join] of names.entries()) ws.send(JSON.stringify({ id, join }));
  await until(() => replies.length === names.length, "all are answered");
  const byId = new Map(replies.map((reply) => [reply.id, reply.error]));
  t.same(
    [0, 1, 2, 7].map((id) => byId.get(id)),
    Array(4).fill(undefined),
  );
  for (const id of [3, 4])
    t.match(byId.get(id), { code: "WEBSOCKET_LIMIT", message: "a connection may be in 3 rooms" });
  for (const id of [5, 6])
    t.match(byId.get(id), { code: "WEBSOCKET_LIMIT", message: "the name of a room may have 8 bytes" });
  t.notOk(
    asked.some((room) => room.length > 8),
    "authorize is not asked about names that are too long",
  );
  t.match(hub.stats(), { rooms: 3, limited: 4 });
  ws.send('{"id":9,"leave":"a"}');
  ws.send('{"id":10,"join":"d"}');
  await until(() => replies.length === names.length + 2, "these too");
  t.match(replies.at(-1), { id: 10, ok: {} });
});

t.test(
  "garbage is counted, and a request without a verb is answered; where somebody listens, it is a message",
  async (t) => {
    const hub = await hubFor(t);
    const ws = await rawClient(t, hub.url);
    const answer = nextText(ws);
    for (const text of ["plain", '{"id"', '{"id":"x","call":1}', "[]", '{"id":4,"shout":1}']) ws.send(text);
    ws.send(Buffer.from([1, 2, 3]));
    t.same(JSON.parse(await answer), {
      id: 4,
      error: { code: "WEBSOCKET_MALFORMED", message: "a request has call, join or leave", retryable: false },
    });
    await until(() => hub.stats()["unrecognized"] === 6, "all are counted");
    const call = nextText(ws);
    ws.send('{"id":5,"call":1}');
    t.match(JSON.parse(await call), { error: { code: "WEBSOCKET_REFUSED", message: "this service takes no calls" } });
    hub.client.on("message", () => {});
    ws.send("plain");
    await until(() => hub.stats()["received"] === 8, "it has arrived");
    t.equal(hub.stats()["unrecognized"], 6);
    t.ok([...hub.metrics()].some(({ attributes, value }) => attributes["outcome"] === "unrecognized" && value === 6));
  },
);

t.test("a socket that connects announces that the process serves", async (t) => {
  const heard: unknown[] = [];
  const listen = (event: unknown): void => void heard.push(event);
  subscribe(CHANNELS.serving, listen);
  t.teardown(() => unsubscribe(CHANNELS.serving, listen));
  const hub = await hubFor(t, {}, { name: "news" });
  t.strictSame(heard, []);
  await rawClient(t, hub.url);
  t.strictSame(heard, [{ resource: "news" }]);
});

t.test("a drain turns away whoever is still being authenticated", async (t) => {
  let isAsked = false;
  const hub = await hubFor(t, {
    authenticate: () => {
      isAsked = true;
      return new Promise(() => {});
    },
    authenticateTimeoutMs: 20_000,
  });
  const refused = refusal(hub.url);
  await until(() => isAsked, "the handshake is under way");
  const since = performance.now();
  await hub.drain();
  t.equal((await refused).status, 503);
  t.ok(performance.now() - since < 10_000, "it does not sit out its 20 s");
});
