// A server of its own process for the benchmarks: node server.js raw|managed|echo. Says its port, then one line of JSON per command.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import type { AddressInfo, Socket } from "node:net";
import { WebSocketHubManager } from "@steward/websocket/hub";
import * as ws from "ws";

interface FrameOptions {
  readonly fin: boolean;
  readonly opcode: number;
  readonly mask: boolean;
  readonly readOnly: boolean;
  readonly rsv1: boolean;
}

// `ws` exports it, its types do not.
const { Sender } = ws as unknown as { Sender: { frame(data: Buffer, options: FrameOptions): Buffer[] } };

/** What a hand-written loop uses: the socket below, which `ws` keeps to itself. */
type Bare = ws.WebSocket & { readonly _socket: Socket };

const kind = process.argv[2];
const server = createServer().listen(0, "127.0.0.1", () => console.log((server.address() as AddressInfo).port));
const wss = kind === "managed" ? undefined : new ws.WebSocketServer({ server, perMessageDeflate: false });
const manager =
  kind === "managed" ? await new WebSocketHubManager({ server, heartbeatMs: 600_000 }).start() : undefined;

const alive = new WeakSet<ws.WebSocket>();
wss?.on("connection", (socket) => {
  // What everybody writes: messages, errors, and the recipe of the ws README for dead peers.
  socket.on("error", console.error);
  socket.on("pong", () => alive.add(socket));
  if (kind === "echo") socket.on("message", (data, isBinary) => answer(socket, data as Buffer, isBinary));
  else socket.on("message", () => {});
});

function answer(socket: ws.WebSocket, data: Buffer, isBinary: boolean): void {
  const text = data.toString();
  if (!text.startsWith('{"id":')) return socket.send(data, { binary: isBinary });
  const { id, call } = JSON.parse(text);
  socket.send(JSON.stringify({ id, ok: call }));
}

const sockets = (): Iterable<Bare> => (manager?.client.sockets ?? wss?.clients ?? []) as Iterable<Bare>; // hub sockets are ws sockets

function rawLoop(data: string): void {
  const frame = Buffer.concat(
    Sender.frame(Buffer.from(data), { fin: true, opcode: 1, mask: false, readOnly: true, rsv1: false }),
  );
  for (const socket of sockets()) if (socket.readyState === ws.WebSocket.OPEN) socket._socket.write(frame);
}

/** CPU and time of a broadcast, in ms; the writes are made within it. */
function timed(broadcast: () => unknown): { cpuMs: number; ms: number } {
  const [cpu, since] = [process.cpuUsage(), performance.now()];
  broadcast();
  const { user, system } = process.cpuUsage(cpu);
  return { cpuMs: (user + system) / 1_000, ms: performance.now() - since };
}

/** 1,000 messages of 16 KiB to all, with a turn of the event loop after every tenth; and the most that was kept for one socket. */
async function burst(): Promise<object> {
  const cpu = process.cpuUsage();
  const data = "x".repeat(16_384);
  let held = 0;
  for (let i = 0; i < 1_000; i++) {
    manager?.client.broadcast(data);
    if (i % 10 !== 9) continue;
    for (const socket of sockets()) held = Math.max(held, socket.bufferedAmount);
    await drained();
  }
  const { user, system } = process.cpuUsage(cpu);
  return { cpuMs: (user + system) / 1_000, held, dropped: Number(manager?.stats()["dropped"] ?? 0) };
}

/** Those that say they will not read. */
const paused = new WeakSet<object>();
manager?.client.on("connection", (socket, { url }) => url === "/paused" && paused.add(socket));

/** Waits until all but those that do not read have what was sent: no one else is to lose anything. */
async function drained(): Promise<void> {
  const behind = (): boolean => [...sockets()].some((socket) => socket.bufferedAmount > 0 && !paused.has(socket));
  do await new Promise((resolve) => setImmediate(resolve));
  while (behind());
}

const payload = "x".repeat(200);
const commands: Readonly<Record<string, () => object | Promise<object>>> = {
  burst,
  raw: () => timed(() => rawLoop(payload)),
  managed: () => timed(() => manager?.client.broadcast(payload)),
  memory: () => {
    for (let i = 0; i < 3; i++) globalThis.gc?.();
    return { rss: process.memoryUsage().rss, heap: process.memoryUsage().heapUsed, sockets: [...sockets()].length };
  },
};
for await (const line of createInterface({ input: process.stdin }))
  console.log(JSON.stringify((await commands[line]?.()) ?? {}));
process.exit();
