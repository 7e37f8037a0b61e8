const TURN_MS = 5;

/** Does something `perSecond` times a second, whatever becomes of the earlier ones, as real users do. */
export class Rate {
  readonly #timer: NodeJS.Timeout;
  readonly #open = new Set<Promise<void>>();
  readonly #since = performance.now();
  #begun = 0;

  /** @param act is handed how many came before it; it must not reject. @param onTurn is called every 5 ms. */
  constructor(perSecond: number, act: (index: number) => Promise<void>, onTurn: (now: number) => void = () => {}) {
    this.#timer = setInterval(() => {
      const now = performance.now();
      onTurn(now);
      for (const due = ((now - this.#since) / 1_000) * perSecond; this.#begun < due;) {
        const open = act(this.#begun++).finally(() => this.#open.delete(open));
        this.#open.add(open);
      }
    }, TURN_MS);
  }

  get begun(): number {
    return this.#begun;
  }

  /** Begins nothing more. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /** Begins nothing more and waits for what is under way. */
  async end(): Promise<void> {
    this.stop();
    await Promise.all(this.#open);
  }
}

/** How late bare timers of a length are in this process at most: what the machine adds to a time that is measured beside. */
export class Jitter implements Disposable {
  readonly #timer: NodeJS.Timeout;
  /** The latest so far, in ms. */
  ms = 0;

  constructor(lengthMs: number) {
    this.#timer = setInterval(() => {
      const began = performance.now();
      const late = (): void => void (this.ms = Math.max(this.ms, performance.now() - began - lengthMs));
      setTimeout(late, lengthMs).unref();
    }, TURN_MS);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

/** What failed, by why. */
export class Losses {
  readonly counts = new Map<string, number>();

  add(why: unknown): void {
    const code = why instanceof Error && "code" in why ? `${String(why.code)} ` : "";
    const text = `${code}${why instanceof Error ? why.message : String(why)}`.slice(0, 120);
    this.counts.set(text, (this.counts.get(text) ?? 0) + 1);
  }
}

/** How many there are in all. */
export function total(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}
