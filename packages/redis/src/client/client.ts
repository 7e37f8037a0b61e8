import { notForUsers } from "@steward/core/driver";
import { Redis, type Command, type RedisOptions } from "ioredis";
import { optionsOfCopy } from "./copy-options.ts";
import type { ReplyMapping } from "./reply-mapping.ts";
import type { Router, UseOptions } from "./router.ts";

/**
 * An ioredis client that is looked after: every command is bounded in time and number, finds its connection, and
 * knows what to do when that breaks. It keeps its identity while connections come and go.
 *
 * Commands, callbacks, pipelines, `multi()`, scripts and pub/sub events work as in ioredis. Blocking commands run on
 * connections of their own. WATCH, MULTI without a pipeline and SELECT need {@link use}. The event `gap` says that
 * messages of subscriptions may have been lost: their connection was made anew, or the manager was stopped and started.
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

  /**
   * Does nothing, for the manager connects; after its end a {@link duplicate} begins again, with its subscriptions, and
   * `gap` says that they may have missed messages.
   * @throws {RESOURCE_UNAVAILABLE} from a copy, while the manager does not run.
   */
  override async connect(): Promise<void> {
    if (this.#router.isCopy) this.#router.assertAvailable();
    if (!this.#router.isEnded) return;
    this.#router.begin();
    this.announce("ready");
  }

  /** Ends a {@link duplicate}. @throws {LIFECYCLE_CONFLICT} on the client of a manager: others use it too. */
  override disconnect(): void {
    if (!this.#router.isCopy) throw notForUsers(this.#router.resource, "disconnect");
    void this.#finish();
  }

  /** Ends a {@link duplicate}. @throws {LIFECYCLE_CONFLICT} on the client of a manager: others use it too. */
  override async quit(): Promise<"OK"> {
    if (!this.#router.isCopy) throw notForUsers(this.#router.resource, "quit");
    await this.#finish();
    return "OK";
  }

  async #finish(): Promise<void> {
    if (this.#router.isEnded) return;
    await this.#router.end();
    if (this.#router.isEnded) this.announce("end");
  }

  /**
   * A client with subscriptions and an end of its own, for libraries that want one. Its commands pass the same guard and
   * take the same connections; its blocking commands end with it, and none of them loses an element.
   *
   * @throws {REDIS_COMMAND_REFUSED} for options that say where it leads, as whom, or to which keys: that is another
   * resource; and for options that would have no effect.
   */
  override duplicate<Override extends Partial<RedisOptions> | undefined = undefined>(
    override?: Override,
  ): Redis<ReplyMapping<Override>> {
    const refuse = this.#router.notOffered.bind(this.#router);
    const given = optionsOfCopy<Partial<RedisOptions>>(override, this.options, refuse);
    const router = this.#router.copy(() => copy);
    const copy = new RedisClient({ ...this.options, ...given, lazyConnect: true }, router);
    router.begin(given.connectionName);
    copy.status = this.status;
    return copy as unknown as Redis<ReplyMapping<Override>>; // "legacy", as its connections are
  }

  /** @throws {REDIS_COMMAND_REFUSED} always: the driver would open a connection that is not managed. */
  override monitor(): Promise<never> {
    return Promise.reject(this.#router.notOffered("monitor()", "use a client of your own"));
  }

  /** Announces a change of the connection, as the driver would. @internal */
  announce(status: "ready" | "reconnecting" | "end"): void {
    if (status === "ready") this.#become("connect");
    else if (this.status === "ready") this.#become("close");
    this.#become(status);
  }

  #become(status: Redis["status"]): void {
    this.status = status;
    this.emit(status);
  }
}
