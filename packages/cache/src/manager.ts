import type { MetricSample } from "@steward/core";
import type { Trouble } from "@steward/core/container";
import { checkOptions, defineDriver, Manager, type DriverFactory, type ManagerContext } from "@steward/core/driver";
import type { Backing } from "./cache/backing.ts";
import { CacheClient } from "./cache/client.ts";
import { Counts, type CacheStats } from "./cache/counts.ts";
import { Flights } from "./cache/flights.ts";
import { InProcess } from "./cache/in-process.ts";
import { Keeper } from "./cache/keeper.ts";
import { Loads } from "./cache/loads.ts";
import type { Cache } from "./cache/types.ts";
import { statsOf } from "./health.ts";
import { CoarseClock } from "./local/coarse-clock.ts";
import { Local } from "./local/local.ts";
import { cacheSchema, remoteOf, type CacheOptions } from "./options.ts";
import { Remote } from "./remote/remote.ts";

/**
 * Looks after a cache: what this process holds, the loads that are under way, and what it shares with others.
 *
 * @example
 * ```ts
 * import { CacheManager } from "@steward/cache";
 * await using manager = await new CacheManager<string>({ maxEntries: 1_000 }).start();
 * const load = () => new Promise<string>((resolve) => setTimeout(resolve, 5, "Ada"));
 * const both = await Promise.all([1, 2].map(() => manager.client.getOrLoad(["user", 7], load)));
 * console.log(both, manager.stats().loads); // => [ 'Ada', 'Ada' ] 1
 * ```
 */
export class CacheManager<V = unknown> extends Manager<Cache<V>> {
  readonly #client: CacheClient<V>;
  readonly #keeper: Keeper;
  readonly #backing: Backing;

  /** @throws {OPTIONS_INVALID} listing everything that is wrong with the options. */
  constructor(options: CacheOptions = {}, context: ManagerContext = {}) {
    super("cache", context);
    const settings = checkOptions(this.name, cacheSchema, options);
    const { name: resource, clock } = this;
    const time = new CoarseClock(clock);
    const counts = new Counts();
    const keeper = (this.#keeper = new Keeper(settings, time, new Local(settings, time), new Flights(), counts));
    const loads = new Loads(resource, clock, counts);
    const remote = remoteOf(settings);
    const backing = (this.#backing =
      remote === undefined
        ? new InProcess(resource, keeper, loads, settings.maxTags)
        : new Remote({ resource, clock, settings, remote, keeper, loads }));
    const refusal = () => this.unavailable();
    this.#client = new CacheClient({ resource, clock, time, settings, keeper, loads, backing, refusal });
  }

  override get client(): Cache<V> {
    return this.#client;
  }

  /** Current numbers. */
  override stats(): Readonly<Record<string, unknown>> & CacheStats {
    return Object.freeze({ phase: this.phase, ...this.#facts });
  }

  /** Facts for health documents. */
  get about(): Readonly<Record<string, unknown>> {
    return { ...this.#facts };
  }

  /** It works without what is shared, but not as well. */
  get trouble(): Trouble | undefined {
    return this.#backing.trouble;
  }

  protected override onStart(signal: AbortSignal): Promise<void> {
    return this.#backing.start(signal);
  }

  protected override onProbe(signal: AbortSignal): Promise<void> {
    return this.#backing.probe(signal);
  }

  /** Loads that are under way end by themselves; nothing new begins. */
  protected override onDrain(): Promise<void> {
    return this.#keeper.flights.idle();
  }

  protected override async onStop(signal: AbortSignal): Promise<void> {
    this.#keeper.flights.abort(this.refusal());
    await this.#backing.stop(signal);
    this.#keeper.flights.voidAll();
    this.#keeper.local.clear();
  }

  protected override *series(attributes: Readonly<Record<string, string>>): Iterable<MetricSample> {
    const { counts, local } = this.#keeper;
    yield* counts.series(attributes);
    yield {
      name: "steward.cache.evictions",
      kind: "counter",
      unit: "{entry}",
      attributes,
      value: local.evictions,
    };
    yield { name: "steward.cache.entries", kind: "gauge", unit: "{entry}", attributes, value: local.size };
    yield { name: "steward.cache.size", kind: "gauge", unit: "By", attributes, value: local.bytes };
    yield { name: "steward.cache.owed", kind: "gauge", unit: "{invalidation}", attributes, value: this.#backing.owed };
  }

  get #facts(): CacheStats {
    return statsOf(this.#keeper, this.#backing.owed);
  }
}

const driver: DriverFactory<CacheOptions, Cache<unknown>> = defineDriver<CacheOptions, Cache<unknown>>({
  kind: "cache",
  schema: cacheSchema,
  settings: { tags: ["cache"], criticality: "optional", readiness: "ignore" },
  create: (options, context) => new CacheManager(options, context),
});

/**
 * Defines a cache of values of type `V`. The first call says the type, the second one all else.
 *
 * @throws {OPTIONS_INVALID} when the container is made, for a wrong literal option.
 *
 * @example
 * ```ts
 * import { cache } from "@steward/cache";
 * import { container } from "@steward/container";
 * const names = cache<string>()("names", { ttlMs: 60_000 });
 * await using running = await container([names]).start();
 * console.log(await running.get(names).getOrLoad(["user", 7], async () => "Ada")); // => Ada
 * ```
 */
export function cache<V>(): DriverFactory<CacheOptions, Cache<V>> {
  return driver as DriverFactory<CacheOptions, Cache<unknown>> as DriverFactory<CacheOptions, Cache<V>>; // no value of it is made before
}
