import type { ScopeState } from "./scope.ts";

/** The scopes that are open. A list through the scopes themselves, because adding to it is part of every request. */
export class OpenScopes {
  #size = 0;
  #first: ScopeState | undefined;
  #onEmpty: (() => void)[] = [];

  get size(): number {
    return this.#size;
  }

  add(scope: ScopeState): void {
    scope.after = this.#first;
    if (this.#first !== undefined) this.#first.before = scope;
    this.#first = scope;
    this.#size++;
  }

  remove(scope: ScopeState): void {
    if (scope.before === undefined) this.#first = scope.after;
    else scope.before.after = scope.after;
    if (scope.after !== undefined) scope.after.before = scope.before;
    if (--this.#size === 0 && this.#onEmpty.length > 0) for (const wake of this.#onEmpty.splice(0)) wake();
  }

  *[Symbol.iterator](): Iterator<ScopeState> {
    for (let scope = this.#first; scope !== undefined; scope = scope.after) yield scope;
  }

  /** Resolves once none is open; `false` when the signal aborts first. */
  async ended(signal?: AbortSignal): Promise<boolean> {
    if (this.#size === 0) return true;
    if (signal?.aborted === true) return false;
    return new Promise((resolve) => {
      this.#onEmpty.push(() => resolve(true));
      signal?.addEventListener("abort", () => resolve(false), { once: true });
    });
  }
}
