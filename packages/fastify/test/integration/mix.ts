import type { Socket } from "node:net";
import { Readable } from "node:stream";
import { ask, closed, firstBytes } from "./client.ts";

/** How requests of the mix go. */
export const KINDS = [
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
export type Kind = (typeof KINDS)[number];

const CLIENT_GOES: ReadonlySet<Kind> = new Set(["aborted", "aborted stream", "hijacked and aborted"]);
const IN_FLIGHT = 100;

/** Sends `count` requests of all kinds in turn, a hundred at a time; every socket is closed in the end. */
export async function sendMix(port: number, count: number): Promise<void> {
  let next = 0;
  const client = async (): Promise<void> => {
    for (let i = next++; i < count; i = next++) {
      const kind = KINDS[i % KINDS.length];
      if (kind !== undefined) await sendOne(port, kind);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, client));
}

async function sendOne(port: number, kind: Kind): Promise<void> {
  const socket = await ask(
    port,
    `/mix/${encodeURIComponent(kind)}${kind === "invalid" ? "?n=x" : "?n=1"}`,
    "connection: close\r\n",
  );
  if (CLIENT_GOES.has(kind)) await disconnect(socket, kind);
  else socket.resume();
  await closed(socket);
}

async function disconnect(socket: Socket, kind: Kind): Promise<void> {
  if (kind === "aborted") await new Promise((resolve) => setTimeout(resolve, 3));
  else await firstBytes(socket);
  socket.resetAndDestroy();
}

/** What a route of the mix needs of its framework. */
export interface Reply {
  readonly raw: { write(text: string): unknown; end(text?: string): unknown };
  hijack(): unknown;
}

/** What the routes do, the same in every framework. */
export async function act(kind: Kind, reply: Reply): Promise<unknown> {
  await new Promise((resolve) => setImmediate(resolve));
  switch (kind) {
    case "fails":
      throw new Error("it fails");
    case "stream":
    case "aborted stream":
      return Readable.from(chunks(kind === "stream" ? 3 : 200));
    case "hijacked":
    case "hijacked and aborted":
      reply.hijack();
      reply.raw.write("HTTP/1.1 200 OK\r\n");
      if (kind === "hijacked") reply.raw.end();
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
