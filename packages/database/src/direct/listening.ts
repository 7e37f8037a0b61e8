import { StewardError, type PubSub } from "@steward/core";
import { assertShape, func, required, rule, shape, text, type Rule, type Shape } from "@steward/core/driver";
import type { Sql } from "postgres";
import type { SideWork } from "../client/client.ts";
import type { Endpoint } from "../connections/endpoint.ts";
import { Listener, type ListenerOptions } from "./listener.ts";
import { Subscriptions } from "./subscriptions.ts";

/** Messages that may wait to be published; one more is refused. */
const MOST_UNPUBLISHED = 1_000;

/** More of a name the server does not keep, so nothing published under the whole of it would be heard. */
const MOST_CHANNEL_BYTES = 63;

const channelRule: Rule = /* @__PURE__ */ required(
  rule("string", (channel) => {
    const fault = text()(channel);
    if (fault !== undefined) return fault;
    const bytes = Buffer.byteLength(String(channel));
    return bytes > MOST_CHANNEL_BYTES ? `must have at most ${MOST_CHANNEL_BYTES} bytes, and has ${bytes}` : undefined;
  }),
);

interface ListenArguments {
  readonly channel: string;
  readonly listener: (payload: string) => void;
  readonly onListen: (() => void) | undefined;
}

const listenShape: Shape<ListenArguments> = /* @__PURE__ */ shape<ListenArguments>(() => ({
  channel: channelRule,
  listener: required(func()),
  onListen: func(),
}));

/** `listen` and `subscribe` of the client, on connections of their own, made at first use. */
export class Listening implements SideWork {
  readonly #options: ListenerOptions;
  readonly #endpoint: () => Endpoint | StewardError | undefined;
  readonly #given: Sql | undefined;
  readonly #gapListeners = new Set<() => void>();
  readonly #listener: Listener;
  readonly #subscriptions: Subscriptions;
  /** Where the last start or renewal leads. */
  #last: Endpoint | undefined;
  #published: Promise<unknown> = Promise.resolve();
  #unpublished = 0;

  constructor(options: ListenerOptions, endpoint: () => Endpoint | StewardError | undefined, given: Sql | undefined) {
    this.#options = options;
    this.#endpoint = endpoint;
    this.#given = given;
    const current = (): Endpoint => this.#current();
    this.#listener = new Listener(options, current, this.#gapListeners);
    this.#subscriptions = new Subscriptions(options, current);
  }

  readonly options = (): Sql["options"] | undefined => this.#given?.options;

  readonly place = (): object | undefined => {
    const endpoint = this.#endpoint();
    return endpoint instanceof StewardError ? undefined : endpoint?.place;
  };

  readonly listen = (async (channel: string, listener: (payload: string) => void, onListen?: () => void) => {
    assertShape(`${this.#options.name} listen()`, listenShape, { channel, listener, onListen });
    if (this.#given !== undefined) return this.#given.listen(channel, listener, onListen);
    this.#reached();
    const unlisten = await this.#listener.listen(channel, listener, onListen);
    return { state: {}, unlisten };
  }) as Sql["listen"]; // a promise with the driver's own statement on it, which does not exist here

  readonly subscribe: Sql["subscribe"] = async (...args) => {
    if (this.#given !== undefined) return this.#given.subscribe(...args);
    this.#reached();
    return this.#subscriptions.subscribe(...args);
  };

  /** Connections that broke are made again also while no one else may connect. */
  #current(): Endpoint {
    const now = this.#endpoint();
    if (now !== undefined && !(now instanceof StewardError)) this.#last = now;
    return this.#last ?? this.#reached();
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

  /** Ends both. Who listens is kept for the next start. */
  stop(): void {
    this.#listener.stop();
    this.#subscriptions.stop();
  }

  /** Listens and subscribes again for all who did before a stop. */
  start(endpoint: Endpoint): void {
    this.#last = endpoint;
    this.#listener.start();
    this.#subscriptions.start();
  }
}
