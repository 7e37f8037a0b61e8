import { connect } from "node:net";
import { growthOf, sleep, until } from "@steward/testing";
import t from "tap";
import { WebSocket } from "ws";
import { hubFor, rawClient } from "../setup.ts";

/** Runs `step` again and again for `ms`. */
async function keepAt(ms: number, step: (turn: number) => void): Promise<void> {
  const end = performance.now() + ms;
  for (let turn = 0; performance.now() < end; turn++) {
    step(turn);
    if (turn % 50 === 0) await sleep(1);
  }
}

t.test("one socket that joins, calls, shouts and does not read leaves nothing behind", async (t) => {
  const hub = await hubFor(t, {
    messagesPerSecond: 0,
    authorize: () => true,
    identify: (socket) => `user ${socket.number}`,
    call: (body) => body,
  });
  const { before, after, ratio } = await growthOf(async (ms) => {
    const ws = new WebSocket(hub.url);
    ws.on("error", () => {});
    await new Promise((resolve) => ws.once("open", resolve));
    await keepAt(ms, (turn) => {
      const name = `${turn} ${"r".repeat(turn % 2 === 0 ? 200 : 100_000)}`;
      if (ws.bufferedAmount > 4_000_000) return;
      ws.send(JSON.stringify({ id: turn, join: name }));
      ws.send(JSON.stringify({ id: turn, call: name }));
      ws.send(`{"id":${turn},"shout":1}`);
      ws.send(name);
      if (turn % 3 === 0) ws.pause();
      if (turn % 300 === 0) ws.resume();
      void hub.client.publish(`${turn % 100} ${"r".repeat(200)}`, name.slice(0, 1_000));
    });
    ws.terminate();
    await until(() => hub.client.sockets.size === 0, "it is gone");
  });
  t.ok(ratio < 1.05, `${before.bytes} bytes before, ${after.bytes} after`);
  t.ok(after.descriptors <= before.descriptors, `${before.descriptors} descriptors before, ${after.descriptors} after`);
  t.match(hub.stats(), { sockets: 0, rooms: 0, pending: 0 });
});

t.test("half-open handshakes are let go of in time, and never keep others out", async (t) => {
  const hub = await hubFor(t, {
    authenticateTimeoutMs: 200,
    authenticate: () => new Promise(() => {}),
    maxSockets: 40,
  });
  const { port } = new URL(hub.url);
  const head = "GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n";
  const { before, after, ratio } = await growthOf(async (ms) => {
    const sockets: ReturnType<typeof connect>[] = [];
    await keepAt(ms, () => {
      if (sockets.length >= 200) return;
      const socket = connect({ port: Number(port), host: "127.0.0.1", allowHalfOpen: true }).on("error", () => {});
      socket.write(`${head}sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`);
      sockets.push(socket);
    });
    await until(() => hub.stats()["pending"] === 0, "nobody waits any more");
    for (const socket of sockets) socket.destroy();
  });
  t.ok(ratio < 1.05, `${before.bytes} bytes before, ${after.bytes} after`);
  t.ok(after.descriptors <= before.descriptors, `${before.descriptors} descriptors before, ${after.descriptors} after`);
});

t.test("a flood of one socket does not keep another from its replies", async (t) => {
  const hub = await hubFor(t, { call: (body) => body });
  const flood = await rawClient(t, hub.url);
  for (let i = 0; i < 1_000; i++) flood.send(`{"id":${i},"call":1}`);
  const other = await rawClient(t, hub.url);
  const reply = new Promise((resolve) => other.once("message", (data) => resolve(String(data))));
  other.send('{"id":1,"call":2}');
  t.equal(await reply, '{"id":1,"ok":2}');
  await until(() => flood.readyState === WebSocket.CLOSED, "the flood is ended");
  t.match(hub.stats(), { limited: 1 });
});
