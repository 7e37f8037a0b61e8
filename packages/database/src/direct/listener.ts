import { randomUUID } from "node:crypto";
import { StewardError, type Clock, type Timer } from "@steward/core";
import { ConnectionWatch } from "@steward/core/driver";
import { Connection, type ConnectionOwner } from "../connections/connection.ts";
import type { Endpoint } from "../connections/endpoint.ts";
import { Reconnect } from "../connections/reconnect.ts";
import { connectFailed, sessionRequired } from "../connections/refusals.ts";
import { outside } from "../connections/outside.ts";
import { onDirectConnection } from "./direct.ts";

/** What a listener needs of its database. */
export interface ListenerOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly connectTimeoutMs: number;
  /** Longest wait for the first connection and for the server's word that it listens. */
  readonly acquireTimeoutMs: number;
}

interface Subscription {
  readonly listener: (payload: string) => void;
  readonly onListen: (() => void) | undefined;
}

/** As the options of these names elsewhere: without messages it is asked for a sign of life, and may take as long to give it. */
const HEARTBEAT_MS = 5_000;
const SILENCE_MS = 2_000;
/** How soon a message of ours has to arrive through a pooler. */
const HEARD_WITHIN_MS = 1_000;

/** Listens to channels on one connection of its own: on the next one when that breaks, and after a stop at the next start. */
export class Listener implements ConnectionOwner {
  readonly name: string;
  readonly clock: Clock;
  readonly #options: ListenerOptions;
  readonly #endpoint: () => Endpoint;
  readonly #channels = new Map<string, Set<Subscription>>();
  readonly #gapListeners: Set<() => void>;
  #reconnect: Reconnect;
  #connection: Connection | undefined;
  #opening: Promise<Connection> | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #watch: ConnectionWatch | undefined;
  #stopping = new AbortController();
  /** Whether there are channels that the present connection, if there is one, may not listen to: the one before it broke. */
  #isBehind = false;
  #isCatchingUp = false;

  /** @param endpoint Where the next connection leads. */
  constructor(options: ListenerOptions, endpoint: () => Endpoint, gapListeners: Set<() => void>) {
    this.name = options.name;
    this.clock = options.clock;
    this.#options = options;
    this.#endpoint = endpoint;
    this.#gapListeners = gapListeners;
    this.#reconnect = this.#makeReconnect();
  }

  #makeReconnect(): Reconnect {
    return new Reconnect(this.clock, () => this.#recover(), Math.random);
  }

  get #stopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** Calls `listener` for each notification on `channel`, until the returned function is called. */
  async listen(
    channel: string,
    listener: (payload: string) => void,
    onListen?: () => void,
  ): Promise<() => Promise<void>> {
    const { signal } = this.#stopping;
    const subscription: Subscription = { listener, onListen };
    const present = this.#channels.get(channel);
    const subscriptions = present ?? new Set();
    subscriptions.add(subscription);
    this.#channels.set(channel, subscriptions);
    try {
      await this.#within(this.#listenOn(channel));
      signal.throwIfAborted();
    } catch (error) {
      this.#forget(channel, subscription);
      throw signal.aborted ? signal.reason : error;
    }
    const unlisten = (): Promise<void> => this.#unlisten(channel, subscription);
    try {
      onListen?.();
    } catch (error) {
      await unlisten();
      throw error;
    }
    return unlisten;
  }

