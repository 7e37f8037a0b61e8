import type { Server as HttpServer } from "node:http";
import type { Http2Server, Http2SecureServer, ServerHttp2Session } from "node:http2";
import type { Server as HttpsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { answerOtherUpgrades, assertShape, required, shape, text, wholeNumber, type Shape } from "@steward/core/driver";
import { systemClock, type MetricSample, type MetricsSource } from "@steward/core";
import { serverError } from "../errors.ts";
import { requestShare, type ServingStats } from "../life/serving.ts";
import { refuseConnection } from "../problem/refuse-connection.ts";
import type { NodeApp } from "./app.ts";

/** Where a server listens. */
export interface ListenOptions {
  /** Default `127.0.0.1`: this machine alone. */
  readonly host?: string;
  /** `0` takes a free one. */
  readonly port: number;
}

/** A server of Node's. */
export type AnyServer = HttpServer | HttpsServer | Http2Server | Http2SecureServer;

/** The address where a server listens that was not given one. */
const LOOPBACK = "127.0.0.1";
const SWEEP_MS = 50;

/** What says where a server listens. */
export const listenShape: Shape<ListenOptions> = shape<ListenOptions>(() => ({
  host: text(),
  port: required(wholeNumber(0, 65_535)),
}));

/** A server that listens. It drains and stops with its container. */
export class NodeServer<S extends AnyServer = AnyServer> implements MetricsSource {
  /** Node's own. */
  readonly server: S;
  /** What its requests share. */
  readonly app: NodeApp;
  readonly #sessions = new Set<ServerHttp2Session>();
  /** Connections of a server that speaks HTTP/2: a session that has ended may still hold one. */
  readonly #sockets = new Set<Socket>();
  #url: string | undefined = undefined;
  #closed: Promise<void> | undefined;

  /** Looks after a server that something else lets listen. */
  constructor(server: S, app: NodeApp) {
    this.server = server;
    this.app = app;
    server.on("session", (session: ServerHttp2Session) => {
      this.#sessions.add(session);
      session.on("close", () => this.#sessions.delete(session));
    });
    if (!("closeAllConnections" in server))
      server.on("connection", (socket: Socket) => {
        this.#sockets.add(socket);
        socket.on("close", () => this.#sockets.delete(socket));
      });
    server.on("clientError", (error: Error & { code?: string }, socket: Socket) =>
      refuseConnection(error, socket, app.idHeader),
    );
    app.serving.capConnections(server, app.maxConnections);
    answerOtherUpgrades(server);
  }

  /** Where it listens, such as `http://127.0.0.1:3000`. */
  get url(): string {
    return (this.#url ??= urlOf(this.server));
  }

  /**
   * Lets a server listen.
   *
   * @throws {PORT_BUSY} when another program has the port.
   */
  static async listen<S extends AnyServer>(server: S, options: ListenOptions, app: NodeApp): Promise<NodeServer<S>> {
    assertShape("listen", listenShape, options);
    const looked = new NodeServer(server, app);
    await listening(server, options);
    looked.#url = urlOf(server); // known after it has closed, too
    return looked;
  }

  /** Numbers of requests and background work. */
  stats(): ServingStats {
    return this.app.stats();
  }

  metrics(): Iterable<MetricSample> {
    return this.app.metrics();
  }

  /** Accepts no more connections, lets requests and their cleanup end, and closes each connection as soon as it is idle. */
  drain(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  /** Closes what is left, by force. */
  async stop(): Promise<void> {
    const closed = this.drain();
    this.#cut();
    await closed;
  }

  async #close(): Promise<void> {
    const { closeTimeoutMs } = this.app;
    const until = systemClock.now() + closeTimeoutMs;
    this.app.refuseRequests();
    const sweep = setInterval(() => this.#sweep(), SWEEP_MS);
    const force = setTimeout(() => this.#cut(), requestShare(closeTimeoutMs));
    await new Promise<void>((resolve) => {
      this.server.close(() => resolve());
      this.#sweep();
    });
    clearInterval(sweep);
    clearTimeout(force);
    await this.app.stop(Math.max(1, Math.round(until - systemClock.now())));
  }

  #sweep(): void {
    if ("closeIdleConnections" in this.server) this.server.closeIdleConnections();
    for (const session of this.#sessions) if (!session.closed) session.close();
  }

  #cut(): void {
    if ("closeAllConnections" in this.server) this.server.closeAllConnections();
    for (const session of this.#sessions) session.destroy();
    for (const socket of this.#sockets) socket.destroy();
  }
}

function urlOf(server: AnyServer): string {
  const { address, family, port } = server.address() as AddressInfo; // it listens on TCP
  const scheme = "setSecureContext" in server ? "https" : "http";
  return `${scheme}://${family === "IPv6" ? `[${address}]` : address}:${port}`;
}

async function listening(server: AnyServer, options: ListenOptions): Promise<void> {
  const { host = LOOPBACK, port } = options;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  }).catch((error: unknown) => {
    throw listenError(options, error);
  });
}

/** What an error at listening is for the user: a port that is taken has words of its own. */
export function listenError({ host = LOOPBACK, port }: ListenOptions, error: unknown): unknown {
  if (!(error instanceof Error && "code" in error && error.code === "EADDRINUSE")) return error;
  const message = `port ${port} of ${host} belongs to another program: stop that, or choose another port, such as ${port + 1}`;
  return serverError("PORT_BUSY", message, { cause: error });
}
