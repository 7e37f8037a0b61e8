import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { runWithContext, type Clock, type RequestContext } from "@steward/core";
import { isHostAmong, soundContext, TimeoutReached, withTimeout } from "@steward/core/driver";
import { WebSocketServer } from "ws";
import { refuse, type Gate } from "./upgrades.ts";
import type { WebSocketHubSettings } from "./options.ts";
import { HubSocket } from "./socket.ts";

/** What becomes of an upgrade. */
export interface EntranceOwner<User> {
  readonly clock: Clock;
  /** Whether anybody may come in now. */
  readonly isOpen: () => boolean;
  readonly size: () => number;
  readonly entered: (socket: HubSocket<User>, wire: Socket, user: User | undefined, request: IncomingMessage) => void;
  readonly refused: (status: number, request: IncomingMessage, error: unknown) => void;
}

/** Seconds after which one who found no room may ask again. */
const RETRY_AFTER = "1";

/** Lets in who may come in: there is room, the origin is right, and it is known who it is. */
export class Entrance<User> implements Gate {
  readonly #settings: WebSocketHubSettings<User>;
  readonly #owner: EntranceOwner<User>;
  readonly #wss: WebSocketServer;
  readonly #asking = new Set<AbortController>();
  #pending = 0;

  constructor(settings: WebSocketHubSettings<User>, owner: EntranceOwner<User>) {
    this.#settings = settings;
    this.#owner = owner;
    const {
      maxPayloadBytes: maxPayload,
      deflate: perMessageDeflate,
      closeTimeoutMs: closeTimeout,
      protocols,
    } = settings;
    const handleProtocols = (offered: Set<string>): string | false =>
      [...offered].find((name) => protocols.includes(name)) ?? false;
    const options = {
      noServer: true,
      clientTracking: false,
      maxPayload,
      perMessageDeflate,
      closeTimeout,
      handleProtocols,
      WebSocket: HubSocket,
    };
    this.#wss = new WebSocketServer(options);
    this.#wss.on("wsClientError", (error, socket, request) => {
      refuse(socket, 400);
      owner.refused(400, request, error);
    });
  }

  get path(): string | undefined {
    return this.#settings.path;
  }

  /** Sockets that still authenticate. */
  get pending(): number {
    return this.#pending;
  }

  /** A client that is still authenticating is asked to come back later. */
  turnAway(): void {
    for (const abort of this.#asking) abort.abort(new Error("the hub goes away"));
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", ignore);
    this.#pending++;
    void runWithContext(contextOf(request), () => this.#decide(request, socket, head)).finally(() => this.#pending--);
  }

  async #decide(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const { isOpen, size } = this.#owner;
    if (!isOpen() || size() + this.#pending > this.#settings.maxSockets) return this.#refuse(503, request, socket);
    if (!this.#isWelcome(request)) return this.#refuse(403, request, socket, this.#stranger(request));
    let user: User | undefined;
    try {
      user = await this.#authenticate(request, socket);
    } catch (error) {
      return this.#refuse(503, request, socket, error);
    }
    if ((user ?? false) === false && this.#settings.authenticate !== undefined)
      return this.#refuse(401, request, socket);
    if (!isOpen()) return this.#refuse(503, request, socket);
    if (socket.destroyed) return;
    socket.off("error", ignore);
    // The server makes HubSockets, and upgrades of Node's servers come with a net.Socket.
    this.#wss.handleUpgrade(request, socket, head, (ws) =>
      this.#owner.entered(ws as HubSocket<User>, socket as Socket, user, request),
    );
  }

  async #authenticate(request: IncomingMessage, socket: Duplex): Promise<User | undefined> {
    const { authenticate, authenticateTimeoutMs } = this.#settings;
    if (authenticate === undefined) return undefined;
    const abort = new AbortController();
    const gone = (): void => abort.abort(new Error("the client has gone"));
    // The socket has no reader yet, so without looking we would not see it end.
    const look = (): void => void (socket.readableLength === 0 && socket.read());
    socket.on("readable", look).once("end", gone).once("close", gone);
    this.#asking.add(abort);
    try {
      return await withTimeout(
        this.#owner.clock,
        authenticateTimeoutMs,
        async () => authenticate(request, abort.signal),
        {
          abort,
        },
      );
    } catch (error) {
      throw error instanceof TimeoutReached
        ? new Error(`authenticate took longer than ${authenticateTimeoutMs} ms`)
        : error;
    } finally {
      this.#asking.delete(abort);
      socket.off("readable", look).off("end", gone).off("close", gone);
    }
  }

  /** Pages say where they come from; other programs have no origin. */
  #isWelcome({ headers, socket }: IncomingMessage): boolean {
    const { origin, host } = headers;
    const { origins, hosts } = this.#settings;
    if (hosts !== undefined && !isHostAmong(host, hosts)) return false;
    if (origin === undefined) return true;
    if (origins !== undefined) return origins.includes("*") || origins.includes(origin);
    return origin === `${schemeOf(headers, socket)}://${host}`;
  }

  #stranger({ headers }: IncomingMessage): Error {
    const { origin, host } = headers;
    const { hosts } = this.#settings;
    if (hosts !== undefined && !isHostAmong(host, hosts)) return new Error(`${host} is none of the option hosts`);
    const fix =
      this.#settings.origins === undefined ? "; behind a proxy that ends TLS, let it set x-forwarded-proto" : "";
    return new Error(`a page of ${origin} is no page of ${host}: name its origin in the option origins${fix}`);
  }

  #refuse(status: number, request: IncomingMessage, socket: Duplex, error?: unknown): void {
    refuse(socket, status, status === 503 ? { "retry-after": RETRY_AFTER } : {});
    this.#owner.refused(status, request, error);
  }
}

/** How the page's host is reached: a proxy before us says it, and a page cannot set the header. */
function schemeOf(headers: IncomingMessage["headers"], socket: Socket): string {
  const forwarded = headers["x-forwarded-proto"];
  const [first = ""] = (typeof forwarded === "string" ? forwarded : "").split(",");
  if (first.trim() !== "") return first.trim().toLowerCase();
  return "encrypted" in socket && socket.encrypted === true ? "https" : "http";
}

function ignore(): void {}

/** The id and the trace that the handshake came with. */
function contextOf({ headers }: IncomingMessage): RequestContext {
  return soundContext(headers["x-request-id"], headers["traceparent"]);
}
