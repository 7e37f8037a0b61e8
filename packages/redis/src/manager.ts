import {
  checkOptions,
  Guard,
  managedFactory,
  Manager,
  type ManagedFactory,
  type ManagerContext,
  type StewardError,
} from "@steward/core";
import type { RedisOptions } from "ioredis";
import { RedisClient } from "./client/client.ts";
import { Router } from "./client/router.ts";
import type { Backend } from "./connection/backend.ts";
import { Borrowed } from "./connection/borrowed.ts";
import { poolPlan } from "./connection/plan.ts";
import { ConnectionPool } from "./connection/pool.ts";
import { Subscriber } from "./connection/subscriber.ts";
import { Trunk } from "./connection/trunk.ts";
import { probe } from "./health.ts";
import { redisPoolSchema, type RedisPoolOptions, type RedisPoolSettings } from "./options.ts";

/**
 * Looks after the connections to a Redis: one that all share, some for commands that block or need one of their own,
 * one for subscriptions.
 *
 * @example
 * ```ts
 * import { RedisPoolManager } from "@steward/redis";
 * await using redis = await new RedisPoolManager({ url: process.env["REDIS_URL"] }).start();
 * await redis.client.set("greeting", "hello");
 * console.log(await redis.client.get("greeting")); // => hello
 * ```
 */
export class RedisPoolManager extends Manager<RedisClient> {
  readonly #client: RedisClient;
  readonly #guard: Guard;
  readonly #leaseGuard: Guard;
  readonly #backend: Backend;
  readonly #pool: ConnectionPool;
  readonly #subscriber: Subscriber;

  /** @throws {OPTIONS_INVALID} listing everything that is wrong with the options. */
  constructor(options: RedisPoolOptions = {}, context: ManagerContext = {}) {
    super("redis", context);
    const settings = checkOptions(this.name, redisPoolSchema, options);
    const { name: resource, clock } = this;
    const refusal = (): StewardError | undefined => this.unavailable() ?? this.#backend.refusal();
    const { maxInFlight: maxConcurrent, maxPending, timeoutMs } = settings;
    this.#guard = new Guard({ resource, clock, maxConcurrent, maxPending, timeoutMs, refusal, holdUntilSettled: true });
    this.#leaseGuard = new Guard({ resource, clock, holdUntilSettled: true });
    this.#pool = new ConnectionPool({ resource, clock, settings, refusal: () => this.unavailable() });
    this.#backend = this.#makeBackend(settings);
    this.#subscriber = new Subscriber({ resource, clock, settings, plan: () => this.#backend.planFor(undefined), events: this.#events() });
    const facade = facadeOptions(settings);
    const router = new Router({
      ...{ resource, clock, timeoutMs, facade },
      ...{ guard: this.#guard, leaseGuard: this.#leaseGuard },
      ...{ backend: this.#backend, pool: this.#pool, subscriber: this.#subscriber },
    });
    this.#client = new RedisClient(facade, router);
  }

  #makeBackend(settings: RedisPoolSettings): Backend {
    const { name: resource, clock } = this;
    const plan = poolPlan(settings);
    if (settings.client !== undefined) return new Borrowed(resource, settings.client, plan);
    return new Trunk({ resource, clock, settings, plan, guard: this.#guard, onStatus: (status) => this.#client.tell(status) });
  }

  #events() {
    return {
      emit: (event: string, ...values: readonly unknown[]) => void this.#client.emit(event, ...values),
      listens: (event: string) => this.#client.listenerCount(event) > 0,
    };
  }

  get client(): RedisClient {
    return this.#client;
  }

  protected async open(signal: AbortSignal): Promise<void> {
    this.#pool.open();
    this.#subscriber.open();
    await this.#backend.open(signal);
  }

  protected ping(signal: AbortSignal): Promise<void> {
    return probe(this.#backend, signal);
  }

  protected override async settle(): Promise<void> {
    await this.#pool.unblock();
    await Promise.all([this.#guard.idle(), this.#pool.guard.idle()]);
  }

  protected async close(signal: AbortSignal): Promise<void> {
    const reason = this.refusal();
    this.#guard.rejectPending(reason);
    this.#pool.close(reason);
    this.#subscriber.close();
    await this.#backend.close(signal);
    this.#client.tell("end");
  }

  /** Makes all connections anew, with the credentials of now. What is in flight finishes on the old ones. */
  override async renew(): Promise<void> {
    if (this.phase !== "ready") throw this.refusal();
    await this.#backend.renew();
    this.#pool.renew();
    this.#subscriber.renew();
  }

  protected override measure(): Readonly<Record<string, unknown>> {
    return {
      ...this.#guard.stats(),
      ...this.#backend.stats(),
      subscriptions: this.#subscriber.size,
      dedicated: Object.freeze(this.#pool.stats()),
    };
  }
}

/** What the facades of the driver need to know; they never connect themselves. */
function facadeOptions({ keyPrefix, autoPipelining }: Pick<RedisPoolSettings, "keyPrefix" | "autoPipelining">): RedisOptions {
  return { lazyConnect: true, enableAutoPipelining: autoPipelining, ...(keyPrefix === undefined ? {} : { keyPrefix }) };
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
export const redisPool: ManagedFactory<RedisPoolOptions, RedisClient> = managedFactory({
  kind: "redis",
  schema: redisPoolSchema,
  create: (options, context) => new RedisPoolManager(options, context),
  settings: { readiness: "startup" },
});
