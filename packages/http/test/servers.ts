import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import type { AddressInfo, Server as NetServer, Socket } from "node:net";
import { HttpSessionManager } from "../src/index.ts";
import type { HttpSessionOptions } from "../src/index.ts";

/** A real server that ends with its test, and with it every socket. */
export interface TestServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Requests seen, as `GET /path`. */
  readonly seen: string[];
  /** Connections accepted. */
  readonly connections: () => number;
  /** Ends the connections that are open. */
  cut(): void;
}

/** Any server of Node's that listens. */
type Listening = Pick<NetServer, "listen" | "address" | "close"> & {
  on(event: "connection", listener: (socket: Socket) => void): unknown;
};

/** Listens on any free port (or on `port`), and keeps track. */
export async function listening(server: Listening, scheme: string, seen: string[], port = 0): Promise<TestServer> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  server.on("connection", (socket: Socket) => {
    accepted++;
    sockets.add(socket);
    socket.on("error", () => {}).once("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", () => resolve()));
  const bound = (server.address() as AddressInfo).port;
  const cut = (): void => sockets.forEach((socket) => socket.destroy());
  return {
    url: `${scheme}://${scheme === "https" ? "localhost" : "127.0.0.1"}:${bound}`,
    port: bound,
    seen,
    connections: () => accepted,
    cut,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      cut();
      await closed;
    },
  };
}

/** Serves what `handler` answers. */
export function serve(handler: RequestListener, port?: number): Promise<TestServer> {
  const seen: string[] = [];
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    seen.push(`${request.method} ${request.url}`);
    handler(request, response);
  });
  return listening(server, "http", seen, port);
}

/** The text of a request's body. */
export async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text;
}

/** What {@link mirror} answers. */
export interface Mirrored {
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body: string;
}

/** Answers with JSON of what was asked. */
export async function mirror(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method, url, headers } = request;
  const body = await bodyOf(request);
  response.setHeader("content-type", "application/json").end(JSON.stringify({ method, url, headers, body }));
}

/** A started manager. */
export function started(options: HttpSessionOptions = {}, name = "http"): Promise<HttpSessionManager> {
  return new HttpSessionManager(options, { name }).start();
}
