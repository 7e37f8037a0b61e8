import type { CallAbout, Guard } from "@steward/core";
import {
  checkOptions,
  Exposures,
  defineDriver,
  Manager,
  type DriverFactory,
  type ManagerContext,
  type PassiveEvidence,
} from "@steward/core/driver";
import { Assembly } from "./client/assembly.ts";
import { RedisClient } from "./client/client.ts";
import type { Backend } from "./connection/backend.ts";
import { Borrowed } from "./connection/borrowed.ts";
import { attributesOf, exposureAt, exposuresOf, poolPlan, shownOptions } from "./connection/plan.ts";
import { Trunk } from "./connection/trunk.ts";
import { redisPoolSchema, type RedisPoolOptions, type RedisPoolSettings } from "./options.ts";

/**
 * Looks after the connections to a Redis: one that all share, some for commands that block or need one of their own,
 * one for subscriptions.
 *
 * @example
 * ```ts needs=redis
 * import { RedisPoolManager } from "@steward/redis";
 * await using redis = await new RedisPoolManager({ url: process.env["REDIS_URL"] }).start();
 * await redis.client.set("greeting", "hello");
 * console.log(await redis.client.get("greeting")); // => hello
 * ```
 */
export class RedisPoolManager extends Manager<RedisClient> {
  readonly #client: RedisClient;
  readonly #assembly: Assembly;
  readonly #settings: RedisPoolSettings;
  readonly #exposures: Exposures;

  /** @throws {OPTIONS_INVALID} listing everything that is wrong with the options. */
  constructor(options: RedisPoolOptions = {}, context: ManagerContext = {}) {
    super("redis", context);
    this.#exposures = new Exposures(this.name);
    const settings = (this.#settings = checkOptions(this.name, redisPoolSchema, options));
    this.#assembly = new Assembly({
      basis: this.guardBasis(),
      settings,
      makeBackend: (guard) => this.#backendOf(settings, guard),
      client: () => this.#client,
    });
    this.#client = new RedisClient({ ...shownOptions(settings), ...this.#assembly.facade }, this.#assembly.router);
  }

  #backendOf(settings: RedisPoolSettings, guard: Guard): Backend {
    const { name: resource, clock } = this;
    const plan = poolPlan(settings, (host, port) => this.#exposures.announce(exposureAt(settings, host, port)));
    if (settings.client !== undefined) return new Borrowed(resource, settings.client, plan);
    return new Trunk({ resource, clock, settings, plan, guard, onStatus: (status) => this.#onStatus(status) });
  }

  #onStatus(status: "ready" | "reconnecting" | "down"): void {
    if (status !== "down") this.#assembly.announce(status);
    // A new connection is made by answers of the server; what was on the old one may still fail.
    if (status === "ready") this.#assembly.guard.renewed();
    if (status !== "reconnecting") this.noticed();
  }

  /** While there is no connection for long no command is sent, so none can fail. */
  override get passive(): PassiveEvidence {
    const down = this.#assembly.backend.refusal();
    return down === undefined
      ? super.passive
      : { ...super.passive, failingRatio: 1, reason: down.message, isSuspect: true };
  }

  /** What its calls are in a trace. */
  protected override aboutCalls(): CallAbout {
    return { attributes: { "db.system.name": "redis", ...attributesOf(this.#settings) } };
  }

  get client(): RedisClient {
    return this.#client;
  }

  protected onStart(signal: AbortSignal): Promise<void> {
    this.#exposures.announce(exposuresOf(this.#settings));
    return this.#assembly.open(signal);
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
 * Defines a Redis that is looked after; its value is an ioredis client.
 *
 * @example
 * ```ts
 * import { redisPool } from "@steward/redis";
 * const cache = redisPool("cache", { url: "redis://localhost:6379", criticality: "optional", tags: ["cache"] });
 * console.log(cache.name); // => cache
 * ```
 */
export const redisPool: DriverFactory<RedisPoolOptions, RedisClient> = defineDriver({
  kind: "redis",
  schema: redisPoolSchema,
  create: (options, context) => new RedisPoolManager(options, context),
  inherit: ({ timeoutMs, breaker, environment }) => ({ timeoutMs, breaker, environment }),
  settings: { readiness: "startup" },
});
