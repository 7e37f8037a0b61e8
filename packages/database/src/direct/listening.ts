import type { Duplex } from "node:stream";
import { StewardError, type PubSub, type Timer } from "@steward/core";
import type { Sql } from "postgres";
import type { SideWork } from "../client/client.ts";
import { driverOptions } from "../connections/driver.ts";
import type { Endpoint } from "../connections/endpoint.ts";
import { sessionRequired } from "../connections/refusals.ts";
import { onDirectConnection } from "./direct.ts";
import { Listener, type ListenerOptions } from "./listener.ts";

/** Pause before a subscription that broke is made anew, in ms. */
const AGAIN_MS = 200;
/** Messages that may wait to be published; one more is refused. */
const MOST_UNPUBLISHED = 1_000;

type Subscribe = Parameters<Sql["subscribe"]>;
type Handle = Awaited<ReturnType<Sql["subscribe"]>>;

/** What was asked for by `subscribe`, and what stands for it at the present server. */
interface Subscription {
  readonly args: Subscribe;
  handle: Handle;
}

/** `listen` and `subscribe` of the client, on connections of their own, made at first use. */
export class Listening implements SideWork {
  readonly #options: ListenerOptions;
  readonly #endpoint: () => Endpoint | StewardError | undefined;
  readonly #given: Sql | undefined;
  readonly #gapListeners = new Set<() => void>();
  #listener: Listener | undefined;
  #replica: Sql | undefined;
  readonly #subscriptions = new Set<Subscription>();
  /** Before the next attempt to move them. */
  #pause: Timer | undefined;
  #published: Promise<unknown> = Promise.resolve();
  #unpublished = 0;

  constructor(options: ListenerOptions, endpoint: () => Endpoint | StewardError | undefined, given: Sql | undefined) {
    this.#options = options;
    this.#endpoint = endpoint;
    this.#given = given;
  }

  readonly options = (): Sql["options"] | undefined => this.#given?.options;

  readonly place = (): object | undefined => {
    const endpoint = this.#endpoint();
    return endpoint instanceof StewardError ? undefined : endpoint?.place;
  };

  readonly listen = (async (channel: string, listener: (payload: string) => void, onListen?: () => void) => {
    if (this.#given !== undefined) return this.#given.listen(channel, listener, onListen);
    this.#listener ??= this.#makeListener(this.#reached());
    const unlisten = await this.#listener.listen(channel, listener, onListen);
    return { state: {}, unlisten };
  }) as Sql["listen"]; // a promise with the driver's own statement on it, which does not exist here

  /** It connects again to where the last renewal leads. */
  #makeListener(first: Endpoint): Listener {
    let endpoint = first;
    const current = (): Endpoint => {
      const now = this.#endpoint();
      if (now !== undefined && !(now instanceof StewardError)) endpoint = now;
      return endpoint;
    };
    return new Listener(this.#options, current, this.#gapListeners);
  }

  readonly subscribe: Sql["subscribe"] = async (...args) => {
    if (this.#given !== undefined) return this.#given.subscribe(...args);
    const endpoint = await this.#direct(this.#reached(), "subscribe()");
    const replica = (this.#replica ??= this.#replicate(endpoint));
    try {
      const subscription: Subscription = { args, handle: await replica.subscribe(...args) };
      this.#subscriptions.add(subscription);
      const unsubscribe = (): void => {
        this.#subscriptions.delete(subscription);
        subscription.handle.unsubscribe();
      };
      return { ...subscription.handle, unsubscribe };
    } catch (error) {
      // The driver would give the error of its first attempt to all who come later.
      if (this.#replica === replica && this.#subscriptions.size === 0) this.#endReplica();
      throw error;
    }
  };

  /** After a break all subscriptions move to the host that is there: another one may have taken over. */
  async #move(from: Sql): Promise<void> {
    if (this.#replica !== from) return;
    try {
      const endpoint = await this.#direct(this.#reached(), "subscribe()");
      if (this.#replica !== from) return;
      from.end({ timeout: 0 }).catch(() => {});
      const replica = (this.#replica = this.#replicate(endpoint));
      for (const subscription of this.#subscriptions)
        subscription.handle = await replica.subscribe(...subscription.args);
    } catch {
      if (this.#replica !== undefined) this.#moveSoon(this.#replica);
    }
  }

  #moveSoon(from: Sql): void {
    if (this.#replica !== from) return;
    this.#pause?.cancel();
    this.#pause = this.#options.clock.setTimeout(() => void this.#move(from), AGAIN_MS);
  }

  #replicate(endpoint: Endpoint): Sql {
    let socket: Duplex | undefined;
    const client = endpoint.client({
      mode: { asText: false },
      socket: (plug) => (socket = plug()),
      onClose() {},
      onNoPassword: (cause) => socket?.destroy(new Error("the password could not be fetched", { cause })),
    });
    const own = driverOptions((client.subscribe as unknown as { readonly sql: Sql }).sql); // missing in the driver's types
    // The driver would connect to the same host anew, and end the process where no one hears the rejection of an attempt that fails.
    own["onclose"] = () => this.#moveSoon(client);
    return client;
  }

  /** The host that takes a connection, if that leads to the server itself: through a pooler the driver would fail where no one hears it. */
  async #direct(endpoint: Endpoint, what: string): Promise<Endpoint> {
    const { connectTimeoutMs } = this.#options;
    const { signal } = new AbortController();
    const found = await onDirectConnection(
      this.#options,
      endpoint,
      { connectTimeoutMs, signal },
      async (connection) => connection,
    );
    if (!found.direct) throw sessionRequired(this.#options.name, what);
    return found.endpoint;
  }

  #reached(): Endpoint {
    const endpoint = this.#endpoint();
    if (endpoint !== undefined && !(endpoint instanceof StewardError)) return endpoint;
    throw (
      endpoint ??
      new StewardError("RESOURCE_UNAVAILABLE", `${this.#options.name}: not started`, {
        resource: this.#options.name,
        retryable: true,
      })
    );
  }

  /** The port over these channels; `sql` publishes. */
  pubSub(sql: () => Sql): PubSub {
    return {
      publish: (topic, message) => this.#inTurn(async () => void (await sql().notify(topic, message))),
      subscribe: async (topic, listener) => (await this.listen(topic, listener)).unlisten,
      onGap: (listener) => {
        this.#gapListeners.add(listener);
        return () => void this.#gapListeners.delete(listener);
      },
    };
  }

  /** Connections of a pool overtake one another, so each message waits until the one before it is out. */
  async #inTurn(publish: () => Promise<void>): Promise<void> {
    const { name: resource } = this.#options;
    if (this.#unpublished >= MOST_UNPUBLISHED)
      throw new StewardError("OVERLOADED", `${resource}: ${MOST_UNPUBLISHED} messages wait to be published`, {
        resource,
        retryable: true,
      });
    this.#unpublished++;
    const published = this.#published.then(publish);
    this.#published = published.catch(() => {}).then(() => this.#unpublished--);
    await published;
  }

  /** Ends both. */
  stop(): void {
    this.#listener?.stop();
    this.#listener = undefined;
    this.#endReplica();
  }

  #endReplica(): void {
    this.#replica?.end({ timeout: 0 }).catch(() => {});
    this.#replica = undefined;
    this.#pause?.cancel();
    this.#subscriptions.clear();
  }
}
