import type { Marks } from "./marks.ts";

/** What is known under a key: a value, that there is none, or the error of the last try. */
export type Known =
  | { readonly kind: "value"; readonly value: unknown }
  | { readonly kind: "absent" }
  | { readonly kind: "error"; readonly error: unknown };

/** "There is none", as it is kept. */
export const ABSENT: Known = Object.freeze({ kind: "absent" });

/** What an entry is made of. */
export interface EntryParts {
  readonly known: Known;
  readonly tags: readonly string[];
  readonly marks: Marks;
  /** Clock of the invalidations at which it was looked up: those after it make it void. */
  readonly clock: number;
  readonly bytes: number;
  /** Instants of the monotonic clock, in ms. */
  readonly storedAt: number;
  readonly freshUntil: number;
  readonly usableUntil: number;
}

/** What this process holds under one key. */
export class Entry {
  readonly known: Known;
  readonly tags: readonly string[];
  readonly bytes: number;
  readonly storedAt: number;
  readonly clock: number;
  usableUntil: number;
  freshUntil: number;
  /** Before this instant no refresh is tried: the last one failed. */
  retryAt = 0;
  readonly #marks: Marks;
  /** The version of the marks at which it was found right last. */
  #checkedAt = -1;

  constructor(parts: EntryParts) {
    this.known = parts.known;
    this.tags = parts.tags;
    this.bytes = parts.bytes;
    this.storedAt = parts.storedAt;
    this.freshUntil = parts.freshUntil;
    this.usableUntil = parts.usableUntil;
    this.clock = parts.clock;
    this.#marks = parts.marks;
  }

  /** Whether nothing that concerns it was made void since. */
  get holds(): boolean {
    const marks = this.#marks;
    if (this.#checkedAt === marks.version) return true;
    if (!marks.holds(this.clock, this.tags)) return false;
    this.#checkedAt = marks.version;
    return true;
  }
}
