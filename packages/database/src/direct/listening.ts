import type { Duplex } from "node:stream";
import { StewardError, type PubSub } from "@steward/core";
import type { Sql } from "postgres";
import type { SideWork } from "../client/client.ts";
import type { Endpoint } from "../connections/endpoint.ts";
import { sessionRequired } from "../connections/refusals.ts";
import { onDirectConnection } from "./direct.ts";
import { Listener, type ListenerOptions } from "./listener.ts";

/** Messages that may wait to be published; one more is refused. */
const MOST_UNPUBLISHED = 1_000;

/** `listen` and `subscribe` of the client, on connections of their own, made at first use. */
export class Listening implements SideWork {
  readonly #options: ListenerOptions;
  readonly #endpoint: () => Endpoint | StewardError | undefined;
  readonly #given: Sql | undefined;
  readonly #gapListeners = new Set<() => void>();
  #listener: Listener | undefined;
  #replica: Sql | undefined;
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
    const endpoint = this.#reached();
    await this.#mustBeDirect(endpoint, "subscribe()");
    let socket: Duplex | undefined;
    this.#replica ??= endpoint.client({
      mode: { asText: false },
      socket: (plug) => (socket = plug()),
      onClose() {},
      onNoPassword: (cause) => socket?.destroy(new Error("the password could not be fetched", { cause })),
    });
    return this.#replica.subscribe(...args);
  };

  /** The driver would end the process by a rejection that no one hears. */
  async #mustBeDirect(endpoint: Endpoint, what: string): Promise<void> {
    const { connectTimeoutMs } = this.#options;
    const { signal } = new AbortController();
    const isDirect = await onDirectConnection(
      this.#options,
      endpoint,
      { connectTimeoutMs, signal },
      async (connection) => connection.direct,
    );
    if (!isDirect) throw sessionRequired(this.#options.name, what);
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
    this.#replica?.end({ timeout: 0 }).catch(() => {});
    this.#listener = this.#replica = undefined;
  }
}
