import { connect, type Socket } from "node:net";
import { Flow, type FlowFaults } from "./flow.ts";

/** Requests go from the client to the server, replies come back. */
export type Direction = "request" | "reply";

/** What a link asks of its proxy, and reports to it. */
export interface LinkOwner {
  readonly target: { readonly host: string; readonly port: number };
  faults(direction: Direction): FlowFaults;
  arrived(direction: Direction, bytes: number): void;
  lost(bytes: number): void;
  closed(): void;
}

function closeOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

const resetting = new WeakSet<Socket>();

// Node leaks the handle of a socket that is reset while its FIN is on the way; such a socket is destroyed instead.
// One that is being reset sends a FIN first, so that a second reset, or a destroy, would leak it as well.
function resetSocket(socket: Socket): void {
  if (resetting.has(socket)) return;
  resetting.add(socket);
  if (socket.writableEnded && !socket.writableFinished) socket.destroy();
  else socket.resetAndDestroy();
}

/** One proxied connection: the client's socket, ours to the server, and a flow each way. */
export class Link {
  readonly #client: Socket;
  readonly #owner: LinkOwner;
  readonly #sockets: Socket[];
  readonly #flows = new Map<Direction, Flow>();
  /** Resolves when both sockets are closed. */
  readonly ended: Promise<void>;
  #clientOpen = true;
  #replyBytesLeft = Number.POSITIVE_INFINITY;

  /** @param silent accepts the client and never sends it anything, nor connects to the server. */
  constructor(client: Socket, owner: LinkOwner, silent: boolean) {
    this.#client = client;
    this.#owner = owner;
    const gone = (): boolean => (this.#clientOpen = false);
    client.once("end", gone).once("close", gone);
    this.#sockets = silent ? [client] : [client, this.#connect()];
    if (silent) this.#swallow();
    this.ended = this.#end();
  }

  async #end(): Promise<void> {
    await Promise.all(this.#sockets.map(closeOf));
    for (const flow of this.#flows.values()) flow.close();
    this.#owner.closed();
  }

  /** True until the client said goodbye. */
  get clientOpen(): boolean {
    return this.#clientOpen;
  }

  #swallow(): void {
    this.#client.on("error", () => undefined);
    this.#client.on("data", (bytes: Buffer) => {
      this.#owner.arrived("request", bytes.length);
      this.#owner.lost(bytes.length);
    });
  }

  #connect(): Socket {
    const server = connect({ ...this.#owner.target, allowHalfOpen: true, noDelay: true });
    this.#pipe("request", this.#client, server);
    this.#pipe("reply", server, this.#client);
    return server;
  }

  #pipe(direction: Direction, source: Socket, target: Socket): void {
    const faults = this.#owner.faults(direction);
    const flow = new Flow(source, target, faults, {
      arrived: (bytes) => this.#owner.arrived(direction, bytes),
      lost: (bytes) => this.#owner.lost(bytes),
      allow: (bytes) => (direction === "reply" ? this.#allow(bytes) : bytes),
    });
    this.#flows.set(direction, flow);
    // A reset travels on as a reset, except where nothing travels.
    source.on("error", () => {
      if (!flow.dead && !faults.lossy) resetSocket(target);
    });
  }

  #allow(bytes: number): number {
    const allowed = Math.min(bytes, this.#replyBytesLeft);
    this.#replyBytesLeft -= allowed;
    // Once this write is out; the client reads all of it, then the end.
    if (this.#replyBytesLeft === 0) queueMicrotask(() => this.#cut());
    return allowed;
  }

  #cut(): void {
    this.silence();
    this.#client.end();
    for (const socket of this.#sockets) if (socket !== this.#client) socket.destroy();
  }

  /** Ends the connection behind so many further bytes of replies. */
  limit(bytes: number): void {
    this.#replyBytesLeft = bytes;
  }

  /** Loses everything from here on, for good. */
  silence(): void {
    for (const flow of this.#flows.values()) flow.kill();
  }

  /** After the faults: a connection that lost bytes stays silent, on another one what waited goes now. */
  recover(): void {
    const flows = [...this.#flows.values()];
    if (flows.some((flow) => flow.dead)) this.silence();
    else for (const flow of flows) flow.hurry();
  }

  /** Ends both sides by RST. */
  reset(): void {
    for (const socket of this.#sockets) resetSocket(socket);
  }
}
