/** Signals that end a process which does not listen to them. */
const SIGNALS = ["SIGHUP", "SIGINT", "SIGTERM"] as const;

/**
 * Calls `flush` at every end of the process that code can still see: an exit, also by an error that nothing handles,
 * and signals. A signal that no one else listens to still ends the process, as it would without this.
 */
export class Ends {
  readonly #flush: () => void;
  readonly #onExit = (): void => this.#flush();
  readonly #onSignal = (signal: NodeJS.Signals): void => {
    this.#flush();
    if (process.listenerCount(signal) > 1) return; // the other listener decides
    this.close();
    process.kill(process.pid, signal);
  };

  constructor(flush: () => void) {
    this.#flush = flush;
  }

  /** @param signals Whether lines are held back, which a signal would lose. */
  open(signals: boolean): void {
    this.close(); // a stop before may not have ended yet
    process.on("exit", this.#onExit);
    if (signals) for (const signal of SIGNALS) process.on(signal, this.#onSignal);
  }

  close(): void {
    process.off("exit", this.#onExit);
    for (const signal of SIGNALS) process.off(signal, this.#onSignal);
  }
}
