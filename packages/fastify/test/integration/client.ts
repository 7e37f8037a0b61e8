import { connect, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import type { FastifyInstance } from "fastify";

/** The port that an app listens on. */
export function portOf(app: FastifyInstance): number {
  return (app.server.address() as AddressInfo).port; // it listens on TCP
}

/** Sends the head of a GET over a socket of its own. */
export async function ask(port: number, path: string, extra = ""): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {}); // resets are what these tests are about
  await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
  socket.write(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n${extra}\r\n`);
  return socket;
}

/** The first bytes of an answer. */
export function firstBytes(socket: Socket): Promise<string> {
  return new Promise((resolve) => socket.once("data", (chunk) => resolve(chunk.toString())));
}

/** Resolves when a socket is closed. */
export function closed(socket: Socket): Promise<void> {
  return socket.destroyed ? Promise.resolve() : new Promise((resolve) => socket.once("close", () => resolve()));
}

/** Something to wait for, and how to let it go on. */
export function gate(): { readonly passed: Promise<void>; readonly open: () => void } {
  let open: () => void = () => {};
  const passed = new Promise<void>((resolve) => (open = resolve));
  return { passed, open };
}
