import { notForUsers } from "@steward/core/driver";
import { Redis, type Command, type RedisOptions } from "ioredis";
import type { Router, UseOptions } from "./router.ts";

/**
 * An ioredis client that is looked after: every command is bounded in time and number, finds its connection, and
 * knows what to do when that breaks. It keeps its identity while connections come and go.
 *
 * Commands, callbacks, pipelines, `multi()`, scripts and pub/sub events work as in ioredis. Blocking commands run on
 * connections of their own. WATCH, MULTI without a pipeline and SELECT need {@link use}. The event `gap` says that
 * messages of subscriptions may have been lost.
 */
export class RedisClient extends Redis {
  readonly #router: Router;

  /** @internal */
  constructor(facade: RedisOptions, router: Router) {
    super(facade as RedisOptions & { replyMapping?: "legacy" }); // the facade never sees a reply
    this.#router = router;
  }

  /**
   * Lends a connection of one's own for the length of `work`, such as for WATCH and MULTI.
   *
   * @throws {DEADLINE_EXCEEDED} when none is free within `acquireTimeoutMs`.
   * @throws {OVERLOADED} when too many wait for one.
   * @throws {REDIS_CONNECT_FAILED} when a new one cannot be made.
   *
   * @example
   * ```ts needs=redis
   * import { RedisPoolManager } from "@steward/redis";
   * await using redis = await new RedisPoolManager({ url: process.env["REDIS_URL"] }).start();
   * const stock = await redis.client.use(async (connection) => {
   *   await connection.watch("stock");
   *   const left = Number(await connection.get("stock"));
   *   await connection.multi().set("stock", left + 1).exec();
   *   return left + 1;
   * });
   * console.log(stock > 0); // => true
   * ```
   */
  use<T>(work: (connection: Redis) => Promise<T> | T, options: UseOptions = {}): Promise<T> {
    return this.#router.use(work, options);
  }

  /** @internal */
  override sendCommand(command: Command, stream?: unknown): unknown {
    return this.#router.send(command, stream);
  }

  /** Does nothing: the manager connects. */
  override connect(): Promise<void> {
    return Promise.resolve();
  }

  /** @throws {LIFECYCLE_CONFLICT} always: others use it too. */
  override disconnect(): never {
    throw notForUsers(this.#router.resource, "disconnect");
  }

  /** @throws {LIFECYCLE_CONFLICT} always: others use it too. */
  override quit(): Promise<never> {
    return Promise.reject(notForUsers(this.#router.resource, "quit"));
  }

  /** @throws {REDIS_COMMAND_REFUSED} always: a copy would not be managed. */
  override duplicate(): never {
    throw this.#router.notOffered("duplicate()", "define another resource, or borrow a connection with use()");
  }

  /** @throws {REDIS_COMMAND_REFUSED} always: the driver would open a connection that is not managed. */
  override monitor(): Promise<never> {
    return Promise.reject(this.#router.notOffered("monitor()", "use a client of your own"));
  }

  /** Announces a change of the connection, as the driver would. @internal */
  announce(status: Redis["status"]): void {
    this.status = status;
    this.emit(status);
  }
}
