import type { Breaker } from "./breaker.ts";
import type { Clock } from "../time/clock.ts";
import type { Evidence } from "../health/evidence.ts";
import type { GuardBounds, GuardStats } from "./options.ts";
import type { GuardedUse } from "./guarded-use.ts";
import type { StewardError } from "../errors.ts";
import { UseList } from "./use-list.ts";

/** Calls that may wait for each place, where nothing else is said, and in all. */
const PENDING_PER_PLACE = 10;
const MOST_PENDING = 1_000;

/** What says why a use gets no place. */
export interface PlacesOwner {
  /** The error of its deadline. */
  timeout(use: GuardedUse): StewardError;
  /** The error where the queue is full. */
  overload(): StewardError;
}

/**
 * The places of a guard, and the queue for them.
 *
 * A freed place goes to the head of the queue in the same tick, so no one overtakes.
 */
export class Places {
  readonly #clock: Clock;
  readonly #owner: PlacesOwner;
  readonly #evidence: Evidence;
  readonly #breaker: Breaker | undefined;
  #maxConcurrent: number;
  readonly #maxPending: number;
  readonly #queue = new UseList<GuardedUse>();
  /** Places there are now; none while paused. */
  #limit: number;
  #inUse = 0;
  #peakInUse = 0;
  #started = 0;
  #isFilling = false;

  constructor(bounds: GuardBounds, owner: PlacesOwner, evidence: Evidence, breaker: Breaker | undefined) {
    this.#clock = bounds.clock;
    this.#owner = owner;
    this.#evidence = evidence;
    this.#breaker = breaker;
    this.#maxConcurrent = bounds.maxConcurrent ?? Number.POSITIVE_INFINITY;
    this.#maxPending = bounds.maxPending ?? Math.min(MOST_PENDING, PENDING_PER_PLACE * this.#maxConcurrent);
    this.#limit = this.#maxConcurrent;
  }

  /** True when all are taken. */
  get isFull(): boolean {
    return this.#inUse >= this.#limit;
  }

  /** True when none is taken and nothing waits for one. */
  get isIdle(): boolean {
    return this.#inUse === 0 && this.#queue.size === 0;
  }

  get pending(): number {
    return this.#queue.size;
  }

  /** Begins a use, or lets it wait, or refuses it. */
  place(use: GuardedUse, now: number): void {
    if (this.#inUse < this.#limit && this.#queue.first === undefined) this.#begin(use, now);
    else if (this.#breaker !== undefined && this.#breaker.state !== "closed") use.abandon(this.#breaker.refusal(now));
    else if (this.#queue.size < this.#maxPending) this.#enqueue(use);
    else use.abandon(this.#owner.overload());
  }

  #begin(use: GuardedUse, now: number): void {
    if (this.#breaker !== undefined) {
      use.ticket = this.#breaker.admit(now);
      if (use.ticket < 0) return use.abandon(this.#breaker.refusal(now));
    } else use.ticket = this.#evidence.ticket;
    this.#evidence.began(use, now);
    if (++this.#inUse > this.#peakInUse) this.#peakInUse = this.#inUse;
    this.#started++;
    use.start(now);
  }

  #enqueue(use: GuardedUse): void {
    use.queued = true;
    use.waits();
    this.#queue.push(use);
  }

  /** A use no longer waits. */
  dequeue(use: GuardedUse): void {
    use.queued = false;
    this.#queue.remove(use);
  }

  /** A use gives its place back. */
  free(use: GuardedUse): void {
    use.holdsPlace = false;
    this.#inUse--;
    if (!this.#isFilling) this.#fill();
  }

  /** A loop, not recursion: calls that end at once would otherwise nest as deep as the queue is long. */
  #fill(): void {
    this.#isFilling = true;
    try {
      for (let next = this.#queue.first; next !== undefined && this.#inUse < this.#limit; next = this.#queue.first) {
        const now = this.#clock.now();
        if (this.#isToShed(next, now)) next.abandon(this.#owner.timeout(next));
        else this.dequeue(next);
        if (!next.settled && !next.isOrphaned) this.#begin(next, now);
      }
    } finally {
      this.#isFilling = false;
    }
  }

  /**
   * Whether the head of the queue gives its turn away. Only where that helps another: one that came later has more
   * time left, and there are not places enough for all.
   */
  #isToShed(head: GuardedUse, now: number): boolean {
    const { size, last = head } = this.#queue;
    if (size <= this.#limit - this.#inUse) return false;
    const time = this.#evidence.serviceTime;
    return time.shouldShed(head.total, head.since, now) && !time.shouldShed(last.total, last.since, now);
  }

  /** Sets how many there are. Where there are fewer now, what runs goes on, and nothing begins before it has made room. */
  resize(maxConcurrent: number): void {
    const isPaused = this.#limit !== this.#maxConcurrent;
    this.#maxConcurrent = maxConcurrent;
    if (!isPaused) this.resume();
  }

  /** Rejects everything that waits. */
  reject(error: Error): void {
    for (let use = this.#queue.first; use !== undefined; use = this.#queue.first) use.abandon(error);
  }

  /** Takes all places away: what comes waits. What runs goes on. */
  pause(): void {
    this.#limit = 0;
  }

  /** Goes on after {@link pause}: what waited begins in its order. */
  resume(): void {
    this.#limit = this.#maxConcurrent;
    if (!this.#isFilling) this.#fill();
  }

  stats(): Pick<GuardStats, "inUse" | "peakInUse" | "maxConcurrent" | "maxPending" | "pending" | "started"> {
    return {
      inUse: this.#inUse,
      peakInUse: this.#peakInUse,
      maxConcurrent: this.#maxConcurrent === Number.POSITIVE_INFINITY ? undefined : this.#maxConcurrent,
      maxPending: this.#maxPending,
      pending: this.#queue.size,
      started: this.#started,
    };
  }
}
