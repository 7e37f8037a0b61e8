import type { CallAbout, Guard } from "@steward/core";
import {
  checkOptions,
  Exposures,
  defineDriver,
  Manager,
  type DriverFactory,
  type ManagerContext,
} from "@steward/core/driver";
import { Assembly } from "../client/assembly.ts";
import { exposureAt, exposuresOf } from "../connection/plan.ts";
import { redisClusterSchema, type RedisClusterOptions, type RedisClusterSettings } from "../options.ts";
import { ClusterBackend, clusterOptions } from "./backend.ts";
import { RedisClusterClient } from "./client.ts";
import { Attempts } from "./sending-again.ts";

/**
 * Looks after the connections to a Redis Cluster: one to every node, some for commands that block or need one of their
 * own, one for subscriptions.
 */
export class RedisClusterManager extends Manager<RedisClusterClient> {
  readonly #client: RedisClusterClient;
  readonly #assembly: Assembly;
  readonly #settings: RedisClusterSettings;
  readonly #exposures: Exposures;

  /** @throws {OPTIONS_INVALID} listing everything that is wrong with the options. */
  constructor(options: RedisClusterOptions, context: ManagerContext = {}) {
    super("redis", context);
    this.#exposures = new Exposures(this.name);
    const settings = (this.#settings = checkOptions(this.name, redisClusterSchema, options));
    const { name: resource, clock } = this;
    const client = (): RedisClusterClient => this.#client;
    this.#assembly = new Assembly({
      basis: this.guardBasis(),
      settings,
      client,
      makeBackend: (guard) =>
        new ClusterBackend({
          resource,
          clock,
          settings,
          guard,
          client,
          reached: (host, port) => this.#exposures.announce(exposureAt(settings, host, port)),
        }),
    });
    const seeds = settings.cluster.map(({ host, port = 6_379 }) => ({ host, port }));
    this.#client = new RedisClusterClient(
      seeds,
      clusterOptions(settings, this.#assembly.facade),
      this.#assembly.router,
      new Attempts(clock, settings.timeoutMs),
    );
  }

  /** What its calls are in a trace. Which node answers one is known only later. */
  protected override aboutCalls(): CallAbout {
    return { attributes: { "db.system.name": "redis" } };
  }

  get client(): RedisClusterClient {
    return this.#client;
  }

  protected async onStart(signal: AbortSignal): Promise<void> {
    this.#exposures.announce(exposuresOf(this.#settings));
    await this.#assembly.open(signal);
    this.#assembly.announce("ready");
  }

  protected onProbe(signal: AbortSignal): Promise<void> {
    return this.#assembly.ping(signal);
  }

  protected override ask(signal: AbortSignal): Promise<void> {
    return this.#assembly.ask(signal);
  }

  protected override onDrain(): Promise<void> {
    return this.#assembly.settle();
  }

  protected async onStop(signal: AbortSignal): Promise<void> {
    await this.#assembly.close(signal, this.refusal());
    this.#assembly.announce("end");
  }

  /** Makes all connections anew, with the current credentials. What is in flight finishes on the old ones. */
  protected override replace(): Promise<void> {
    return this.#assembly.renew();
  }

  protected override guards(): Iterable<Guard> {
    return [this.#assembly.guard];
  }

  protected override measure(): Readonly<Record<string, unknown>> {
    return { ...this.#assembly.measure(), ...this.#exposures.stats };
  }
}

/**
 * Defines a Redis Cluster that is looked after; its value is an ioredis cluster client.
 *
 * @example
 * ```ts
 * import { redisCluster } from "@steward/redis/cluster";
 * const sessions = redisCluster("sessions", { cluster: [{ host: "redis-1", port: 7000 }, { host: "redis-2", port: 7000 }] });
 * console.log(sessions.name); // => sessions
 * ```
 */
export const redisCluster: DriverFactory<RedisClusterOptions, RedisClusterClient> = defineDriver({
  kind: "redis",
  schema: redisClusterSchema,
  create: (options, context) => new RedisClusterManager(options, context),
  inherit: ({ timeoutMs, breaker, environment }) => ({ timeoutMs, breaker, environment }),
  settings: { readiness: "startup" },
});
