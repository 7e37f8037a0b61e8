import type { Clock } from "./clock.ts";
import { lookEveryMs, Lookout } from "./lookout.ts";

/** What a {@link ConnectionWatch} looks at. */
export interface ConnectionWatchParts {
  readonly clock: Clock;
  /** Silence that is suspicious while an answer is owed, in ms. */
  readonly silenceMs: number;
  /** Silence after which a connection that owes nothing is to be asked for a sign of life, in ms. Default: never. */
  readonly heartbeatMs?: number | undefined;
  /** The answer that it owes first; `undefined` where it owes none. Another one than before begins the silence anew. */
  readonly owed: () => unknown;
  /** How much has come so far. Another amount than before begins the silence anew. */
  readonly received: () => number;
  /** Called at every look while the silence lasts: with `owes` it is suspicious, without it is time for a question. */
  readonly onSilence: (silentMs: number, owes: boolean) => void;
}

/**
 * Watches whether one connection still gives signs of life.
 *
 * It looks five times per `silenceMs` instead of at every message, so it costs nothing on the way of a message. A time in
 * which this process stood still is not silence of the other side.
 */
export class ConnectionWatch {
  readonly #parts: ConnectionWatchParts;
  readonly #lookout: Lookout;
  #owed: unknown;
  #received = 0;
  #since: number;
  #heardAt: number;

  constructor(parts: ConnectionWatchParts) {
    const { clock, silenceMs } = parts;
    this.#parts = parts;
    this.#since = this.#heardAt = clock.now();
    this.#lookout = new Lookout(clock, lookEveryMs(silenceMs), (stoodStill) => this.look(stoodStill));
  }

  /** For how long it has owed an answer without a sign of life, in ms; 0 when it owes none. */
  get silentMs(): number {
    this.#read();
    return this.#owed === undefined ? 0 : this.#parts.clock.now() - this.#since;
  }

  /** True when it has been silent for too long. */
  get isSilent(): boolean {
    return this.silentMs >= this.#parts.silenceMs;
  }

  /** When something last came, in ms of the clock; up to one look late. */
  get heardAt(): number {
    return this.#heardAt;
  }

  /** Looks from now on by itself. */
  start(): this {
    this.#lookout.start();
    return this;
  }

  /** Looks no more. */
  stop(): void {
    this.#lookout.stop();
  }

  /** Looks now, for owners that have a timer of their own. */
  look(stoodStill: boolean): void {
    this.#read();
    const now = this.#parts.clock.now();
    if (stoodStill) this.#since = now;
    const { silenceMs, heartbeatMs = Number.POSITIVE_INFINITY, onSilence } = this.#parts;
    const silentMs = now - this.#since;
    const owes = this.#owed !== undefined;
    if (silentMs >= (owes ? silenceMs : heartbeatMs)) onSilence(silentMs, owes);
  }

  #read(): void {
    const { clock, owed, received } = this.#parts;
    const [first, amount] = [owed(), received()];
    if (amount !== this.#received) this.#heardAt = this.#since = clock.now();
    else if (first !== this.#owed) this.#since = clock.now();
    this.#owed = first;
    this.#received = amount;
  }
}
