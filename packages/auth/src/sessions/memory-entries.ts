import { StewardError, type Clock } from "@steward/core";

/** What each entry has, whatever else it holds. */
export interface Ending {
  readonly subject: string;
  endsAt: number;
}

/** What belongs to users and ends, in the memory of one process, and the epochs of users: as `UserRows` in Postgres. */
export class MemoryEntries<E extends Ending> {
  readonly #max: number;
  readonly #clock: Clock;
  readonly #what: string;
  readonly #entries = new Map<string, E>();
  /** Ids of a user's, in the order in which they began. */
  readonly #bySubject = new Map<string, Set<string>>();
  readonly #epochs = new Map<string, number>();

  constructor(max: number, clock: Clock, what: string) {
    this.#max = max;
    this.#clock = clock;
    this.#what = what;
  }

  epoch(subject: string): number {
    return this.#epochs.get(subject) ?? 0;
  }

  /** Ends all of a user's. */
  raiseEpoch(subject: string): void {
    this.#epochs.set(subject, this.epoch(subject) + 1);
    for (const id of this.#bySubject.get(subject) ?? []) this.remove(id);
  }

  /** One that goes on. */
  live(id: string): E | undefined {
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.endsAt > this.#clock.now()) return entry;
    this.remove(id);
    return undefined;
  }

  /** Those of a user that go on, oldest first. */
  of(subject: string): readonly E[] {
    return [...(this.#bySubject.get(subject) ?? [])].flatMap((id) => this.live(id) ?? []);
  }

  /**
   * Adds one, and ends the oldest of its user's that are too many.
   * @throws {OVERLOADED} when there are as many as may be.
   */
  add(id: string, entry: E, maxPerUser: number): void {
    this.#makeRoom();
    const own = this.#bySubject.get(entry.subject) ?? new Set();
    const live = [...own].filter((other) => this.live(other) !== undefined);
    for (const old of live.slice(0, Math.max(0, live.length + 1 - maxPerUser))) this.remove(old);
    this.#entries.set(id, entry);
    this.#bySubject.set(entry.subject, own.add(id));
  }

  remove(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#entries.delete(id);
    const own = this.#bySubject.get(entry.subject);
    own?.delete(id);
    if (own?.size === 0) this.#bySubject.delete(entry.subject);
  }

  #makeRoom(): void {
    if (this.#entries.size < this.#max) return;
    for (const id of this.#entries.keys()) this.live(id);
    if (this.#entries.size < this.#max) return;
    throw new StewardError("OVERLOADED", `${this.#max} ${this.#what} are kept, as many as may be`);
  }
}
