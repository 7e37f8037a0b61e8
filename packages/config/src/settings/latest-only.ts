/** Runs some work one at a time. Who asks while it runs shares the next run with all others who do. */
export class LatestOnly<T> {
  readonly #work: () => Promise<T>;
  #running: Promise<unknown> | undefined;
  #next: Promise<T> | undefined;

  constructor(work: () => Promise<T>) {
    this.#work = work;
  }

  run(): Promise<T> {
    if (this.#running === undefined) return this.#begin();
    return (this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      return this.#begin();
    }));
  }

  #begin(): Promise<T> {
    const run = this.#work();
    const over: Promise<unknown> = run
      .catch(() => {})
      .then(() => {
        if (this.#running === over) this.#running = undefined;
      });
    this.#running = over;
    return run;
  }

  /** Resolves once nothing runs. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }
}
