import { AsyncLocalStorage } from "node:async_hooks";
import type { PubSub } from "@steward/core";
import type { RedisClient } from "../client/client.ts";
import type { RedisClusterClient } from "../cluster/client.ts";

type Client = RedisClient | RedisClusterClient;
type Listener = (message: string) => void;

const pubSubs = new WeakMap<Client, PubSub>();

/** Beyond any request: the connection on which messages arrive was made within the one that happened to need it first. */
const outside = AsyncLocalStorage.snapshot();

/**
 * Pub/sub of a Redis as a port. All callers with one client share one, so that none ends the subscription of another.
 *
 * @example
 * ```ts needs=redis
 * import { redisPubSub, RedisPoolManager } from "@steward/redis";
 * await using redis = await new RedisPoolManager({ url: process.env["REDIS_URL"] }).start();
 * const bus = redisPubSub(redis.client);
 * const heard = new Promise((resolve) => void bus.subscribe("news", resolve).then(() => bus.publish("news", "hello")));
 * console.log(await heard); // => hello
 * ```
 */
export function redisPubSub(client: Client): PubSub {
  let known = pubSubs.get(client);
  if (known === undefined) pubSubs.set(client, (known = new ClientPubSub(client)));
  return known;
}

/** Who listens to a topic, and whether the server knows yet. */
interface Topic {
  readonly listeners: Set<Listener>;
  readonly subscribed: Promise<unknown>;
}

class ClientPubSub implements PubSub {
  readonly #client: Client;
  readonly #topics = new Map<string, Topic>();

  constructor(client: Client) {
    this.#client = client;
    client.on("message", (topic: string, message: string) => outside(() => this.#deliver(topic, message)));
  }

  async publish(topic: string, message: string): Promise<void> {
    await this.#client.publish(topic, message);
  }

  async subscribe(topic: string, listener: Listener): Promise<() => Promise<void>> {
    // One entry per call, so that the same function may listen twice.
    const entry: Listener = (message) => listener(message);
    const known = this.#topics.get(topic) ?? {
      listeners: new Set<Listener>(),
      subscribed: this.#client.subscribe(topic),
    };
    this.#topics.set(topic, known);
    known.listeners.add(entry);
    try {
      await known.subscribed;
    } catch (error) {
      this.#leave(topic, known, entry);
      throw error;
    }
    return async () => {
      if (this.#leave(topic, known, entry)) await this.#client.unsubscribe(topic);
    };
  }

  onGap(listener: () => void): () => void {
    this.#client.on("gap", listener);
    return () => void this.#client.off("gap", listener);
  }

  /** True when the topic has no listener any more. */
  #leave(topic: string, known: Topic, entry: Listener): boolean {
    const left = known.listeners.delete(entry) && known.listeners.size === 0;
    if (left && this.#topics.get(topic) === known) this.#topics.delete(topic);
    return left;
  }

  #deliver(topic: string, message: string): void {
    for (const listener of this.#topics.get(topic)?.listeners ?? []) {
      try {
        listener(message);
      } catch (error) {
        // It concerns the author of the listener, not the listeners beside it.
        process.nextTick(() => {
          throw error;
        });
      }
    }
  }
}
