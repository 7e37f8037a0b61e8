import { isLoginRefused } from "@steward/core/driver";
import { type Client, Pool, type ClientConfig, type PoolClient, type PoolConfig } from "pg";
import type { CheckedOptions } from "../options.ts";
import type { Server } from "../server/server.ts";
import { isSuspect, KnownClient } from "./known-client.ts";
import { cutOff, rawClient } from "./raw-client.ts";

/** Logins in a row that may be refused, where the password is fetched. */
const MOST_LOGINS = 5;

/** A connection that breaks fails what runs on it; without a listener it would end the process besides. */
function survive(client: { on(event: "error", listener: () => void): unknown }): void {
  client.on("error", () => {});
}

/** The connections of one pg.Pool, those that connect included, so that all of them can be cut off. */
export class Connections {
  readonly pool: Pool;
  readonly server: Server | undefined;
  readonly all: ReadonlySet<Client>;
  readonly #isFetched: boolean;

  /** Those that somebody has. */
  readonly #used = new WeakSet<object>();

  private constructor(pool: Pool, all: ReadonlySet<Client>, server?: Server, isFetched: boolean = false) {
    this.pool = pool;
    this.all = all;
    this.server = server;
    this.#isFetched = isFetched;
    pool.on("error", () => {}); // an idle connection that breaks is removed by the pool; no one has to know
    pool.on("connect", survive);
    pool.on("acquire", (client) => void this.#used.add(client));
    pool.on("release", (_error, client) => void this.#used.delete(client));
  }

  /** A pool to a server: to its first host that takes connections, then to the next one that does. Nothing connects before it is used. */
  static to(server: Server, options: CheckedOptions): Connections {
    const all = new Set<Client>();
    let at = 0;
    class Known extends KnownClient {
      constructor(config?: ClientConfig) {
        const mine = at;
        const onFailed = (): void => {
          if (at === mine) at = (at + 1) % server.hosts.length; // else another one has noticed before
        };
        super({ ...config, ...server.hosts[mine] }, { isWriting: server.isWriting, onFailed });
        survive(this);
        all.add(this);
        this.once("end", () => void all.delete(this));
      }
    }
    const { maxConnections, connectTimeoutMs, idleConnectionTimeoutMs, maxLifetimeMs, onConnect } = options;
    const config: PoolConfig = {
      ...server.hosts[0],
      max: maxConnections,
      connectionTimeoutMillis: connectTimeoutMs,
      idleTimeoutMillis: idleConnectionTimeoutMs,
      maxLifetimeSeconds: Math.ceil(maxLifetimeMs / 1_000),
      allowExitOnIdle: true,
      Client: Known as NonNullable<PoolConfig["Client"]>, // pg hands it the configuration, its types do not say so
      ...(onConnect === undefined ? {} : { onConnect }), // the pool waits for what it returns
    };
    return new Connections(new Pool(config), all, server, options.password?.isFetched === true);
  }

  /** A pool that somebody else owns. */
  static of(pool: Pool): Connections {
    return new Connections(pool, new Set());
  }

  /** Takes a connection of the pool. */
  connect(): Promise<PoolClient> {
    return this.anywhere(() => this.pool.connect());
  }

  /**
   * Makes an attempt to connect: at the next host where one does not take it, and with the password asked for again a few times where it is
   * fetched, for it may have been replaced between our asking and the login. No further one when `signal` has aborted.
   */
  async anywhere<T>(attempt: (host: PoolConfig) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const places = this.server?.hosts ?? [{}];
    for (let [refused, left, at] = [0, places.length, 0]; ;) {
      try {
        return await attempt(places[at] ?? {});
      } catch (error) {
        if (signal?.aborted === true) throw error;
        if (this.#isFetched && isLoginRefused(error) && ++refused < MOST_LOGINS) left = places.length;
        else if (--left <= 0) throw error;
        else at = (at + 1) % places.length;
      }
    }
  }

  /** Whether that connection has refused a write, and its server may be one that takes none any more. */
  isSuspect(client: object): boolean {
    return this.server?.isWriting === true && isSuspect(client);
  }

  /** Cuts off what is idle: it may share the fate of a connection that was found dead, and costs little to make anew. */
  distrustIdle(reason: Error): void {
    for (const client of this.all)
      if (!this.#used.has(client) && rawClient(client).readyForQuery) cutOff(client, reason);
  }

  /** Ends it: what is idle now, the rest when it is given back, and by force when `signal` aborts. */
  async end(signal: AbortSignal, reason: Error): Promise<void> {
    if (this.server === undefined) return;
    const cut = (): void => {
      for (const client of this.all) cutOff(client, reason);
    };
    signal.addEventListener("abort", cut, { once: true });
    try {
      await this.pool.end();
      await Promise.all([...this.all].map((client) => new Promise((resolve) => client.once("end", resolve))));
    } finally {
      signal.removeEventListener("abort", cut);
    }
  }
}
