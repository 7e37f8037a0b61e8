import type { Void } from "../cache/backing.ts";

/** Invalidations that Redis has not taken yet. It is bounded: past that, all is owed. */
export class Journal {
  readonly #max: number;
  readonly #owed = new Map<string, Void>();
  #all: Void | undefined;

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#all === undefined ? this.#owed.size : this.#owed.size + 1;
  }

  /** Adds what is owed. What came before and says the same is one with it. */
  add(what: Void): void {
    if (what.kind === "clear") return this.#addAll(what);
    const parts: readonly (readonly [string, Void])[] =
      what.kind === "tag"
        ? what.tags.map((tag) => [`t${tag}`, { kind: "tag", tags: [tag] }])
        : [[`k${what.key}`, { kind: "delete", key: what.key }]];
    for (const [name, part] of parts) this.#owed.set(name, part);
    if (this.#owed.size > this.#max) this.#addAll({ kind: "clear" });
  }

  /** All that is owed now. */
  list(): readonly Void[] {
    return this.#all === undefined ? [...this.#owed.values()] : [this.#all];
  }

  /** It was sent. What was added meanwhile stays. */
  sent(what: Void): void {
    if (this.#all === what) this.#all = undefined;
    for (const [name, part] of this.#owed) if (part === what) this.#owed.delete(name);
  }

  #addAll(what: Void): void {
    this.#owed.clear();
    this.#all = what;
  }
}
