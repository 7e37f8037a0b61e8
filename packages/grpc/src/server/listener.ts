import { createServer, type AddressInfo, type Server as NetServer, type Socket } from "node:net";
import { ServerCredentials, type Server } from "@grpc/grpc-js";
import type { Clock } from "@steward/core";
import type { CheckedServerOptions } from "./options.ts";

/** How long the last frames of calls that we have ended may take, in ms. */
const PARTING_MS = 50;
/** How long a peer may take to close a connection that we have ended, once the last frames are on their way, in ms. */
const FAREWELL_MS = 100;

type Injector = ReturnType<Server["createConnectionInjector"]>;

/**
 * The port of a server, from one start to the next stop. A server of grpc-js that has shut down listens no more, so the
 * connections are made here, and handed to it.
 */
export class Listener {
  readonly #clock: Clock;
  readonly #server: NetServer;
  readonly #injector: Injector;
  readonly #closed: Promise<void>;
  readonly #sockets = new Set<Socket>();

  private constructor(clock: Clock, server: NetServer, injector: Injector) {
    this.#clock = clock;
    this.#server = server;
    this.#injector = injector;
    this.#closed = new Promise((resolve) => server.once("close", resolve));
    server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
  }

  /** Listens, and hands every connection to `server`. */
  static async listen(clock: Clock, server: Server, { host, port, tls }: CheckedServerOptions): Promise<Listener> {
    const injector = server.createConnectionInjector(credentialsOf(tls));
    const net = createServer({ noDelay: true }, (socket) => injector.injectConnection(socket));
    try {
      await new Promise<void>((resolve, reject) => net.once("error", reject).listen(port, host, resolve));
    } catch (error) {
      injector.destroy();
      throw error;
    }
    return new Listener(clock, net, injector);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port; // it listens on TCP
  }

  /** Accepts no more, asks callers to go elsewhere, and waits for the calls on their connections. */
  drain(): Promise<void> {
    if (this.#server.listening) {
      this.#server.close();
      this.#injector.destroy();
    }
    return this.#closed;
  }

  /** Ends the connections that are left: at once where their peers close them too, and else by force. */
  async end(): Promise<void> {
    const closed = this.drain();
    this.#injector.drain(PARTING_MS);
    const late = this.#clock.setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, FAREWELL_MS);
    await closed;
    late.cancel();
  }
}

function credentialsOf(tls: CheckedServerOptions["tls"]): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  const ca = tls.ca === undefined ? null : Buffer.from(tls.ca);
  const pair = { private_key: Buffer.from(tls.key), cert_chain: Buffer.from(tls.cert) };
  return ServerCredentials.createSsl(ca, [pair], ca !== null);
}
