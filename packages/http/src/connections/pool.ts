import type { Clock, Timer } from "@steward/core";
import { Client, type buildConnector, type Dispatcher } from "undici";
import type { RawHandler } from "../exchange/handlers.ts";
import type { Connection, Connections, ConnectionStats } from "./connection.ts";
import { noteUnconnected } from "./unconnected.ts";

/** How connections are made. */
export interface PoolSettings {
  readonly origin: string;
  readonly clock: Clock;
  readonly connect: buildConnector.connector;
  /** Requests at once on one connection: more than 1 only with HTTP/2. */
  readonly streams: number;
  readonly maxConnections: number;
  readonly idleConnectionTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly timeoutMs: number;
  /** Passes on what undici says of a connection. */
  readonly announce: (event: ConnectionEvent, origin: URL, targets: readonly Dispatcher[], error?: Error) => void;
}

/** Events of undici about connections. `drain` is not one of them: a session takes every call. */
export type ConnectionEvent = (typeof EVENTS)[number];

const EVENTS = ["connect", "disconnect", "connectionError"] as const;

/**
 * Connections to one origin, each an undici `Client`. The one used last is used next, so that the surplus runs into
 * its keep-alive timeout. The guard in front sees to it that there are never more requests than places.
 */
export class ConnectionPool implements Connections {
  readonly settings: PoolSettings;
  readonly #all = new Set<PooledConnection>();
  readonly #leaving = new Set<PooledConnection>();
  readonly #free: PooledConnection[] = [];
  #tick = 0;
  #retired = 0;

  constructor(settings: PoolSettings) {
    this.settings = settings;
  }

  tick(): number {
    return ++this.#tick;
  }

  take(): Connection {
    const connection = this.#free.at(-1) ?? this.#another();
    connection.occupy();
    if (connection.inUse >= connection.capacity) this.#unlist(connection);
    return connection;
  }

  #another(): PooledConnection {
    if (this.#all.size >= this.settings.maxConnections) return this.#leastUsed();
    const connection = new PooledConnection(this);
    this.#all.add(connection);
    this.#list(connection);
    return connection;
  }

  /** All are full: happens when a server that may speak HTTP/2 does not. */
  #leastUsed(): PooledConnection {
    return [...this.#all].reduce((a, b) => (b.inUse < a.inUse ? b : a));
  }

