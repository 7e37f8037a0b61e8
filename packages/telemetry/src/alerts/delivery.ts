import { isStewardError, StewardError, type Clock, type Timer } from "@steward/core";
import { backoffMs, describeError } from "@steward/core/driver";
import type { AlertMessage } from "./message.ts";
import type { SendAlert } from "./options.ts";

/** Messages that may wait; the oldest goes first where there are more. */
const MOST_WAITING = 100;
const PAUSES = { minMs: 1_000, maxMs: 60_000 };

/** What a delivery is made with. */
export interface DeliveryParts {
  readonly clock: Clock;
  readonly send: SendAlert;
  readonly deliverMs: number;
  readonly sendTimeoutMs: number;
  readonly report: (problem: StewardError) => void;
}

interface Waiting {
  readonly message: AlertMessage;
  /** When it is given up, in ms of the clock. */
  readonly until: number;
}

/** Sends messages one after the other, in their order, each again until its time is up. */
export class Delivery {
  readonly #parts: DeliveryParts;
  readonly #waiting: Waiting[] = [];
  readonly #ending = new AbortController();
  #isWorking = false;
  #pause: { readonly timer: Timer; readonly end: () => void } | undefined;
  #idle: (() => void)[] = [];
  delivered = 0;
  lost = 0;

  constructor(parts: DeliveryParts) {
    this.#parts = parts;
  }

  /** Messages that wait, or are being sent. */
  get pending(): number {
    return this.#waiting.length;
  }

  add(message: AlertMessage): void {
    this.#waiting.push({ message, until: this.#parts.clock.now() + this.#parts.deliverMs });
    // The first one is being sent.
    if (this.#waiting.length > MOST_WAITING)
      for (const { message } of this.#waiting.splice(1, 1))
        this.#giveUp(message, `${MOST_WAITING} messages wait already`, undefined);
    if (!this.#isWorking) void this.#work();
  }

  /** Sends what waits without further pauses; what is not out after `timeoutMs` is given up. */
  async end(timeoutMs: number): Promise<void> {
    const late = (): void => {
      this.#ending.abort();
      this.#pause?.end();
    };
    const timer = this.#parts.clock.setTimeout(late, timeoutMs);
    this.#pause?.end();
    if (this.#isWorking) await new Promise<void>((resolve) => this.#idle.push(resolve));
    timer.cancel();
    this.#ending.abort();
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      await this.#deliver(next);
      this.#waiting.shift();
    }
    this.#isWorking = false;
    for (const wake of this.#idle.splice(0)) wake();
  }

  async #deliver({ message, until }: Waiting): Promise<void> {
    const { clock } = this.#parts;
    for (let attempt = 0; ; attempt++) {
      const error = await this.#attempt(message);
      if (error === undefined) return void this.delivered++;
      const pauseMs = Math.max(backoffMs(attempt, PAUSES, "equal"), retryAfterOf(error));
      if (this.#ending.signal.aborted) return this.#giveUp(message, "the process ends", error);
      if (isStewardError(error, "TELEMETRY_WEBHOOK_REFUSED") && !error.retryable)
        return this.#giveUp(message, "it was refused", error);
      if (clock.now() + pauseMs > until) return this.#giveUp(message, `${attempt + 1} attempts failed`, error);
      await this.#rest(pauseMs);
      if (this.#ending.signal.aborted) return this.#giveUp(message, "the process ends", error);
    }
  }

  /** What went wrong, within its time. */
  async #attempt(message: AlertMessage): Promise<unknown> {
    const { clock, send, sendTimeoutMs } = this.#parts;
    const abort = new AbortController();
    const late = new StewardError("DEADLINE_EXCEEDED", `no answer after ${sendTimeoutMs} ms`, { retryable: true });
    const timer = clock.setTimeout(() => abort.abort(late), sendTimeoutMs, { unref: true });
    const end = (): void => abort.abort(late);
    this.#ending.signal.addEventListener("abort", end, { once: true });
    if (this.#ending.signal.aborted) end();
    try {
      const gone = new Promise<never>((_resolve, reject) =>
        abort.signal.addEventListener("abort", () => reject(late), { once: true }),
      );
      if (abort.signal.aborted) throw late;
      await Promise.race([send(message, { signal: abort.signal }), gone]);
      return undefined;
    } catch (error) {
      return error ?? new Error("rejected with nothing");
    } finally {
      timer.cancel();
      this.#ending.signal.removeEventListener("abort", end);
    }
  }

  #rest(pauseMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        timer.cancel();
        this.#pause = undefined;
        resolve();
      };
      const timer = this.#parts.clock.setTimeout(end, pauseMs, { unref: true });
      this.#pause = { timer, end };
    });
  }

  #giveUp({ rule, status }: AlertMessage, why: string, cause: unknown): void {
    this.lost++;
    const text = `the message "${rule}" (${status}) was not delivered: ${why}${cause === undefined ? "" : `; ${describeError(cause)}`}`;
    this.#parts.report(new StewardError("TELEMETRY_ALERT_LOST", text, { cause }));
  }
}

function retryAfterOf(error: unknown): number {
  return isStewardError(error) ? (error.retryAfterMs ?? 0) : 0;
}
