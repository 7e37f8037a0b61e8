import type { Socket } from "node:net";
import { Channel, type ChannelCredentials, type ChannelOptions } from "@grpc/grpc-js";

/** Frames that end calls are written after a channel was closed; then its sockets have this long, in ms. */
const PARTING_MS = 50;

/** The sockets of one channel. */
class Sockets {
  readonly #open = new Set<Socket>();
  #isClosed = false;

  take(socket: Socket): void {
    if (this.#isClosed) socket.destroy();
    this.#open.add(socket);
    socket.once("close", () => this.#open.delete(socket));
  }

  close(): void {
    this.#isClosed = true;
    if (this.#open.size > 0) setTimeout(() => this.#destroy(), PARTING_MS).unref();
  }

  #destroy(): void {
    for (const socket of this.#open) socket.destroy();
  }
}

/** What TLS is asked for where no name is to be sent: one without a host. */
const NAMELESS = { scheme: "dns", path: "" };

/**
 * Lets `sockets` see every socket that the credentials are asked to secure; grpc-js has no other place that sees them
 * all. It sends the host of the target as the name of TLS, also an address, which is against RFC 6066, and which
 * Node 26 refuses.
 */
function watched(credentials: ChannelCredentials, sockets: Sockets, isNameless: boolean): ChannelCredentials {
  const make = credentials._createSecureConnector.bind(credentials);
  credentials._createSecureConnector = (target, ...rest) => {
    const connector = make(isNameless ? NAMELESS : target, ...rest);
    const connect = connector.connect.bind(connector);
    connector.connect = (socket) => {
      sockets.take(socket);
      return connect(socket);
    };
    return connector;
  };
  return credentials;
}

/**
 * A channel of grpc-js whose sockets are closed with it. Those that still wait for the other side, in a TLS handshake
 * or for the settings of HTTP/2, would stay open otherwise, and keep the process alive.
 */
export class ClosingChannel extends Channel {
  readonly #sockets: Sockets;

  /** @param isNameless whether TLS sends no name: for addresses. */
  constructor(target: string, credentials: ChannelCredentials, options: ChannelOptions, isNameless: boolean) {
    const sockets = new Sockets();
    super(target, watched(credentials, sockets, isNameless), options);
    this.#sockets = sockets;
  }

  override close(): void {
    super.close();
    this.#sockets.close();
  }
}
