import { notForUsers } from "@steward/core/driver";
import { Cluster, type ClusterOptions, type Command, type Redis } from "ioredis";
import type { PipelineNode } from "../connection/backend.ts";
import type { Router, UseOptions } from "../client/router.ts";

type Seeds = ConstructorParameters<typeof Cluster>[0];

/**
 * An ioredis cluster client that is looked after, as {@link RedisClient} is. Blocking commands and {@link use} run on
 * connections of their own to the node that has the key.
 */
export class RedisClusterClient extends Cluster {
  readonly #router: Router;
  #isFinished = false;

  /** @internal */
  constructor(seeds: Seeds, options: ClusterOptions, router: Router) {
    super(seeds, options as ClusterOptions & { redisOptions?: { replyMapping?: "legacy" } }); // the reply mapping makes no difference here
    this.#router = router;
  }

  /**
   * Lends a connection to one node for the length of `work`: the node that has `key`, where one is given.
   *
   * @throws {DEADLINE_EXCEEDED} when none is free within `acquireTimeoutMs`.
   * @throws {OVERLOADED} when too many wait for one.
   */
  use<T>(work: (connection: Redis) => Promise<T> | T, options: UseOptions = {}): Promise<T> {
    return this.#router.use(work, options);
  }

  /** @internal */
  override sendCommand(command: Command, stream?: unknown, node?: PipelineNode): unknown {
    return this.#router.send(command, stream, node);
  }

  /** Hands a command to the driver. @internal */
  deliver(command: Command, node?: PipelineNode): void {
    super.sendCommand(command, undefined, node);
  }

  /** Makes the driver connect. @internal */
  begin(): Promise<void> {
    this.#isFinished = false;
    return super.connect();
  }

  /** Makes the driver disconnect. @internal */
  finish(): void {
    this.#isFinished = true;
    super.disconnect();
  }

  /**
   * Fetches the map of slots. Once it is finished no one hears of the end: the driver would begin its next round, and go on
   * for ever, where a round was under way when it disconnected.
   */
  override refreshSlotsCache(callback?: (error?: Error | null) => void): void {
    super.refreshSlotsCache((error) => {
      if (!this.#isFinished) callback?.(error);
    });
  }

  /** Does nothing: the manager connects. */
  override connect(): Promise<void> {
    return Promise.resolve();
  }

  /** Reconnects, where the driver asks itself to. @throws {LIFECYCLE_CONFLICT} for everybody else: others use it too. */
  override disconnect(reconnect?: boolean): void {
    if (reconnect !== true) throw notForUsers(this.#router.resource, "disconnect");
    super.disconnect(true);
  }

  /** @throws {LIFECYCLE_CONFLICT} always: others use it too. */
  override quit(): Promise<never> {
    return Promise.reject(notForUsers(this.#router.resource, "quit"));
  }

  /** @throws {REDIS_COMMAND_REFUSED} always: a copy would not be managed. */
  override duplicate(): never {
    throw this.#router.notOffered("duplicate()", "define another resource, or borrow a connection with use()");
  }
}
