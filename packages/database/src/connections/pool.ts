import { StewardError, type Clock } from "@steward/core";
import { Connection, type ConnectionOwner } from "./connection.ts";
import type { Line, Taker } from "./line.ts";
import type { Endpoint } from "./endpoint.ts";
import { isLoginRefused } from "@steward/core/driver";
import { connectFailed } from "./refusals.ts";
import { outside } from "./outside.ts";
import { Reconnect } from "./reconnect.ts";

/** Bounds and times of a pool. 0 switches a time off. */
export interface PoolOptions {
  readonly maxConnections: number;
  readonly connectTimeoutMs: number;
  readonly idleConnectionTimeoutMs: number;
  readonly maxLifetimeMs: number;
}

/** A connection that takes longer to make than this while the server answers another is given up, in ms. */
const SLOW_CONNECT_MS = 1_000;

/** Logins in a row that may be refused before those who wait are, where the password is fetched. */
export const MOST_REFUSALS = 5;
/** Pause after the first of them, in ms, where no call waits: it grows by as much each time. */
export const REFUSAL_PAUSE_MS = 10;

/** Numbers of a pool. */
export interface PoolStats {
  readonly size: number;
  readonly idle: number;
  readonly connecting: number;
  /** Connections ever opened. */
  readonly opened: number;
  /** Connections given up because the server no longer knew of them. */
  readonly retired: number;
}

/**
 * The connections of one server: opens them when asked for, hands them out, replaces old and broken ones.
 *
 * Who may take one, and who waits how long for that, is the guard's business in front of it: a taker is never one of
 * more than `maxConnections`, so the few who wait here wait for a connection to be made or mended.
 */
export class Pool implements ConnectionOwner {
  readonly name: string;
  readonly clock: Clock;
  endpoint: Endpoint;
  readonly connections: Set<Connection> = new Set();
  readonly #options: PoolOptions;
  /** The last one used is the next one used, so that what is too many grows idle and goes. */
  readonly #idle: Connection[] = [];
  readonly #takers: Taker[] = [];
  readonly #reconnect: Reconnect;
  readonly #random: () => number;
  readonly #making = new Set<Connection>();
  #opened = 0;
  /** Logins in a row that the server refused. */
  #refused = 0;
  /** Once it has ended: why no one is given a connection. */
  #ended: StewardError | undefined;
  #emptied: (() => void) | undefined;
  /** Connections that were cut off because of their silence. */
  retired = 0;

  constructor(
    name: string,
    clock: Clock,
    endpoint: Endpoint,
    options: PoolOptions,
    random: () => number = Math.random,
  ) {
    this.name = name;
    this.clock = clock;
    this.endpoint = endpoint;
    this.#options = options;
    this.#random = random;
    this.#reconnect = new Reconnect(clock, () => this.#grow(), random);
  }

  /** Opens one connection, tries `work` on it, and keeps it. */
  async prove(work: (connection: Connection) => Promise<void>): Promise<void> {
    try {
      const connection = await this.#openAnywhere(this.endpoint.hosts);
      await work(connection);
      this.#release(connection);
    } catch (error) {
      throw connectFailed(this.name, this.endpoint.shown, error);
    }
  }

