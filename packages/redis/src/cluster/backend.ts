import { StewardError, type Clock, type Guard } from "@steward/core";
import { aborted, backoffMs, describeError } from "@steward/core/driver";
import type { ClusterOptions, Command, Redis } from "ioredis";
import type { Backend, BackendStats, PipelineNode } from "../connection/backend.ts";
import { withoutCommand } from "../connection/link.ts";
import { nodePlan, type LinkPlan } from "../connection/plan.ts";
import type { RedisClusterSettings } from "../options.ts";
import type { RedisClusterClient } from "./client.ts";
import { NodeWatch } from "./node-watch.ts";
import { Succession } from "./succession.ts";

/** What the backend of a cluster needs to know. */
export interface ClusterBackendSetup {
  readonly resource: string;
  readonly clock: Clock;
  readonly settings: RedisClusterSettings;
  readonly guard: Guard;
  readonly client: () => RedisClusterClient;
  /** Called with every node that is to be connected to, also those that others named. */
  readonly reached: (host: string, port: number) => void;
}

/** How long the driver waits before it looks for the new owner of a slot, in ms. */
const FAILOVER_STEP_MS = 100;

/** The driver's options of a cluster. */
export function clusterOptions(settings: RedisClusterSettings, facade: ClusterOptions): ClusterOptions {
  const { scaleReads, timeoutMs, connectTimeoutMs, reconnect, keepAliveMs, connectionName } = settings;
  const pause = (times: number): number => backoffMs(times - 1, reconnect, "equal");
  return {
    ...facade,
    scaleReads: scaleReads === "replica" ? "slave" : scaleReads,
    natMap: natMapOf(settings),
    slotsRefreshInterval: settings.slotsRefreshMs,
    slotsRefreshTimeout: connectTimeoutMs,
    clusterRetryStrategy: pause,
    clusterNodeRetryStrategy: pause,
    // A command for a node that is not there is sent again after this step, until its deadline.
    retryDelayOnFailover: FAILOVER_STEP_MS,
    maxRedirections: 16 + Math.ceil(timeoutMs / FAILOVER_STEP_MS),
    enableOfflineQueue: false,
    // It asks a node that may still be connecting; `open` does it with patience.
    enableReadyCheck: false,
    redisOptions: {
      connectTimeout: connectTimeoutMs,
      keepAlive: keepAliveMs,
      disconnectTimeout: 50,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: null,
      ...(connectionName === undefined ? {} : { connectionName }),
    },
  };
}

function natMapOf({ natMap = {} }: RedisClusterSettings): Record<string, { host: string; port: number }> {
  const entries = Object.entries(natMap).map(([announced, { host, port = 6_379 }]) => [announced, { host, port }]);
  return Object.fromEntries(entries);
}

/** Carries commands by the driver's own cluster client, which knows slots and redirections. */
export class ClusterBackend implements Backend {
  readonly #setup: ClusterBackendSetup;
  readonly #watches = new Map<Redis, NodeWatch>();
  readonly #counts = { reconnects: 0, retired: 0, resent: 0, unknown: 0 };
  #lastError: unknown;
  #hooked = false;
  #running = false;
  #renewal = Promise.resolve();

  constructor(setup: ClusterBackendSetup) {
    this.#setup = setup;
  }

  async open(signal: AbortSignal): Promise<void> {
    const client = this.#setup.client();
    this.#hook(client);
    this.#running = true;
    this.#lastError = undefined;
    await this.#fetchCredentials();
    const aborted = new Promise<never>((_, reject) =>
      signal.addEventListener("abort", () => reject(signal.reason), { once: true }),
    );
    try {
      await Promise.race([this.#connect(client), aborted]);
    } catch (cause) {
      if (signal.aborted) throw signal.reason;
      throw this.#failure(cause);
    }
  }

  #credentials: { username?: string; password?: string; tls?: NonNullable<Redis["options"]["tls"]> } = {};

  async #fetchCredentials(): Promise<void> {
    const { settings } = this.#setup;
    const first = settings.cluster[0] ?? { host: "localhost" };
    const { username, password, tls } = await nodePlan(settings, first.host, first.port ?? 6_379).options();
    this.#credentials = {
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      ...(tls === undefined ? {} : { tls }),
    };
  }