  async #listenOn(channel: string): Promise<void> {
    const connection = await this.#connected();
    await this.#statement(connection, `listen ${quoted(channel)}`);
  }

  #forget(channel: string, subscription: Subscription): boolean {
    const subscriptions = this.#channels.get(channel);
    subscriptions?.delete(subscription);
    if (subscriptions === undefined || subscriptions.size > 0) return false;
    return this.#channels.delete(channel);
  }

  async #unlisten(channel: string, subscription: Subscription): Promise<void> {
    const connection = this.#connection;
    if (this.#forget(channel, subscription) && connection !== undefined && !connection.dead) {
      await this.#statement(connection, `unlisten ${quoted(channel)}`).catch(() => {});
    }
  }

  #statement(connection: Connection, text: string): Promise<unknown> {
    return this.#inTurn(() => connection.query(text));
  }

  /** Statements of ours run one after the other. */
  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const next = this.#turn.then(run);
    this.#turn = next.catch(() => {});
    return next;
  }

  #connected(): Promise<Connection> {
    const connection = this.#connection;
    if (this.#opening === undefined && connection !== undefined && !connection.dead) return Promise.resolve(connection);
    // What comes over it is for all who listen: it is not work of the request that happens to listen first, nor over with that.
    return (this.#opening ??= outside(() => this.#open()).finally(() => (this.#opening = undefined)));
  }

  async #open(): Promise<Connection> {
    const { signal } = this.#stopping;
    signal.throwIfAborted();
    const endpoint = this.#endpoint();
    let connection: Connection;
    for (let hosts = endpoint.hosts; ; hosts--) {
      connection = this.#connection = new Connection(this, endpoint);
      try {
        await connection.open(this.#options.connectTimeoutMs);
        break;
      } catch (error) {
        if (hosts <= 1 || signal.aborted) throw connectFailed(this.name, endpoint.shown, error);
      }
    }
    if (!connection.direct) await this.#hearItself(connection, signal);
    this.#reconnect.succeeded();
    this.#watchOver(connection);
    return connection;
  }

  /** A pooler may have given the session that listens to somebody else, and says nothing of it: only a message that arrives shows that it has not. */
  async #hearItself(connection: Connection, signal: AbortSignal): Promise<void> {
    const topic = `steward_${randomUUID()}`;
    const heard = new Promise<boolean>((resolve) => {
      const timer = this.clock.setTimeout(() => resolve(false), HEARD_WITHIN_MS, { unref: true });
      const listener = (): void => {
        timer.cancel();
        resolve(true);
      };
      this.#channels.set(topic, new Set([{ listener, onListen: undefined }]));
    });
    try {
      await this.#statement(connection, `listen ${quoted(topic)}`);
      const { connectTimeoutMs } = this.#options;
      await onDirectConnection(this, this.#endpoint(), { connectTimeoutMs, signal }, (other) =>
        other.query(`notify ${quoted(topic)}`),
      );
      if (!(await heard)) throw sessionRequired(this.name, "listen()");
      await this.#statement(connection, `unlisten ${quoted(topic)}`);
    } catch (error) {
      this.#connection = undefined; // it is not to be found by the next who asks
      connection.end();
      throw error;
    } finally {
      this.#channels.delete(topic);
    }
  }

  /** Asks a quiet connection for a sign of life: nothing else shows that it is dead. */
  #watchOver(connection: Connection): void {
    this.#watch?.stop();
    if (this.#stopped) return;
    let asked: Promise<boolean> | undefined;
    const ask = (): void => {
      asked = this.#inTurn(() => connection.readsOnly());
      const answered = (readsOnly: boolean): void => {
        asked = undefined;
        // Messages are published where writes go: a primary that became a standby hears none.
        if (readsOnly && connection.isWriting) connection.destroy();
      };
      asked.then(answered, () => answered(false));
    };
    this.#watch = new ConnectionWatch({
      clock: this.clock,
      silenceMs: SILENCE_MS,
      heartbeatMs: HEARTBEAT_MS,
      owed: () => asked,
      received: () => connection.received,
      onSilence: (_silentMs, owes) => (owes ? connection.destroy() : ask()),
    }).start();
  }

  notified(channel: string, payload: string): void {
    if (this.#stopped) return;
    // Not within the driver's parser, which would take an error of a listener for its own.
    for (const { listener } of this.#channels.get(channel) ?? []) queueMicrotask(() => listener(payload));
  }

  closed(connection: Connection): void {
    if (connection !== this.#connection || this.#stopped) return;
    this.#watch?.stop();
    this.#connection = undefined;
    if (this.#channels.size === 0) return;
    this.#isBehind = true;
    this.#reconnect.failed(new Error("the connection broke"));
  }

  /** Listens again to everything, and reports that something may have been missed. */
  #recover(): void {
    // Somebody who listens to a further channel may have connected meanwhile, for that channel alone.
    if (this.#stopped || this.#channels.size === 0 || !this.#isBehind || this.#isCatchingUp) return;
    this.#isCatchingUp = true;
    const failed = (error: unknown): void => {
      this.#isCatchingUp = false;
      this.#connection?.destroy();
      this.#reconnect.failed(error);
    };
    this.#listenAgain().then(() => (this.#isCatchingUp = false), failed);
  }

  async #listenAgain(): Promise<void> {
    const connection = await this.#connected();
    for (const channel of this.#channels.keys()) await this.#statement(connection, `listen ${quoted(channel)}`);
    this.#isBehind = this.#connection !== connection;
    // What these throw is not taken for an error of the connection, which would be made anew without end.
    for (const subscriptions of this.#channels.values())
      for (const { onListen } of subscriptions) if (onListen !== undefined) queueMicrotask(onListen);
    for (const listener of this.#gapListeners) queueMicrotask(listener);
  }

  /** Ends it; nothing is heard any more. Who listens is kept for the next start. */
  stop(): void {
    this.#stopping.abort(this.#error("the database was stopped", false));
    this.#reconnect.stop();
    this.#watch?.stop();
    this.#connection?.end();
    this.#connection = undefined;
  }

  /** Listens again to what was listened to before the stop. */
  start(): void {
    this.#stopping = new AbortController();
    this.#reconnect = this.#makeReconnect();
    this.#isBehind = this.#channels.size > 0;
    outside(() => this.#recover());
  }

  async #within(work: Promise<unknown>): Promise<void> {
    const { acquireTimeoutMs } = this.#options;
    let timer: Timer | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = this.clock.setTimeout(
        () => reject(this.#error(`not listening within ${acquireTimeoutMs} ms`)),
        acquireTimeoutMs,
      );
    });
    try {
      await Promise.race([work, late]);
    } finally {
      timer?.cancel();
    }
  }

  #error(why: string, retryable: boolean = true): StewardError {
    return new StewardError("RESOURCE_UNAVAILABLE", `${this.name}: ${why}`, { resource: this.name, retryable });
  }
}

function quoted(channel: string): string {
  return `"${channel.replaceAll('"', '""')}"`;
}
