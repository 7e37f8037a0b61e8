import type { Flight } from "./flight.ts";

/** The look-ups and loads that are under way. */
export class Flights {
  /** The one that new callers may join, by key. */
  readonly #open = new Map<string, Flight>();
  readonly #all = new Set<Flight>();
  /** All of a key, also those that no one may join any more. */
  readonly #byKey = new Map<string, Set<Flight>>();
  #idle: (() => void)[] = [];

  /** How many are under way. */
  get size(): number {
    return this.#all.size;
  }

  of(key: string): Flight | undefined {
    return this.#open.get(key);
  }

  /** The one of a key, unless it is known already that a new caller may not have its result. */
  joinable(key: string): Flight | undefined {
    const flight = this.#open.get(key);
    return flight?.isVoid === true ? undefined : flight;
  }

  add(flight: Flight, joinable = true): void {
    this.#all.add(flight);
    const same = this.#byKey.get(flight.key);
    if (same === undefined) this.#byKey.set(flight.key, new Set([flight]));
    else same.add(flight);
    if (joinable) this.#open.set(flight.key, flight);
  }

  remove(flight: Flight): void {
    this.#all.delete(flight);
    const same = this.#byKey.get(flight.key);
    if (same?.delete(flight) === true && same.size === 0) this.#byKey.delete(flight.key);
    if (this.#open.get(flight.key) === flight) this.#open.delete(flight.key);
    if (this.#all.size === 0) for (const wake of this.#idle.splice(0)) wake();
  }

  /** What is under way for a key began before `clock`: it is given to those who wait, and to no one else. */
  void(key: string, clock: number): void {
    this.#open.delete(key);
    for (const flight of this.#byKey.get(key) ?? []) flight.voided(clock);
  }

  /** No one joins what is under way now, and nothing of it is kept in this process. */
  voidAll(): void {
    this.#open.clear();
    for (const flight of this.#all) flight.voided(Number.POSITIVE_INFINITY);
  }

  /** Gives all of them up. */
  abort(reason: unknown): void {
    for (const flight of this.#all) flight.abort.abort(reason);
  }

  idle(): Promise<void> {
    return this.#all.size === 0 ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve));
  }
}
