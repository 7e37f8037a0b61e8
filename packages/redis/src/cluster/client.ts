import { notForUsers } from "@steward/core/driver";
import { Cluster, type ClusterOptions, type Command, type Redis } from "ioredis";
import type { PipelineNode } from "../connection/backend.ts";
import { optionsOfCopy } from "../client/copy-options.ts";
import type { ClusterReplyMapping } from "../client/reply-mapping.ts";
import type { Router, UseOptions } from "../client/router.ts";
import { withPermitted } from "../connection/outcome.ts";
import { inDriversWords, notSent, type Attempts, type FailedPipeline, type Handlers } from "./sending-again.ts";

type NodeOptions = NonNullable<ClusterOptions["redisOptions"]>;
type Seeds = ConstructorParameters<typeof Cluster>[0];

/** By these the driver finds the node of a pipeline. A copy never connects, so it has none of its own. */
const MAP = ["slots", "_groupsBySlot", "_groupsIds", "connectionPool"] as const;

/**
 * An ioredis cluster client that is looked after, as {@link RedisClient} is. Blocking commands and {@link use} run on
 * connections of their own to the node that has the key.
 */
export class RedisClusterClient extends Cluster {
  readonly #router: Router;
  readonly #attempts: Attempts;
  /** Of a copy: the client that it is a copy of. */
  readonly #original: RedisClusterClient | undefined;
  #isFinished = false;

  /** @internal */
  constructor(
    seeds: Seeds,
    options: ClusterOptions,
    router: Router,
    attempts: Attempts,
    original?: RedisClusterClient,
  ) {
    super(seeds, options as ClusterOptions & { redisOptions?: { replyMapping?: "legacy" } }); // the reply mapping makes no difference here
    this.#router = router;
    this.#attempts = attempts;
    this.#original = original;
    if (original === undefined) return;
    for (const name of MAP) Object.defineProperty(this, name, { get: () => Reflect.get(original, name) });
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
    const { reject } = withPermitted(command);
    command.reject = (error) => reject(notSent(this.#router.resource, error));
    super.sendCommand(command, undefined, node);
  }

  /** Decides whether to send again. @internal */
  override handleError(error: Error, attempts: FailedPipeline, handlers: Handlers): void {
    super.handleError(inDriversWords(error), attempts, this.#attempts.bounded(attempts, handlers));
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
    if (this.#original !== undefined) return this.#original.refreshSlotsCache(callback);
    super.refreshSlotsCache((error) => {
      if (!this.#isFinished) callback?.(error);
    });
  }

  /** Where a pipeline waits for the first map of slots: before the start of the manager it is refused, as a command is. */
  override delayUntilReady(callback: (error?: Error | null) => void): void {
    try {
      this.#router.assertAvailable();
      super.delayUntilReady(callback);
    } catch (error) {
      callback(error as Error); // it throws nothing else
    }
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

  /**
   * Ends a {@link duplicate}. Reconnects, where the driver asks itself to.
   * @throws {LIFECYCLE_CONFLICT} on the client of a manager: others use it too.
   */
  override disconnect(reconnect?: boolean): void {
    if (this.#original !== undefined) return void this.#end();
    if (reconnect !== true) throw notForUsers(this.#router.resource, "disconnect");
    super.disconnect(true);
  }

  /** Ends a {@link duplicate}. @throws {LIFECYCLE_CONFLICT} on the client of a manager: others use it too. */
  override async quit(): Promise<"OK"> {
    if (this.#original === undefined) throw notForUsers(this.#router.resource, "quit");
    await this.#end();
    return "OK";
  }

  async #end(): Promise<void> {
    if (this.#router.isEnded) return;
    await this.#router.end();
    if (this.#router.isEnded) this.announce("end");
  }

  /**
   * A client with subscriptions and an end of its own, as that of {@link RedisClient}.
   *
   * @throws {REDIS_COMMAND_REFUSED} with other nodes to begin with: they would need other connections; with options that
   * say as whom or to which keys it leads; and with options that would have no effect.
   */
  override duplicate<Override extends ClusterOptions | undefined = undefined>(
    nodes: Seeds = [],
    options?: Override,
  ): Cluster<ClusterReplyMapping<Override>> {
    const refuse = this.#router.notOffered.bind(this.#router);
    if (!Array.isArray(nodes) || nodes.length > 0)
      throw refuse("duplicate() with other nodes", "define another resource for that");
    const { redisOptions: own = {} } = this.options;
    const { redisOptions, ...rest } = options ?? ({} satisfies ClusterOptions);
    const ofNodes = optionsOfCopy<NodeOptions>(redisOptions, own, refuse);
    const given = {
      ...this.options,
      ...optionsOfCopy<ClusterOptions>(rest, this.options, refuse),
      redisOptions: { ...own, ...ofNodes },
      lazyConnect: true,
    };
    const original = this.#original ?? this;
    const router = this.#router.copy(() => copy);
    const copy = new RedisClusterClient([{ host: "localhost" }], given, router, this.#attempts, original);
    router.begin(ofNodes.connectionName);
    copy.status = original.status;
    return copy as unknown as Cluster<ClusterReplyMapping<Override>>; // "legacy", as its connections are
  }

  /** Announces a change to a copy; the driver does so itself for the client of a manager. @internal */
  announce(status: "ready" | "reconnecting" | "end"): void {
    if (this.#original === undefined) return;
    this.status = status;
    this.emit(status);
  }
}
