import { currentContext, type Clock, type StewardError } from "@steward/core";
import type { CoarseClock } from "../local/coarse-clock.ts";
import type { Entry, Known } from "../local/entry.ts";
import type { Local } from "../local/local.ts";
import type { CacheSettings, Copy } from "../options.ts";
import { checkTag, encodeAll, encodeKey, tenantPrefix, type CacheKey } from "../values/keys.ts";
import type { Backing, Void, Wanted } from "./backing.ts";
import {
  assertCall,
  assertFunction,
  loadShape,
  lookShape,
  policyOf,
  setShape,
  voidShape,
  type Policy,
} from "./call-options.ts";
import type { Counts } from "./counts.ts";
import { aborted, Flight, type Patience } from "./flight.ts";
import type { Keeper } from "./keeper.ts";
import type { Loads } from "./loads.ts";
import { loadTogether } from "./many.ts";
import type {
  Cache,
  EntryOptions,
  Invalidated,
  InvalidateOptions,
  Load,
  LoadMany,
  LoadOptions,
  Lookup,
  LookOptions,
  Wrapped,
  WrapOptions,
} from "./types.ts";
import { wrapped } from "./wrap.ts";

/** What a client works with. */
export interface ClientParts {
  readonly resource: string;
  readonly clock: Clock;
  readonly time: CoarseClock;
  readonly settings: CacheSettings;
  readonly keeper: Keeper;
  readonly loads: Loads;
  readonly backing: Backing;
  /** Why nothing new is begun now, or `undefined`. */
  readonly refusal: () => StewardError | undefined;
}

/** What a tenant's keys and tags begin with, and the tags that all it stores has. */
interface Scope {
  readonly prefix: string;
  readonly tags: readonly string[];
}

const WHOLE: Scope = { prefix: "", tags: [] };
const NO_TAGS: readonly string[] = [];
const MISS: Lookup<never> = Object.freeze({ state: "miss" });

/** What users are handed. */
export class CacheClient<V> implements Cache<V> {
  readonly #parts: ClientParts;
  readonly #resource: string;
  readonly #scope: Scope;
  readonly #local: Local;
  readonly #time: CoarseClock;
  readonly #counts: Counts;
  readonly #copy: Copy;

  constructor(parts: ClientParts, scope: Scope = WHOLE) {
    this.#parts = parts;
    this.#scope = scope;
    this.#resource = parts.resource;
    this.#time = parts.time;
    this.#local = parts.keeper.local;
    this.#counts = parts.keeper.counts;
    this.#copy = parts.settings.copy;
  }