  async #connect(client: RedisClusterClient): Promise<void> {
    const { clock, settings } = this.#setup;
    await client.begin();
    const until = clock.now() + settings.connectTimeoutMs;
    // Nodes connect side by side; one that is down does not keep the others from serving.
    while (clock.now() < until && client.nodes("master").some((node) => node.status !== "ready")) await clock.sleep(5);
    const ready = client.nodes("master").find((node) => node.status === "ready");
    if (ready === undefined) throw new Error("no master answers");
    const info = String(await ready.cluster("INFO"));
    if (!info.includes("cluster_state:ok")) throw new Error("the cluster says that it is down (cluster_state)");
  }

  #failure(cause: unknown): StewardError {
    const { resource, settings } = this.#setup;
    const where = settings.cluster.map(({ host, port = 6_379 }) => `${host}:${port}`).join(", ");
    const why = describeError(this.#lastError ?? cause);
    return new StewardError(
      "REDIS_CONNECT_FAILED",
      `${resource}: cannot connect to the cluster at ${where}: ${why}; is it running, and reachable from here?`,
      { resource, cause, retryable: true },
    );
  }

  #hook(client: RedisClusterClient): void {
    if (this.#hooked) return;
    this.#hooked = true;
    client.on("+node", (node: Redis) => this.#watch(node));
    client.on("-node", (node: Redis) => this.#forget(node));
    client.on("node error", (error: unknown) => this.#noteError(error));
    // Without a listener the driver prints errors.
    client.on("error", (error: unknown) => this.#noteError(error));
  }

  /** Of the errors of one failure the first with a code says most: the driver's own only say that it failed. */
  #noteError(error: unknown): void {
    const says = error instanceof Error && ("code" in error || error.name === "ReplyError");
    if (says || this.#lastError === undefined) this.#lastError = withoutCommand(error);
  }

  #watch(node: Redis): void {
    const { resource, clock, settings } = this.#setup;
    Object.assign(node.options, this.#credentials);
    const resend = new Set(settings.resend.map((name) => name.toLowerCase()));
    const onSilence = (silent: NodeWatch): void => {
      for (const other of this.#watches.values()) if (other !== silent) other.suspect();
    };
    const watch = new NodeWatch(node, { resource, clock, settings, counts: this.#counts, resend, onSilence });
    this.#setup.reached(node.options.host ?? "localhost", node.options.port ?? 6_379);
    this.#watches.set(node, watch);
    if (this.#running) watch.connect();
  }

  #forget(node: Redis): void {
    this.#watches.get(node)?.stop();
    this.#watches.delete(node);
  }

  send(command: Command): void {
    this.#setup.client().deliver(command);
  }

  sendAll(commands: readonly Command[], node: PipelineNode): void {
    const client = this.#setup.client();
    for (const command of commands) client.deliver(command, node);
  }

  refusal(): undefined {}

  async ping(): Promise<void> {
    const masters = this.#setup.client().nodes("master");
    await Promise.all(masters.map((node) => this.#watches.get(node)?.ping()));
  }

  async ask(): Promise<void> {
    const masters = this.#setup.client().nodes("master");
    await Promise.any(masters.flatMap((node) => this.#watches.get(node)?.ping() ?? []));
  }

  /** One after the other: the last one to be asked for has the last credentials. */
  renew(): Promise<void> {
    const renewal = this.#renewal.then(() => this.#renewAll());
    this.#renewal = renewal.catch(() => {});
    return renewal;
  }

  async #renewAll(): Promise<void> {
    await this.#fetchCredentials();
    if (!this.#running) return;
    this.#lastError = undefined;
    const nodes = this.#setup.client().nodes();
    await Promise.all(nodes.map((node) => this.#renewNode(node)));
  }

  /** What is in flight finishes on the old connection. One that is away takes the credentials for its next attempt. */
  async #renewNode(old: Redis): Promise<void> {
    const client = this.#setup.client();
    Object.assign(old.options, this.#credentials);
    if (old.status !== "ready") return;
    const succession = new Succession(client, old);
    const isRenewed = await succession.complete();
    if (isRenewed) await this.#drained(old);
    const left = isRenewed ? old : succession.successor;
    left.disconnect();
    this.#forget(left);
    // Its node may have left the cluster meanwhile, or the client its nodes.
    if (!isRenewed && client.nodes().includes(old))
      throw this.#failure(new Error("a node accepts no other connection"));
  }

  async #drained(node: Redis): Promise<void> {
    const { clock, settings } = this.#setup;
    const until = clock.now() + settings.timeoutMs;
    while (node.commandQueue.length > 0 && clock.now() < until) await clock.sleep(1);
  }

  /** The node that has the key of the command; without a key, any master that is connected. */
  planFor(command: Command | undefined): LinkPlan {
    const { settings } = this.#setup;
    const client = this.#setup.client();
    // The driver gives null for a command without a key, whatever its type says.
    const slot = command?.getSlot() as number | null | undefined;
    const [owner] = (typeof slot === "number" ? client.slots[slot] : undefined) ?? [];
    const node = client.nodes("master").find(({ status }) => status === "ready")?.options ?? settings.cluster[0];
    if (owner === undefined) return nodePlan(settings, node?.host ?? "localhost", node?.port ?? 6_379);
    const at = owner.lastIndexOf(":");
    return nodePlan(settings, owner.slice(0, at), Number(owner.slice(at + 1)));
  }

  async close(signal: AbortSignal): Promise<void> {
    const client = this.#setup.client();
    const nodes = [...this.#watches.values()];
    this.#running = false;
    const quits = Promise.all(
      nodes.map(({ redis }) => (redis.status === "ready" ? redis.quit().catch(() => {}) : undefined)),
    );
    await Promise.race([quits, aborted(signal)]);
    client.finish();
    for (const node of nodes) this.#forget(node.redis);
  }

  stats(): BackendStats {
    const size = [...this.#watches.keys()].filter(({ status }) => status === "ready").length;
    return { size, ...this.#counts };
  }
}
