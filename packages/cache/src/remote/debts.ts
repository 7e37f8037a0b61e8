import type { Clock, Timer } from "@steward/core";
import type { Void } from "../cache/backing.ts";
import { Journal } from "./journal.ts";

const RETRY_MS = 1_000;

/** Sends what is owed, before anything is read again, and once a second. */
export class Debts {
  readonly #clock: Clock;
  readonly #journal: Journal;
  readonly #send: (what: Void) => Promise<void>;
  #paying: Promise<void> | undefined;
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(clock: Clock, max: number, send: (what: Void) => Promise<void>) {
    this.#clock = clock;
    this.#journal = new Journal(max);
    this.#send = send;
  }

  get size(): number {
    return this.#journal.size;
  }

  add(what: Void): void {
    this.#journal.add(what);
    this.#arm();
  }

  /** Rejects when something is owed still. All callers share one try. */
  pay(): Promise<void> {
    this.#paying ??= this.#pay().finally(() => (this.#paying = undefined));
    return this.#paying;
  }

  start(): void {
    this.#isStopped = false;
    this.#arm();
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  async #pay(): Promise<void> {
    for (const what of this.#journal.list()) {
      await this.#send(what);
      this.#journal.sent(what);
    }
  }

  #arm(): void {
    if (this.#timer !== undefined || this.#isStopped || this.size === 0) return;
    const again = (): void => {
      this.#timer = undefined;
      this.pay().then(
        () => this.#arm(),
        () => this.#arm(),
      );
    };
    this.#timer = this.#clock.setTimeout(again, RETRY_MS, { unref: true });
  }
}
