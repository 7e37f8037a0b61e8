import { type Client, Pool, type ClientConfig, type PoolConfig } from "pg";
import type { CheckedOptions } from "../options.ts";
import type { Server } from "../server/server.ts";
import { KnownClient } from "./known-client.ts";
import { cutOff, rawClient } from "./raw-client.ts";

/** A connection that breaks fails what runs on it; without a listener it would end the process besides. */
function survive(client: { on(event: "error", listener: () => void): unknown }): void {
  client.on("error", () => {});
}

/** The connections of one pg.Pool, those that connect included, so that all of them can be cut off. */
export class Connections {
  readonly pool: Pool;
  readonly server: Server | undefined;
  readonly all: ReadonlySet<Client>;

  /** Those that somebody has. */
  readonly #used = new WeakSet<object>();

  private constructor(pool: Pool, all: ReadonlySet<Client>, server: Server | undefined) {
    this.pool = pool;
    this.all = all;
    this.server = server;
    pool.on("error", () => {}); // an idle connection that breaks is removed by the pool; no one has to know
    pool.on("connect", survive);
    pool.on("acquire", (client) => void this.#used.add(client));
    pool.on("release", (_error, client) => void this.#used.delete(client));
  }

  /** A pool to a server. Nothing connects before it is used. */
  static to(server: Server, options: CheckedOptions): Connections {
    const all = new Set<Client>();
    class Known extends KnownClient {
      constructor(config?: ClientConfig) {
        super(config);
        survive(this);
        all.add(this);
        this.once("end", () => void all.delete(this));
      }
    }
    const { maxConnections, connectTimeoutMs, idleConnectionTimeoutMs, maxLifetimeMs, onConnect } = options;
    const config: PoolConfig = {
      ...server.config,
      max: maxConnections,
      connectionTimeoutMillis: connectTimeoutMs,
      idleTimeoutMillis: idleConnectionTimeoutMs,
      maxLifetimeSeconds: Math.ceil(maxLifetimeMs / 1_000),
      allowExitOnIdle: true,
      Client: Known as NonNullable<PoolConfig["Client"]>, // pg hands it the configuration, its types do not say so
      ...(onConnect === undefined ? {} : { onConnect: (client) => void onConnect(client) }),
    };
    return new Connections(new Pool(config), all, server);
  }

  /** A pool that somebody else owns. */
  static of(pool: Pool): Connections {
    return new Connections(pool, new Set(), undefined);
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