  #list(connection: PooledConnection): void {
    if (connection.listed) return;
    connection.listed = true;
    this.#free.push(connection);
  }

  #unlist(connection: PooledConnection): void {
    if (!connection.listed) return;
    connection.listed = false;
    if (this.#free.at(-1) === connection) this.#free.pop();
    else this.#free.splice(this.#free.indexOf(connection), 1);
  }

  /** @internal */
  freed(connection: PooledConnection): void {
    if (!connection.leaving) this.#list(connection);
    else if (connection.inUse === 0) this.forget(connection);
  }

  /** @internal Uses it no more, and ends it once it carries nothing. */
  forget(connection: PooledConnection): void {
    connection.leaving = true;
    this.#all.delete(connection);
    this.#unlist(connection);
    if (connection.inUse > 0) this.#leaving.add(connection);
    else {
      this.#leaving.delete(connection);
      // Not at once: undici may be in the middle of a request that could not be written, and bears no end of its client there.
      queueMicrotask(() => void connection.end());
    }
  }

  suspect(sent: number): void {
    for (const connection of this.#all) {
      if (connection.lastAnswer >= sent || !connection.connected) continue;
      this.#retired++;
      this.forget(connection);
    }
  }

  retire(): void {
    for (const connection of this.#all) this.forget(connection);
  }

  async destroy(reason: Error): Promise<void> {
    const all = [...this.#all, ...this.#leaving];
    this.#all.clear();
    this.#leaving.clear();
    this.#free.length = 0;
    await Promise.all(all.map((connection) => connection.end(reason)));
  }

  stats(): ConnectionStats {
    const open = [...this.#all, ...this.#leaving].filter((connection) => connection.connected);
    return {
      size: open.length,
      idle: open.filter((connection) => connection.inUse === 0).length,
      retired: this.#retired,
    };
  }
}

/** One undici `Client`, and what we know of its socket. */
class PooledConnection implements Connection {
  readonly #pool: ConnectionPool;
  readonly #client: Client;
  /** Requests at once. */
  capacity: number;
  inUse = 0;
  /** True while it stands in the pool's list of free ones. */
  listed = false;
  /** True once it must carry nothing new. */
  leaving = false;
  connected = false;
  /** Tick at which the peer last showed that it lives. */
  lastAnswer = 0;
  #idle: Timer | undefined = undefined;

  constructor(pool: ConnectionPool) {
    this.#pool = pool;
    const { origin, streams, idleConnectionTimeoutMs, idleTimeoutMs, timeoutMs } = pool.settings;
    this.capacity = streams;
    this.#client = new Client(origin, {
      connect: (options, callback) => this.#connect(options, callback),
      pipelining: streams,
      allowH2: streams > 1,
      keepAliveTimeout: idleConnectionTimeoutMs,
      keepAliveMaxTimeout: idleConnectionTimeoutMs,
      // The deadline is ours, and runs in the queue too. Where it is the shorter one, two equal timeouts spare undici a timer.
      headersTimeout: idleTimeoutMs >= timeoutMs ? Math.ceil(idleTimeoutMs) : 0,
      bodyTimeout: Math.ceil(idleTimeoutMs),
    });
    this.#client.on("disconnect", () => this.#disconnected());
    const { announce } = pool.settings;
    for (const event of EVENTS)
      this.#client.on(event as "disconnect", (origin, targets, error) => announce(event, origin, targets, error)); // all three give that
  }

  #connect(options: buildConnector.Options, callback: buildConnector.Callback): void {
    this.#pool.settings.connect(options, (error, socket) => {
      if (error !== null) {
        noteUnconnected(error);
        return callback(error, null);
      }
      this.connected = true;
      this.lastAnswer = this.#pool.tick();
      if (this.capacity > 1 && !("alpnProtocol" in socket && socket.alpnProtocol === "h2"))
        this.#client.pipelining = this.capacity = 1;
      callback(null, socket);
    });
  }

  occupy(): void {
    this.inUse++;
    this.#idle?.cancel();
    this.#idle = undefined;
  }

  /** undici closes what is idle with HTTP/1 only. */
  #awaitUse(): void {
    const { clock, idleConnectionTimeoutMs } = this.#pool.settings;
    this.#idle = clock.setTimeout(() => this.#pool.forget(this), idleConnectionTimeoutMs, { unref: true });
  }

  #disconnected(): void {
    this.connected = false;
    if (this.inUse === 0) this.#pool.forget(this);
  }

  send(options: Dispatcher.DispatchOptions, handler: RawHandler): void {
    this.#client.dispatch(options, handler as Dispatcher.DispatchHandler); // undici's types leave out two of the raw methods
  }

  /** An abort would close the socket, which the next request can use; an error only skips the request. */
  decline(): void {
    throw new Error("given up before it was sent");
  }

  release(): void {
    this.inUse--;
    this.#pool.freed(this);
    if (this.capacity > 1 && this.inUse === 0 && !this.leaving) this.#awaitUse();
  }

  /**
   * With HTTP/1 its socket is gone. What had not left broke the connection itself; undici is then emptying the queue
   * of that very client, and bears no new request on it.
   */
  broke(sent: boolean): void {
    if (this.capacity === 1 || !sent) this.#pool.forget(this);
    this.release();
  }

  detached(): void {
    this.connected = false;
    this.#pool.forget(this);
    this.release();
  }

  tick(): number {
    return this.#pool.tick();
  }

  answered(): void {
    this.lastAnswer = this.#pool.tick();
  }

  suspect(sent: number): void {
    this.#pool.suspect(sent);
  }

  end(error: Error | null = null): Promise<void> {
    this.#idle?.cancel();
    return this.#client.destroy(error);
  }
}
