/** A message: text as a string, binary as a Buffer. */
export type Message = string | Buffer;

/** Messages for one `for await`, bounded: when it is full, its owner pauses the socket. */
export class Inbox implements AsyncIterableIterator<Message> {
  readonly #max: number;
  readonly #changed: () => void;
  readonly #left: (inbox: Inbox) => void;
  readonly #messages: Message[] = [];
  #waiters: ((result: IteratorResult<Message>) => void)[] = [];
  #ended = false;

  constructor(max: number, changed: () => void, left: (inbox: Inbox) => void) {
    this.#max = max;
    this.#changed = changed;
    this.#left = left;
  }

  get isFull(): boolean {
    return this.#messages.length >= this.#max;
  }

  push(message: Message): void {
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) return waiter({ done: false, value: message });
    this.#messages.push(message);
    if (this.isFull) this.#changed();
  }

  /** No more will come; what is there can still be read. */
  end(): void {
    this.#ended = true;
    for (const waiter of this.#waiters.splice(0)) waiter({ done: true, value: undefined });
  }

  next(): Promise<IteratorResult<Message>> {
    const wasFull = this.isFull;
    const value = this.#messages.shift();
    if (wasFull) this.#changed();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  return(): Promise<IteratorResult<Message>> {
    this.#messages.length = 0;
    this.end();
    this.#left(this);
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
