import type { Clock } from "@steward/core";
import type { Void } from "../cache/backing.ts";
import type { Keeper } from "../cache/keeper.ts";
import type { Invalidated } from "../cache/types.ts";
import { cacheError } from "../errors.ts";
import type { CacheSettings } from "../options.ts";
import { Debts } from "./debts.ts";
import type { Shard } from "./shard.ts";
import type { Store } from "./store.ts";

type VoidMany = Exclude<Void, { readonly key: string }>;

/** What it works with. */
interface VoidingParts {
  readonly resource: string;
  readonly clock: Clock;
  readonly settings: CacheSettings;
  readonly keeper: Keeper;
}

/** Makes void: in this process at once, in Redis, and later where Redis cannot be reached. */
export class Voiding {
  readonly debts: Debts;
  readonly #resource: string;
  readonly #keeper: Keeper;
  readonly #store: Store;

  constructor({ resource, clock, settings, keeper }: VoidingParts, store: Store) {
    this.#resource = resource;
    this.#keeper = keeper;
    this.#store = store;
    this.debts = new Debts(clock, settings.maxOwed, (what) => this.#send(what));
  }

  async void(what: Void, strict: boolean): Promise<Invalidated> {
    this.#applyAt(what, (shard) => shard.tick());
    try {
      await this.#send(what);
      return { spread: true };
    } catch (error) {
      return this.owe(what, strict, error);
    }
  }

  /** It holds in this process at once, and is sent as soon as it can be. */
  owe(what: Void, strict: boolean, error: unknown): Invalidated {
    if (isKeyError(error)) throw error;
    this.#applyAt(what, (shard) => shard.tick());
    this.debts.add(what);
    if (!strict) return { spread: false };
    const resource = this.#resource;
    const message = `${resource}: an invalidation holds in this process, and Redis has not taken it; it is sent as soon as it can be reached`;
    throw cacheError("CACHE_INVALIDATION_PENDING", message, { resource, retryable: true, cause: error });
  }

  async #send(what: Void): Promise<void> {
    if ("key" in what) {
      this.#keeper.voidKey(what.key, await this.#store[what.kind](what.key));
    } else await Promise.all(this.#store.shards.map((shard) => this.#sendTo(shard, what)));
  }

  async #sendTo(shard: Shard, what: VoidMany): Promise<void> {
    if (what.kind === "clear") shard.marks.voidAll(await this.#store.clear(shard));
    else {
      const clock = await this.#store.voidTags(shard, what.tags);
      for (const tag of what.tags) shard.marks.voidTag(tag, clock);
    }
  }

  #applyAt(what: Void, clockOf: (shard: Shard) => number): void {
    if ("key" in what) return this.#keeper.voidKey(what.key, clockOf(this.#store.shardOf(what.key)));
    for (const shard of this.#store.shards) {
      const clock = clockOf(shard);
      if (what.kind === "clear") shard.marks.voidAll(clock);
      else for (const tag of what.tags) shard.marks.voidTag(tag, clock);
    }
  }
}

/** Whether an error is about the key, so that trying again does not help. */
export function isKeyError(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "CACHE_KEY_INVALID";
}
