import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocketSessionManager, type WebSocketSessionOptions } from "../src/index.ts";
import type { ManagerContext } from "@steward/core/driver";
import { startFaultProxy, type FaultProxy } from "@steward/testing";
import { WebSocket, WebSocketServer } from "ws";
import { testHub, type TestHubManager, type TestHubOptions } from "../src/testing.ts";

/** What a test offers that these need. */
interface Test {
  teardown(end: () => Promise<unknown> | void): unknown;
}

/** A started hub with a server of its own, for one test. */
export async function hubFor<User>(
  test: Test,
  options: TestHubOptions<User> = {},
  context?: ManagerContext,
): Promise<TestHubManager<User>> {
  const hub = testHub<User>(options, context);
  test.teardown(() => hub.stop());
  await hub.start();
  return hub;
}

/** Started sessions, for one test. */
export async function sessionsFor(
  test: Test,
  options: WebSocketSessionOptions,
  context: ManagerContext = {},
): Promise<WebSocketSessionManager> {
  const manager = new WebSocketSessionManager(options, context);
  test.teardown(() => manager.stop());
  return manager.start();
}

/** A way to break the network to a server, for one test. */
export async function proxyFor(test: Test, url: string): Promise<FaultProxy> {
  const proxy = await startFaultProxy({ target: url });
  test.teardown(() => proxy.stop());
  return proxy;
}

/** A server on plain `ws`, for one test. */
export interface PlainServer {
  readonly url: string;
  readonly http: Server;
  readonly wss: WebSocketServer;
}

/** A server that knows nothing of hubs. `ends` closes what it has open. */
export async function plainFor(
  test: Test,
  onSocket: (socket: WebSocket) => void,
  options: object = {},
  http: Server = createServer(),
): Promise<PlainServer> {
  const wss = new WebSocketServer({ server: http, ...options });
  wss.on("connection", onSocket);
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", () => resolve()));
  test.teardown(async () => {
    for (const client of wss.clients) client.terminate();
    await new Promise<void>((resolve) => http.close(() => resolve()));
  });
  return { url: `ws://127.0.0.1:${(http.address() as AddressInfo).port}`, http, wss };
}

/** A client on plain `ws` that is connected. */
export async function rawClient(test: Test, url: string, options: object = {}): Promise<WebSocket> {
  const ws = new WebSocket(url, options);
  test.teardown(() => ws.terminate());
  ws.on("error", () => {});
  await new Promise((resolve, reject) => ws.once("open", resolve).once("error", reject));
  return ws;
}

/** The next text that a raw client is sent. */
export function nextText(ws: WebSocket): Promise<string> {
  return new Promise((resolve) => ws.once("message", (data) => resolve(String(data))));
}

/** The code with which a raw client is closed. */
export function closeCode(ws: WebSocket): Promise<number> {
  return new Promise((resolve) => ws.once("close", (code) => resolve(code)));
}
