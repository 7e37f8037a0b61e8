import type { CacheKey } from "../values/keys.ts";

/** Loads a value that is not there. `undefined` says that there is none. Its signal aborts when no one waits any more. */
export type Load<V> = (signal: AbortSignal) => Promise<V> | V;

/** How long what is stored may be used, and what makes it void. Whatever is left out is the cache's. */
export interface EntryOptions {
  /** How long it is fresh, in ms. 0: it is not kept. */
  readonly ttlMs?: number | undefined;
  /** How long after that it may be given while a new one is loaded, in ms. */
  readonly staleMs?: number | undefined;
  /** Names by which it is made void together with others. */
  readonly tags?: readonly string[] | undefined;
}

/** How a value is looked up and loaded. Whatever is left out is the cache's. */
export interface LoadOptions<V> extends Omit<EntryOptions, "tags"> {
  /** Names by which it is made void together with others, or a function that finds them in the value. */
  readonly tags?: readonly string[] | ((value: V | undefined) => readonly string[]) | undefined;
  /** How long it is kept that there is none (the load gave `undefined`), in ms. */
  readonly absentMs?: number | undefined;
  /** How long the error of a load is kept and given to others, in ms, in this process. */
  readonly errorMs?: number | undefined;
  /** Longest load, in ms. */
  readonly loadTimeoutMs?: number | undefined;
  /**
   * `true`: where this call begins to replace a stale value, it waits for the new one, and gets the stale one only when
   * the load fails; all others get the stale one meanwhile. Default `false`: this call gets the stale one too.
   */
  readonly waitForRefresh?: boolean | undefined;
  /** Gives up this call. The load goes on while others wait for it. */
  readonly signal?: AbortSignal | undefined;
}

/** Options of one that only looks. */
export interface LookOptions {
  /** Gives up this call. */
  readonly signal?: AbortSignal | undefined;
}

/** Options of an invalidation. */
export interface InvalidateOptions {
  /** Rejects when the other instances cannot be reached; otherwise that is put right as soon as they can. Default `false`. */
  readonly strict?: boolean | undefined;
}

/** What became of an invalidation. */
export interface Invalidated {
  /** False when Redis could not be reached: this process has it, the others get it as soon as they can be reached. */
  readonly spread: boolean;
}

/** What is under a key, and how old it is. */
export type Lookup<V> =
  | { readonly state: "miss" }
  | {
      /** `stale`: its time is over, and it may be given while a new one is loaded. `absent`: it is known that there is none. */
      readonly state: "fresh" | "stale" | "absent";
      readonly value: V | undefined;
      /** In ms since it was stored. */
      readonly ageMs: number;
      /** Where it was found: in this process, or in Redis. */
      readonly level: "local" | "remote";
    };

/** Loads several values at once, in the order of the keys. `undefined` where there is none. */
export type LoadMany<K, V> = (
  missing: readonly K[],
  signal: AbortSignal,
) => Promise<readonly (V | undefined)[]> | readonly (V | undefined)[];

/** How a function is wrapped. */
export interface WrapOptions<Args extends readonly unknown[], V> extends Omit<LoadOptions<V>, "signal"> {
  /** The key of a call. It has to hold everything that the result depends on. */
  readonly key: (...args: Args) => CacheKey;
}

/** A function whose results are cached. */
export interface Wrapped<Args extends readonly unknown[], R> {
  (...args: Args): Promise<R>;
  /** What this process holds for these arguments, fresh; it loads nothing. */
  peek(...args: Args): R | undefined;
  /** Makes the result for these arguments void. */
  delete(...args: Args): Promise<Invalidated>;
  /** Ends the fresh time of the result for these arguments. */
  expire(...args: Args): Promise<Invalidated>;
}

/** Keeps values under keys. */
export interface Cache<V> {
  /** The value, while it is fresh; `undefined` where there is none. */
  get(key: CacheKey, options?: LookOptions): Promise<V | undefined>;
  /** What this process holds, while it is fresh, at once. It asks no one. */
  peek(key: CacheKey): V | undefined;
  /** What is there, fresh or not, where, and how old. */
  lookup(key: CacheKey, options?: LookOptions): Promise<Lookup<V>>;
  /**
   * Stores a value. A load that is under way stores nothing over it.
   * @throws {RESOURCE_UNAVAILABLE} when the cache is not ready.
   */
  set(key: CacheKey, value: V, options?: EntryOptions & InvalidateOptions): Promise<Invalidated>;
  /**
   * Makes what is under a key void, here and in all instances. Nothing that began before gives it back.
   * @throws {RESOURCE_UNAVAILABLE} when the cache is not ready.
   */
  delete(key: CacheKey, options?: InvalidateOptions): Promise<Invalidated>;
  /** Ends the fresh time: what is there may be given once more while a new one is loaded, for `staleMs`. */
  expire(key: CacheKey, options?: InvalidateOptions): Promise<Invalidated>;
  /** Makes void all that has a tag, or one of several, as `delete` does. */
  invalidate(tags: string | readonly string[], options?: InvalidateOptions): Promise<Invalidated>;
  /** Makes all void, as `delete` does. Other caches keep what they have. */
  clear(options?: InvalidateOptions): Promise<Invalidated>;
  /**
   * The value, or the one that `load` gives. All that miss at the same time share one load. An error of `load` goes to
   * each of them as it is.
   * @throws {CACHE_LOAD_TIMEOUT} when the load does not end in time.
   * @throws {CACHE_KEY_INVALID} when the key or a tag is wrong.
   */
  getOrLoad(key: CacheKey, load: Load<V>, options?: LoadOptions<V>): Promise<V>;
  getOrLoad(key: CacheKey, load: Load<V | undefined>, options?: LoadOptions<V>): Promise<V | undefined>;
  /** Values in the order of the keys; those that are not there are loaded together, or are `undefined` without `load`. */
  getMany<K extends CacheKey>(
    keys: readonly K[],
    load?: LoadMany<K, V>,
    options?: LoadOptions<V>,
  ): Promise<(V | undefined)[]>;
  /** A function whose results are cached, under the key that `options.key` makes of its arguments. */
  wrap<Args extends readonly unknown[], R extends V | undefined>(
    fn: (...args: Args) => Promise<R> | R,
    options: WrapOptions<Args, V>,
  ): Wrapped<Args, R>;
  /**
   * The same cache for one tenant: keys and tags are its own, and `clear` makes void what is its own.
   * @throws {CACHE_KEY_INVALID} when the name is wrong.
   */
  within(tenant: string): Cache<V>;
}
