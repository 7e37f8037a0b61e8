/**
 * What was made void, and when, by a clock that counts invalidations. What was looked up at clock `c` is right unless
 * something that concerns it was made void after `c`.
 */
export class Marks {
  /** The newest invalidation that is known. */
  clock = 0;
  /** Counts changes, so that what was found right once need not be looked at again until the next one. */
  version = 0;
  /** What is older is void, whatever its tags. */
  #floor = 0;
  /** The newest invalidation of any tag. */
  #newestTag = 0;
  readonly #tags = new Map<string, number>();
  readonly #maxTags: number;

  constructor(maxTags: number) {
    this.#maxTags = maxTags;
  }

  /** How many tags are remembered. */
  get size(): number {
    return this.#tags.size;
  }

  /** Whether everything of clock `from` is right still, whatever its tags. */
  holdsAll(from: number): boolean {
    return from >= this.#newestTag && from >= this.#floor;
  }

  /** Whether what was looked up at clock `from`, with these tags, is right still. */
  holds(from: number, tags: readonly string[]): boolean {
    if (from < this.#floor) return false;
    if (from >= this.#newestTag) return true;
    for (const tag of tags) if ((this.#tags.get(tag) ?? 0) > from) return false;
    return true;
  }

  /** A tag was made void at `clock`. */
  voidTag(tag: string, clock: number): void {
    this.reach(clock);
    this.version++;
    if (clock > this.#newestTag) this.#newestTag = clock;
    if ((this.#tags.get(tag) ?? 0) < clock) this.#tags.set(tag, clock);
    if (this.#tags.size > this.#maxTags) this.#raise(this.clock);
  }

  /** All was made void at `clock`. */
  voidAll(clock: number): void {
    this.reach(clock);
    this.version++;
    this.#raise(Math.max(clock, this.#newestTag)); // which may have come first
  }

  /** Something happened at `clock` that is known by other means. */
  reach(clock: number): void {
    if (clock > this.clock) this.clock = clock;
  }

  /** Nothing older than `floor` is used any more, so its tags can be forgotten. */
  #raise(floor: number): void {
    if (floor <= this.#floor) return;
    this.#floor = floor;
    this.#tags.clear();
    this.#newestTag = 0;
  }
}
