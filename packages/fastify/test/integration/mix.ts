import type { Socket } from "node:net";
import { Readable } from "node:stream";
import { ask, closed, firstBytes } from "./client.ts";

/** How requests of the mix go. */
export const WAYS = [
  "fine",
  "stream",
  "fails",
  "fails late",
  "invalid",
  "aborted",
  "aborted stream",
  "hijacked",
  "hijacked and aborted",
  "timed out",
] as const;

/** One of them. */
export type Way = (typeof WAYS)[number];

const CLIENT_LEAVES: ReadonlySet<Way> = new Set(["aborted", "aborted stream", "hijacked and aborted"]);
const IN_FLIGHT = 100;

/** Sends `count` requests of all ways in turn, a hundred at a time; every socket is closed in the end. */
export async function sendMix(port: number, count: number): Promise<void> {
  let next = 0;
  const client = async (): Promise<void> => {
    for (let i = next++; i < count; i = next++) {
      const way = WAYS[i % WAYS.length];
      if (way !== undefined) await sendOne(port, way);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, client));
}

async function sendOne(port: number, way: Way): Promise<void> {
  const socket = await ask(
    port,
    `/mix/${encodeURIComponent(way)}${way === "invalid" ? "?n=x" : "?n=1"}`,
    "connection: close\r\n",
  );
  if (CLIENT_LEAVES.has(way)) await leave(socket, way);
  else socket.resume();
  await closed(socket);
}

async function leave(socket: Socket, way: Way): Promise<void> {
  if (way === "aborted") await new Promise((resolve) => setTimeout(resolve, 3));
  else await firstBytes(socket);
  socket.resetAndDestroy();
}

/** What a route of the mix needs of its framework. */
export interface Reply {
  readonly raw: { write(text: string): unknown; end(text?: string): unknown };
  hijack(): unknown;
}

/** What the routes do, the same in every framework. */
export async function act(way: Way, reply: Reply): Promise<unknown> {
  await new Promise((resolve) => setImmediate(resolve));
  switch (way) {
    case "fails":
      throw new Error("it fails");
    case "stream":
    case "aborted stream":
      return Readable.from(chunks(way === "stream" ? 3 : 200));
    case "hijacked":
    case "hijacked and aborted":
      reply.hijack();
      reply.raw.write("HTTP/1.1 200 OK\r\n");
      if (way === "hijacked") reply.raw.end();
      return undefined;
    case "aborted":
    case "timed out":
      await new Promise((resolve) => setTimeout(resolve, 20));
      return "too late";
    default:
      return "ok";
  }
}

async function* chunks(count: number): AsyncGenerator<string> {
  for (let i = 0; i < count; i++) {
    yield "chunk of a stream\n";
    if (count > 3) await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