  peek(key: CacheKey): V | undefined {
    const entry = this.#local.find(this.#encode(key));
    if (entry === undefined || entry.freshUntil <= this.#time.now || entry.known.kind !== "value") return undefined;
    return this.#hand(entry.known.value);
  }

  async get(key: CacheKey, options?: LookOptions): Promise<V | undefined> {
    const found = await this.lookup(key, options);
    return found.state === "fresh" ? found.value : undefined;
  }

  async lookup(key: CacheKey, options?: LookOptions): Promise<Lookup<V>> {
    const encoded = this.#encode(key);
    assertCall(this.#resource, lookShape, options);
    const entry = this.#local.find(encoded);
    if (entry !== undefined && entry.freshUntil > this.#time.now) return this.#lookedUp(entry, "fresh");
    this.#assertReady();
    const found = await this.#lookFurther(encoded, options);
    if (found.state !== "miss") return { ...found, value: this.#hand(found.value) };
    return entry === undefined ? MISS : this.#lookedUp(entry, "stale");
  }

  #lookedUp({ known, storedAt }: Entry, state: "fresh" | "stale"): Lookup<V> {
    const ageMs = this.#time.now - storedAt;
    if (known.kind === "error") return MISS;
    if (state === "fresh" && known.kind === "value") this.#counts.localHits++;
    else this.#counts.found("local", known.kind === "absent" ? "absent" : "stale");
    if (known.kind === "absent") return { state: "absent", value: undefined, ageMs, level: "local" };
    return { state, value: this.#hand(known.value), ageMs, level: "local" };
  }

  /** By a flight that no one joins, so that what is made void meanwhile is not kept. */
  async #lookFurther(key: string, options: LookOptions | undefined): Promise<Lookup<unknown>> {
    const { backing, keeper } = this.#parts;
    const flight = new Flight({ key, marks: backing.marksOf(key), tags: undefined });
    keeper.flights.add(flight, false);
    let found: Lookup<unknown> = MISS;
    const run = async (): Promise<void> => {
      try {
        found = await backing.look(flight);
        flight.succeed({ kind: "absent" });
      } catch (error) {
        flight.fail(error);
      } finally {
        keeper.flights.remove(flight);
      }
    };
    void run();
    await flight.wait(this.#patience(options?.signal), this.#parts.clock, this.#resource);
    return found;
  }

  getOrLoad(key: CacheKey, load: Load<V>, options?: LoadOptions<V>): Promise<V>;
  getOrLoad(key: CacheKey, load: Load<V | undefined>, options?: LoadOptions<V>): Promise<V | undefined>;
  getOrLoad(key: CacheKey, load: Load<V | undefined>, options?: LoadOptions<V>): Promise<V | undefined> {
    try {
      assertCall(this.#resource, loadShape, options);
      assertFunction(this.#resource, "load", load);
      return this.load(key, load, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** @internal As `getOrLoad`, with options that were checked. */
  load(key: CacheKey, load: Load<V | undefined>, options?: LoadOptions<V>): Promise<V | undefined> {
    try {
      const encoded = this.#encode(key);
      const entry = this.#local.find(encoded);
      if (entry === undefined) return this.#miss(encoded, this.#wanted(load, options), options);
      if (entry.freshUntil <= this.#time.now) return this.#stale(encoded, entry, load, options);
      if (entry.known.kind !== "value") return this.#negative(entry.known);
      this.#counts.localHits++;
      return Promise.resolve(this.#hand(entry.known.value));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #negative(known: Known): Promise<undefined> {
    this.#counts.found("local", "absent");
    return known.kind === "error" ? Promise.reject(known.error) : Promise.resolve(undefined);
  }

  /** Gives the old value, and has a new one loaded unless that is under way or failed a moment ago. */
  #stale(key: string, entry: Entry, load: Load<V | undefined>, options?: LoadOptions<V>): Promise<V | undefined> {
    const { known } = entry;
    if (known.kind !== "value") return this.#miss(key, this.#wanted(load, options), options);
    this.#counts.found("local", "stale");
    const { keeper, refusal } = this.#parts;
    if (keeper.flights.of(key)?.isCurrent === true || entry.retryAt > this.#time.now || refusal() !== undefined)
      return Promise.resolve(this.#hand(known.value));
    const flight = this.#begin(key, { ...this.#wanted(load, options), isRefresh: true }, options);
    flight.hold();
    return options?.waitForRefresh === true
      ? this.#refreshed(flight, entry, options)
      : Promise.resolve(this.#hand(known.value));
  }

  /** The new value; the old one where the load fails, unless that was made void meanwhile. */
  async #refreshed(flight: Flight, old: Entry, options: LoadOptions<V>): Promise<V | undefined> {
    try {
      return this.#answer(await flight.wait(this.#patience(options.signal), this.#parts.clock, this.#resource));
    } catch (error) {
      if (this.#local.find(flight.key) !== old) throw error;
      return this.#answer(old.known);
    }
  }

  async #miss(key: string, wanted: Wanted, options: LoadOptions<V> | undefined): Promise<V | undefined> {
    this.#assertReady();
    const { clock, keeper } = this.#parts;
    const patience = this.#patience(options?.signal);
    if (patience.signal?.aborted === true) throw aborted(this.#resource, patience.signal);
    for (;;) {
      const others = keeper.flights.joinable(key);
      if (others !== undefined) wanted.found?.();
      const flight = others ?? this.#begin(key, wanted, options);
      // Who began it asked before all that it does, so a load that makes something void is not begun again for that.
      if (others === undefined || flight.isCurrent)
        return this.#answer(await flight.wait(patience, clock, this.#resource));
      // Something was made void since it began, and only its value will say whether that concerns it.
      await flight.over(patience, clock, this.#resource);
      const entry = this.#local.find(key);
      if (entry !== undefined && entry.freshUntil > this.#time.now) return this.#answer(entry.known);
    }
  }

  #begin(key: string, wanted: Wanted, options: LoadOptions<V> | undefined): Flight {
    const { backing, keeper } = this.#parts;
    const tags = typeof options?.tags === "function" ? undefined : wanted.tagsOf({ kind: "absent" });
    const flight = new Flight({ key, marks: backing.marksOf(key), tags });
    keeper.flights.add(flight);
    void this.#fly(flight, wanted);
    return flight;
  }

  async #fly(flight: Flight, wanted: Wanted): Promise<void> {
    const { backing, keeper } = this.#parts;
    try {
      flight.succeed(await backing.obtain(flight, wanted));
    } catch (error) {
      this.#failed(flight, wanted, error);
      flight.fail(error);
    } finally {
      keeper.flights.remove(flight);
    }
  }

  #failed(flight: Flight, { policy: { errorMs } }: Wanted, error: unknown): void {
    const { keeper, settings } = this.#parts;
    const old = this.#local.find(flight.key);
    if (old !== undefined) old.retryAt = this.#time.now + keeper.vary(settings.retryMs);
    else if (errorMs > 0 && !flight.abort.signal.aborted) {
      const { clock } = flight.marks;
      const ms = keeper.vary(errorMs);
      keeper.keep(flight, { kind: "error", error }, { tags: NO_TAGS, clock, freshMs: ms, usableMs: ms });
    }
  }

  set(key: CacheKey, value: V, options?: EntryOptions & InvalidateOptions): Promise<Invalidated> {
    return this.#begun(() => {
      assertCall(this.#resource, setShape, options);
      const { ttlMs, staleMs } = policyOf(this.#parts.settings, options);
      const stored = { value, tags: this.#tags(options?.tags ?? NO_TAGS), ttlMs, staleMs };
      this.#counts.voided("set");
      return this.#parts.backing.set(this.#encode(key), stored, options?.strict ?? false);
    });
  }

  delete(key: CacheKey, options?: InvalidateOptions): Promise<Invalidated> {
    return this.#void(() => ({ kind: "delete", key: this.#encode(key) }), options);
  }

  expire(key: CacheKey, options?: InvalidateOptions): Promise<Invalidated> {
    return this.#void(() => ({ kind: "expire", key: this.#encode(key) }), options);
  }

  invalidate(tags: string | readonly string[], options?: InvalidateOptions): Promise<Invalidated> {
    const list: readonly string[] = Array.isArray(tags) ? tags : [tags];
    return this.#void(() => ({ kind: "tag", tags: list.map((tag) => this.#tag(tag)) }), options);
  }

  clear(options?: InvalidateOptions): Promise<Invalidated> {
    const { prefix } = this.#scope;
    return this.#void(() => (prefix === "" ? { kind: "clear" } : { kind: "tag", tags: [prefix] }), options);
  }

  #void(what: () => Void, options: InvalidateOptions | undefined): Promise<Invalidated> {
    return this.#begun(() => {
      assertCall(this.#resource, voidShape, options);
      const made = what();
      this.#counts.voided(made.kind);
      return this.#parts.backing.void(made, options?.strict ?? false);
    });
  }

  /** All that is wrong is refused before the first key is looked up, so that none waits for one that does not come. */
  async getMany<K extends CacheKey>(
    keys: readonly K[],
    load?: LoadMany<K, V>,
    options?: LoadOptions<V>,
  ): Promise<(V | undefined)[]> {
    assertCall(this.#resource, loadShape, options);
    const encoded = encodeAll(this.#resource, keys, (key) => this.#encode(key));
    if (load === undefined) return Promise.all(keys.map((key) => this.get(key, options && { signal: options.signal })));
    assertFunction(this.#resource, "load", load);
    return loadTogether(this.#resource, keys, load, (key, index, loadOne, found) => {
      const one = encoded[index] ?? this.#encode(key);
      const entry = this.#local.find(one);
      if (entry !== undefined && entry.freshUntil > this.#time.now) {
        found();
        return this.load(key, loadOne, options);
      }
      return this.#miss(one, { ...this.#wanted(loadOne, options), found }, options);
    });
  }

  wrap<Args extends readonly unknown[], R extends V | undefined>(
    fn: (...args: Args) => Promise<R> | R,
    options: WrapOptions<Args, V>,
  ): Wrapped<Args, R> {
    return wrapped(this.#resource, this, fn, options);
  }

  within(tenant: string): Cache<V> {
    const prefix = this.#scope.prefix + tenantPrefix(this.#resource, tenant);
    return new CacheClient<V>(this.#parts, { prefix, tags: [...this.#scope.tags, prefix] });
  }

  #wanted(load: Load<V | undefined>, options: LoadOptions<V> | undefined): Wanted {
    const policy: Policy = policyOf(this.#parts.settings, options);
    const given = options?.tags;
    const fixed = typeof given === "function" ? undefined : this.#tags(given ?? NO_TAGS);
    const tagsOf = (known: Known): readonly string[] => fixed ?? this.#tagsOf(known, given);
    return { load, policy, tagsOf, isRefresh: false, waitForRefresh: options?.waitForRefresh ?? false };
  }

  #tagsOf(known: Known, given: LoadOptions<V>["tags"]): readonly string[] {
    if (typeof given !== "function") return NO_TAGS;
    return this.#tags(given(known.kind === "value" ? (known.value as V) : undefined)); // as `load` gave it
  }

  #tags(tags: readonly string[]): readonly string[] {
    const { tags: own } = this.#scope;
    return tags === NO_TAGS ? own : [...own, ...encodeAll(this.#resource, tags, (tag) => this.#tag(tag), "tags")];
  }

  #tag(tag: string): string {
    return this.#scope.prefix + checkTag(this.#resource, tag);
  }

  #encode(key: CacheKey): string {
    const { prefix } = this.#scope;
    return prefix === "" ? encodeKey(this.#resource, key) : prefix + encodeKey(this.#resource, key);
  }

  #answer(known: Known): V | undefined {
    if (known.kind === "error") throw known.error;
    return known.kind === "absent" ? undefined : this.#hand(known.value);
  }

  #hand(value: unknown): V {
    return (this.#copy === "clone" ? cloned(value) : value) as V; // what is kept under the keys of V
  }

  #patience(signal: AbortSignal | undefined): Patience {
    const context = currentContext();
    return { signal: signal ?? context?.signal, deadline: context?.deadline };
  }

  #assertReady(): void {
    const refusal = this.#parts.refusal();
    if (refusal !== undefined) throw refusal;
  }

  async #begun<T>(work: () => Promise<T>): Promise<T> {
    this.#assertReady();
    return work();
  }
}

/** What cannot be copied was not kept either: who waits for its load gets it as it is. */
function cloned(value: unknown): unknown {
  try {
    return structuredClone(value);
  } catch {
    return value;
  }
}
