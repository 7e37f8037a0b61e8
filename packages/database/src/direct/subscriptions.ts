import { StewardError, type Timer } from "@steward/core";
import { assertShape, func, required, shape, text, type Shape } from "@steward/core/driver";
import type { Endpoint } from "../connections/endpoint.ts";
import { outside } from "../connections/outside.ts";
import { sessionRequired } from "../connections/refusals.ts";
import { onDirectConnection } from "./direct.ts";
import type { ListenerOptions } from "./listener.ts";
import { Replica, type Handle, type Subscribe } from "./replica.ts";

/** Pause before a subscription that broke is made anew, in ms. */
const AGAIN_MS = 200;

/** What was asked for by `subscribe`, and what stands for it at the present server. */
interface Subscription {
  readonly args: Subscribe;
  replica: Replica;
  handle: Handle;
}

interface SubscribeArguments {
  readonly event: string;
  readonly callback: Subscribe[1];
  readonly onSubscribe: Subscribe[2];
  readonly onError: Subscribe[3];
}

const subscribeShape: Shape<SubscribeArguments> = /* @__PURE__ */ shape<SubscribeArguments>(() => ({
  event: required(text(true)),
  callback: required(func()),
  onSubscribe: func(),
  onError: func(),
}));

/** All subscriptions to changes, on one connection of their own: on the next one when that breaks, and after a stop at the next start. */
export class Subscriptions {
  readonly #options: ListenerOptions;
  readonly #endpoint: () => Endpoint;
  readonly #subscriptions = new Set<Subscription>();
  #replica: Replica | undefined;
  #stopping = new AbortController();
  /** Before the next attempt to catch up. */
  #pause: Timer | undefined;

  /** @param endpoint Where the next connection leads. */
  constructor(options: ListenerOptions, endpoint: () => Endpoint) {
    this.#options = options;
    this.#endpoint = endpoint;
  }

  /** As `subscribe()` of postgres.js. */
  async subscribe(...args: Subscribe): Promise<Handle> {
    const [event, callback, onSubscribe, onError] = args;
    assertShape(`${this.#options.name} subscribe()`, subscribeShape, { event, callback, onSubscribe, onError });
    const { signal } = this.#stopping;
    let isOver = false;
    // Not within the driver's parser, which would take an error of the callback for its own and end the stream.
    const hear: Subscribe[1] = (...change) =>
      queueMicrotask(() => {
        if (!isOver) callback(...change);
      });
    try {
      // What comes over its connection is for all: it is not work of the request that happens to subscribe first.
      const subscription = await outside(() => this.#begin([event, hear, onSubscribe, onError], signal));
      const unsubscribe = (): void => {
        isOver = true;
        this.#end(subscription);
      };
      // Without the driver's client of it, which is ours, and knows the password.
      return { unsubscribe };
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    }
  }

  async #begin(args: Subscribe, signal: AbortSignal): Promise<Subscription> {
    const replica = await this.#connected(signal);
    const handle = await this.#subscribeAt(replica, args);
    const subscription: Subscription = { args, replica, handle };
    this.#subscriptions.add(subscription);
    if (this.#replica !== replica) this.#catchUpSoon();
    try {
      args[2]?.();
    } catch (error) {
      this.#end(subscription);
      throw error;
    }
    return subscription;
  }

  /** The driver gives the error of its first attempt to all who come later, so that one is of no use any more. */
  async #subscribeAt(replica: Replica, [event, callback, , onError]: Subscribe): Promise<Handle> {
    try {
      return await replica.subscribe(event, callback, undefined, onError);
    } catch (error) {
      replica.end();
      this.#lost(replica);
      throw error;
    }
  }

  #end(subscription: Subscription): void {
    this.#subscriptions.delete(subscription);
    subscription.handle.unsubscribe();
  }

  async #connected(signal: AbortSignal): Promise<Replica> {
    if (this.#replica !== undefined) return this.#replica;
    const endpoint = await this.#direct(signal);
    return (this.#replica ??= this.#replicate(endpoint));
  }

  #replicate(endpoint: Endpoint): Replica {
    const { clock } = this.#options;
    const isWaiting = (pid: number): Promise<boolean> => this.#isWaiting(endpoint, pid);
    const replica: Replica = new Replica({ clock, endpoint, isWaiting, onLost: () => this.#lost(replica) });
    return replica;
  }

  /** The host that takes a connection, if that leads to the server itself: through a pooler the driver would fail where no one hears it. */
  async #direct(signal: AbortSignal): Promise<Endpoint> {
    signal.throwIfAborted();
    const { name, connectTimeoutMs } = this.#options;
    const limits = { connectTimeoutMs, signal };
    const found = await onDirectConnection(this.#options, this.#endpoint(), limits, async (connection) => connection);
    signal.throwIfAborted();
    if (!found.direct) throw sessionRequired(name, "subscribe()");
    return found.endpoint;
  }

  async #isWaiting(endpoint: Endpoint, pid: number): Promise<boolean> {
    const limits = { connectTimeoutMs: this.#options.connectTimeoutMs, signal: this.#stopping.signal };
    // A backend that waits for its client, or for something to do, would have answered.
    const text = `select 1 from pg_stat_activity where pid = ${Number(pid)} and coalesce(wait_event_type, '') not in ('Activity', 'Client')`;
    const atWork = await onDirectConnection(this.#options, endpoint, limits, (connection) => connection.query(text));
    return atWork.length === 0;
  }

  #lost(replica: Replica): void {
    if (this.#replica !== replica) return;
    this.#replica = undefined;
    if (this.#subscriptions.size > 0) this.#catchUpSoon();
  }

  #catchUpSoon(): void {
    if (this.#stopping.signal.aborted) return;
    this.#pause?.cancel();
    this.#pause = this.#options.clock.setTimeout(() => void this.#catchUp(), AGAIN_MS);
  }

  /** Moves all to the host that is there: after a break another one may have taken over. */
  async #catchUp(): Promise<void> {
    const { signal } = this.#stopping;
    try {
      const replica = await this.#connected(signal);
      for (const subscription of this.#subscriptions)
        if (subscription.replica !== replica) await this.#move(subscription, replica);
    } catch {
      if (!signal.aborted) this.#catchUpSoon();
    }
  }

  async #move(subscription: Subscription, replica: Replica): Promise<void> {
    const handle = await this.#subscribeAt(replica, subscription.args);
    // It may have ended, or been moved by somebody else meanwhile.
    const isWanted = this.#subscriptions.has(subscription) && this.#replica === replica;
    if (!isWanted || subscription.replica === replica) return handle.unsubscribe();
    Object.assign(subscription, { replica, handle });
    // What it throws is not taken for an error of the connection, which would be made anew without end.
    const [, , onSubscribe] = subscription.args;
    if (onSubscribe !== undefined) queueMicrotask(onSubscribe);
  }

  /** Ends the connection, and what is under way. */
  stop(): void {
    const { name: resource } = this.#options;
    this.#stopping.abort(
      new StewardError("RESOURCE_UNAVAILABLE", `${resource}: the database was stopped`, { resource }),
    );
    this.#pause?.cancel();
    this.#replica?.end();
    this.#replica = undefined;
  }

  /** Subscribes again to what was subscribed to before the stop. */
  start(): void {
    this.#stopping = new AbortController();
    if (this.#subscriptions.size > 0) void outside(() => this.#catchUp());
  }
}