  /** Each connection is dialled to the next host in turn. */
  async #openAnywhere(hosts: number): Promise<Connection> {
    const refusedBefore = this.#refused;
    try {
      return await this.#open();
    } catch (error) {
      if (this.#ended !== undefined) throw error;
      if (isLoginRefused(error) && this.#mayChange(refusedBefore)) {
        await this.clock.sleep(this.#refused * REFUSAL_PAUSE_MS);
        return this.#openAnywhere(this.endpoint.hosts);
      }
      if (hosts <= 1) throw error;
      return this.#openAnywhere(hosts - 1);
    }
  }

  /** Takes an idle connection for a moment, past the guard, if there is one. It has to be given back. */
  borrow(): Connection | undefined {
    return this.#takeIdle();
  }

  /** Gives a connection to `taker`: now, or as soon as one is free, made or mended. */
  take(taker: Taker): void {
    if (this.#ended !== undefined) return taker.refuse(this.#ended);
    const connection = this.#takers.length === 0 ? this.#takeIdle() : undefined;
    if (connection !== undefined) return taker.take(connection);
    this.#takers.push(taker);
    this.#grow();
  }

  /** Somebody lost patience. True when it was waiting here. */
  leave(taker: Taker): boolean {
    const place = this.#takers.indexOf(taker);
    if (place >= 0) this.#takers.splice(place, 1);
    return place >= 0;
  }

  /** Sends away everybody who waits here, to be served elsewhere. */
  dismiss(): readonly Taker[] {
    return this.#takers.splice(0);
  }

  /** Takes a connection back. */
  release(line: Line): void {
    // A pool hands out nothing but its own connections.
    const connection = line as Connection;
    const { settled } = connection;
    if (settled === undefined) this.#release(connection);
    else void settled.then(() => this.#release(connection));
  }

  #release(connection: Connection): void {
    if (connection.dead) return;
    if (connection.isSuspect && !connection.retired) return void this.#examine(connection);
    if (this.#ended !== undefined || connection.retired) {
      connection.end();
      return;
    }
    const taker = this.#takers.shift();
    if (taker !== undefined) return taker.take(connection);
    // The sweep looks at the clock, so that not every query has to.
    connection.idleSince = Number.POSITIVE_INFINITY;
    this.#idle.push(connection);
  }

  /** After a failover all connections lead to a server that takes no writes any more. */
  async #examine(connection: Connection): Promise<void> {
    const timer = this.clock.setTimeout(() => connection.destroy(), this.#options.connectTimeoutMs);
    try {
      if (await connection.readsOnly()) this.renew();
    } catch {
      connection.destroy();
    }
    timer.cancel();
    this.#release(connection);
  }

  #takeIdle(): Connection | undefined {
    return this.#idle.pop();
  }

  #grow(): void {
    if (this.#ended !== undefined) return;
    const wanted = (): boolean =>
      this.#takers.length > this.#making.size && this.connections.size < this.#options.maxConnections;
    while (wanted() && this.#reconnect.allows(this.#making.size)) void this.#add();
  }

  async #add(): Promise<void> {
    const refusedBefore = this.#refused;
    try {
      this.#release(await this.#open());
    } catch (error) {
      if (isLoginRefused(error) && !this.#mayChange(refusedBefore))
        this.#refuseAll(connectFailed(this.name, this.endpoint.shown, error));
    }
    this.#grow();
  }

  /** A password that is fetched may have been replaced between our asking and the login: it is asked for again, a few times. */
  #mayChange(refusedBefore: number): boolean {
    if (!this.endpoint.isFetched) return false;
    // Logins that were under way together were given the same password: they count once.
    if (this.#refused > refusedBefore) return true;
    return ++this.#refused < MOST_REFUSALS;
  }

  async #open(): Promise<Connection> {
    const { connectTimeoutMs, maxLifetimeMs } = this.#options;
    const connection = new Connection(this, this.endpoint);
    // Up to a quarter less, so that connections opened together do not go together.
    if (maxLifetimeMs > 0) connection.expiresAt = connection.openedAt + maxLifetimeMs * (1 - this.#random() / 4);
    this.connections.add(connection);
    this.#making.add(connection);
    try {
      // It is for all: what a request that asks first has left of its time does not bound it, nor later attempts from here.
      await outside(() => connection.open(connectTimeoutMs, true));
    } catch (error) {
      this.#reconnect.failed(error);
      throw error;
    } finally {
      this.#making.delete(connection);
    }
    this.#opened++;
    this.#refused = 0;
    this.#reconnect.succeeded();
    return connection;
  }

  closed(connection: Connection): void {
    this.connections.delete(connection);
    this.#dropIdle(connection);
    if (this.connections.size === 0) this.#emptied?.();
    // The place is free for a new one, if anybody waits.
    queueMicrotask(() => this.#grow());
  }

  #dropIdle(connection: Connection): void {
    const place = this.#idle.indexOf(connection);
    if (place >= 0) this.#idle.splice(place, 1);
  }

  /** Closes what has been idle for too long or is too old. Called from time to time. */
  sweep(): void {
    const { idleConnectionTimeoutMs } = this.#options;
    const now = this.clock.now();
    for (const connection of this.connections) if (now >= connection.expiresAt) connection.retired = true;
    for (const connection of this.#idle.slice()) {
      connection.idleSince = Math.min(connection.idleSince, now);
      if (
        !connection.retired &&
        (idleConnectionTimeoutMs === 0 || now - connection.idleSince < idleConnectionTimeoutMs)
      )
        continue;
      this.#dropIdle(connection);
      connection.end();
    }
  }

  /** Cuts off idle connections: their siblings turned out to be dead. */
  distrustIdle(reason: StewardError): void {
    for (const connection of this.#idle.splice(0)) connection.destroy(reason);
  }

  /** The server answers elsewhere: connections that have been in the making for long are made anew. */
  serverAnswers(): void {
    const now = this.clock.now();
    const reason = new StewardError("DATABASE_CONNECT_FAILED", `${this.name}: another connection was quicker`, {
      resource: this.name,
      retryable: true,
    });
    for (const connection of this.connections)
      if (this.#making.has(connection) && now - connection.openedAt > SLOW_CONNECT_MS) connection.destroy(reason);
  }

  /** Replaces all connections: idle ones now, the others when they are given back. */
  renew(): void {
    for (const connection of this.connections) connection.retired = true;
    for (const connection of this.#idle.splice(0)) connection.end();
  }

  /** Why there is no connection, if the last attempt failed. */
  get trouble(): unknown {
    return this.#reconnect.error;
  }

  /**
   * Ends all connections: idle ones politely, those at work when they are given back. Those who wait for one are refused.
   * Resolves when all are gone.
   */
  end(refusal: StewardError): Promise<void> {
    this.#ended = refusal;
    this.#reconnect.stop();
    this.#refuseAll(refusal);
    for (const connection of this.#idle.splice(0)) connection.end();
    if (this.connections.size === 0) return Promise.resolve();
    return new Promise((resolve) => (this.#emptied = resolve));
  }

  /** Ends leases, which rolls them back, and cancels at the server what still runs. */
  cancel(reason: StewardError): void {
    for (const connection of this.connections) {
      connection.lease?.revoke(reason);
      connection.interruption = reason;
      if (connection.busy) void connection.cancel(reason);
    }
  }

  /** Cuts off every connection now. */
  destroy(): void {
    for (const connection of this.connections) connection.destroy();
  }

  stats(): PoolStats {
    return {
      size: this.connections.size - this.#making.size,
      idle: this.#idle.length,
      connecting: this.#making.size,
      opened: this.#opened,
      retired: this.retired,
    };
  }

  #refuseAll(error: StewardError): void {
    for (const taker of this.#takers.splice(0)) taker.refuse(error);
  }
}

/** How a pool ends. */
export interface Ending {
  /** Aborts when there is no more time to wait for what runs. */
  readonly signal: AbortSignal;
  /** True when what runs has had its time already. */
  readonly atOnce: boolean;
  /** What becomes of those who wait for a connection. */
  readonly refusal: StewardError;
  /** What becomes of what still runs when its time is over. */
  readonly interruption: StewardError;
}

/** Time for the server to take a request to cancel, in ms, before connections are cut off. */
const LAST_WORDS_MS = 150;

/** Ends a pool. What still runs when its time is over is cancelled at the server, so that it does not go on without us, and cut off. */
export async function endPool(pool: Pool, { signal, atOnce, refusal, interruption }: Ending): Promise<void> {
  const force = (): void => {
    pool.cancel(interruption);
    pool.clock.setTimeout(() => pool.destroy(), LAST_WORDS_MS);
  };
  if (signal.aborted) force();
  else signal.addEventListener("abort", force, { once: true });
  const ended = pool.end(refusal);
  if (atOnce) pool.cancel(interruption);
  await ended;
  signal.removeEventListener("abort", force);
}
