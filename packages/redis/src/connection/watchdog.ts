import type { Clock, Timer } from "@steward/core";
import type { Redis } from "ioredis";

/** A late tick says that this process stood still, not that the server did. */
const STALL_TICKS = 3;

/**
 * Watches whether a connection that owes replies delivers anything.
 *
 * It looks a few times per `silenceMs` instead of at every command, so it costs nothing on the way of a command.
 */
export class Watchdog {
  readonly #redis: Redis;
  readonly #clock: Clock;
  readonly #tickMs: number;
  readonly #silenceMs: number;
  readonly #onSilence: (silentMs: number) => void;
  #head: unknown = undefined;
  #bytes = 0;
  #progressAt: number;
  #tickAt: number;
  #timer: Timer | undefined;

  /** `onSilence` is called at every look while the silence lasts. */
  constructor(redis: Redis, clock: Clock, silenceMs: number, onSilence: (silentMs: number) => void) {
    this.#redis = redis;
    this.#clock = clock;
    this.#silenceMs = silenceMs;
    this.#tickMs = Math.min(250, Math.max(5, silenceMs / 5));
    this.#onSilence = onSilence;
    this.#progressAt = this.#tickAt = clock.now();
    this.#arm();
  }

  /** For how long it has owed replies without delivering a byte, in ms; 0 when it owes none. */
  get silentMs(): number {
    this.#look();
    return this.#head === undefined ? 0 : this.#clock.now() - this.#progressAt;
  }

  /** True when it has been silent for too long. */
  get silent(): boolean {
    return this.silentMs >= this.#silenceMs;
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(): void {
    this.#timer = this.#clock.setTimeout(() => this.#tick(), this.#tickMs, { unref: true });
  }

  #tick(): void {
    const now = this.#clock.now();
    if (now - this.#tickAt > STALL_TICKS * this.#tickMs) this.#progressAt = now;
    this.#tickAt = now;
    this.#arm();
    const { silentMs } = this;
    if (silentMs >= this.#silenceMs) this.#onSilence(silentMs);
  }

  #look(): void {
    const head: unknown = this.#redis.commandQueue.peekFront();
    const bytes = this.#redis.stream.bytesRead;
    if (head !== this.#head || bytes !== this.#bytes) this.#progressAt = this.#clock.now();
    this.#head = head;
    this.#bytes = bytes;
  }
}
