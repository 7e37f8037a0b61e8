/** What was lost, by what happened. */
export class Losses {
  readonly counts = new Map<string, number>();

  add(why: unknown): void {
    const text =
      why instanceof Error ? ("code" in why ? `${String(why.code)} ${why.message}` : String(why)) : String(why);
    const short = text.slice(0, 120);
    this.counts.set(short, (this.counts.get(short) ?? 0) + 1);
  }

  get total(): number {
    return [...this.counts.values()].reduce((sum, count) => sum + count, 0);
  }
}

/** Does something `rate` times a second, whatever becomes of the earlier ones. */
export class Pace {
  readonly #timer: NodeJS.Timeout;
  readonly #open = new Set<Promise<void>>();
  readonly #since = performance.now();
  #begun = 0;

  /** @param act is handed how many came before it; it must not reject. */
  constructor(rate: number, act: (index: number) => Promise<void>) {
    this.#timer = setInterval(() => {
      for (const due = ((performance.now() - this.#since) / 1_000) * rate; this.#begun < due;) {
        const open = act(this.#begun++).finally(() => this.#open.delete(open));
        this.#open.add(open);
      }
    }, 5);
  }

  get begun(): number {
    return this.#begun;
  }

  /** Begins nothing more and waits for what is under way. */
  async end(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#open);
  }
}
