import { describeError } from "@steward/core/driver";
import { cacheError, refusedUndefined } from "../errors.ts";
import type { Known } from "../local/entry.ts";
import { Marks } from "../local/marks.ts";
import type { Backing, Stored, Void, Wanted } from "./backing.ts";
import type { Flight } from "./flight.ts";
import type { Keeper } from "./keeper.ts";
import type { Loads } from "./loads.ts";
import type { Invalidated, Lookup } from "./types.ts";

const DONE: Invalidated = Object.freeze({ spread: true });

/** A cache of one process alone: what it does not hold has to be loaded. */
export class InProcess implements Backing {
  readonly owed = 0;
  readonly trouble = undefined;
  readonly #resource: string;
  readonly #marks: Marks;
  readonly #keeper: Keeper;
  readonly #loads: Loads;

  constructor(resource: string, keeper: Keeper, loads: Loads, maxTags: number) {
    this.#resource = resource;
    this.#keeper = keeper;
    this.#loads = loads;
    this.#marks = new Marks(maxTags);
  }

  marksOf(): Marks {
    return this.#marks;
  }

  async obtain(flight: Flight, { load, policy, tagsOf, isRefresh }: Wanted): Promise<Known> {
    this.#keeper.counts.found("remote", "miss");
    const { clock } = this.#marks;
    const known = await this.#loads.run(flight, load, policy.loadTimeoutMs, isRefresh);
    const isAbsent = known.kind === "absent";
    const freshMs = this.#keeper.vary(isAbsent ? policy.absentMs : policy.ttlMs);
    const usableMs = freshMs <= 0 ? 0 : freshMs + (isAbsent ? 0 : policy.staleMs);
    const kept = this.#keeper.keep(flight, known, { tags: tagsOf(known), clock, freshMs, usableMs });
    if (!kept) this.#keeper.counts.refusedWrites++;
    return known;
  }

  look(): Promise<Lookup<unknown>> {
    this.#keeper.counts.found("remote", "miss");
    return Promise.resolve({ state: "miss" });
  }

  set(key: string, { value, tags, ttlMs, staleMs }: Stored): Promise<Invalidated> {
    const clock = this.#tick();
    this.#keeper.voidKey(key, clock);
    if (value === undefined) return Promise.reject(refusedUndefined(this.#resource));
    const freshMs = this.#keeper.vary(ttlMs);
    const usableMs = freshMs <= 0 ? 0 : freshMs + staleMs;
    try {
      this.#keeper.put(key, this.#marks, { kind: "value", value }, { tags, clock, freshMs, usableMs });
    } catch (error) {
      return Promise.reject(this.#notKept(error));
    }
    return Promise.resolve(DONE);
  }

  #notKept(cause: unknown): Error {
    const resource = this.#resource;
    const message = `${resource}: a value can be neither measured nor protected as \`copy\` says: ${describeError(cause)}; keep plain data`;
    return cacheError("CACHE_CODEC_FAILED", message, { resource, cause });
  }

  void(what: Void): Promise<Invalidated> {
    const clock = this.#tick();
    if (what.kind === "delete") this.#keeper.voidKey(what.key, clock);
    else if (what.kind === "expire") this.#keeper.expireKey(what.key, clock);
    else if (what.kind === "tag") for (const tag of what.tags) this.#marks.voidTag(tag, clock);
    else this.#clear(clock);
    return Promise.resolve(DONE);
  }

  #clear(clock: number): void {
    this.#marks.voidAll(clock);
    this.#keeper.local.clear();
  }

  #tick(): number {
    this.#marks.reach(this.#marks.clock + 1);
    return this.#marks.clock;
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  probe(): Promise<void> {
    return Promise.resolve();
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  *series(): Iterable<never> {}
}
