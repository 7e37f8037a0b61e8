/** What a {@link UseList} links: it brings the fields, so that a list costs no allocation. In one list at a time. */
export interface Linked<T> {
  /** @internal Neighbours in the list. */
  ahead: T | undefined;
  /** @internal */
  behind: T | undefined;
}

/** A queue from whose middle anything can be taken out, in the same time whatever its length. */
export class UseList<T extends Linked<T>> {
  #first: T | undefined = undefined;
  #last: T | undefined = undefined;
  #size = 0;

  /** The one that has been in it longest. */
  get first(): T | undefined {
    return this.#first;
  }

  /** The one that was put in last. */
  get last(): T | undefined {
    return this.#last;
  }

  get size(): number {
    return this.#size;
  }

  /** Those of which `test` is true, in their order. */
  filter(test: (item: T) => boolean): T[] {
    const found: T[] = [];
    for (let item = this.#first; item !== undefined; item = item.behind) if (test(item)) found.push(item);
    return found;
  }

  /** Puts an item behind all others. */
  push(item: T): void {
    this.#size++;
    item.ahead = this.#last;
    if (this.#last === undefined) this.#first = item;
    else this.#last.behind = item;
    this.#last = item;
  }

  /** Takes out an item that is in it. */
  remove(item: T): void {
    this.#size--;
    if (item.ahead === undefined) this.#first = item.behind;
    else item.ahead.behind = item.behind;
    if (item.behind === undefined) this.#last = item.ahead;
    else item.behind.ahead = item.ahead;
    item.ahead = item.behind = undefined;
  }
}
