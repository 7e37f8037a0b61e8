import { join } from "node:path";
import { Child } from "@steward/harness";
import { WebSocketSessionManager } from "@steward/websocket";
import { WebSocket } from "ws";
import { type Group, lanes, type Opened, type Run } from "../arms/together.ts";

const PAYLOAD = "x".repeat(64);

/** Messages that answer each other, `width` of them on the way at once. */
function messages(width: number, on: (listener: () => void) => void, send: () => void): Run {
  let left = 0;
  let pending = 0;
  let done = (): void => {};
  on(() => {
    pending--;
    if (left > 0) next();
    else if (pending === 0) done();
  });
  const next = (): void => {
    left--;
    pending++;
    send();
  };
  return (count) =>
    new Promise((resolve) => {
      [left, done] = [count, resolve];
      for (let i = 0; i < width; i++) next();
    });
}

/** What people write by hand: ids, a map of those that wait, and nothing for when it goes wrong. */
function byHand(socket: WebSocket): () => Promise<unknown> {
  const waiting = new Map<number, (value: unknown) => void>();
  let lastId = 0;
  socket.on("message", (data) => {
    const text = String(data);
    if (!text.startsWith('{"id":')) return;
    const { id, ok } = JSON.parse(text);
    waiting.get(id)?.(ok);
    waiting.delete(id);
  });
  return () =>
    new Promise((resolve) => {
      waiting.set(++lastId, resolve);
      socket.send(JSON.stringify({ id: lastId, call: PAYLOAD }));
    });
}

/** A raw client that is connected. */
export function opened(url: string): Promise<WebSocket> {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  return new Promise((resolve, reject) => socket.once("open", () => resolve(socket)).once("error", reject));
}

/** Echo through a raw client and through a session, in one process; the server is another one. */
export async function open(): Promise<Opened> {
  const server = new Child({ node: process.execPath }, join(import.meta.dirname, "server.js"), ["echo"]);
  const url = `ws://127.0.0.1:${await server.line()}`;
  const groups: Group[] = [];
  const ends: (() => unknown)[] = [];
  for (const width of [1, 50]) {
    const [plain, asking] = [await opened(url), await opened(url)];
    const [a, b] = [
      await new WebSocketSessionManager({ url }).start(),
      await new WebSocketSessionManager({ url }).start(),
    ];
    ends.push(
      () => plain.terminate(),
      () => asking.terminate(),
      () => a.stop(),
      () => b.stop(),
    );
    const send = (): void => void a.client.send(PAYLOAD);
    groups.push({
      work: `messages, ${width} at once`,
      runs: {
        Steward: messages(width, (listener) => a.client.on("message", listener), send),
        ws: messages(
          width,
          (listener) => plain.on("message", listener),
          () => plain.send(PAYLOAD),
        ),
      },
    });
    const runs = {
      Steward: lanes(width, () => b.client.call(PAYLOAD)),
      "ws, ids by hand": lanes(width, byHand(asking)),
    };
    groups.push({ work: `calls, ${width} at once`, runs });
  }
  return {
    groups,
    async [Symbol.asyncDispose]() {
      await Promise.all(ends.map((end) => end()));
      await server[Symbol.asyncDispose]();
    },
  };
}
