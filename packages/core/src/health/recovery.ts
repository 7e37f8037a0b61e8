import type { Breaker } from "../guard/breaker.ts";
import type { Clock, Timer } from "../time/clock.ts";
import type { GuardBounds } from "../guard/options.ts";
import type { GuardedUse } from "../guard/guarded-use.ts";
import { withJitter } from "../time/backoff.ts";
import type { Inquiry } from "./inquiry.ts";
import type { UseList } from "../guard/use-list.ts";

/** Longest time between two questions while the breaker is open, in ms, and how fast it grows to that. */
const LONGEST_PAUSE_MS = 1_000;
const PAUSE_GROWTH = 1.2;
/** Calls from before an outage that hold all places have this long to get their answer once the resource answers a question, in ms. */
const LAST_WAIT_MS = 1_000;

/** What recovers from an outage. */
export interface Recovering {
  /** Attempts that have their place and no answer yet, oldest first. */
  readonly running: UseList<GuardedUse>;
  /** True when no call could begin now. */
  readonly isFull: boolean;
  /** True while no timer may begin. */
  readonly isStopped: boolean;
  /** The resource has answered a question. */
  answered(): void;
}

/** While the breaker is open no call is risked: the resource is asked, and the first answer lets a call try. */
export class Recovery {
  readonly #clock: Clock;
  readonly #options: GuardBounds;
  readonly #owner: Recovering;
  readonly #inquiry: Inquiry;
  readonly #breaker: Breaker;
  #question: Timer | undefined = undefined;
  #lastWait: Timer | undefined = undefined;
  #pauseMs = 0;

  constructor(options: GuardBounds, owner: Recovering, inquiry: Inquiry, breaker: Breaker) {
    this.#clock = options.clock;
    this.#options = options;
    this.#owner = owner;
    this.#inquiry = inquiry;
    this.#breaker = breaker;
  }

  /** The breaker has opened. */
  begin(): void {
    if (this.#question !== undefined) return;
    this.#pauseMs = this.#breaker.breakDurationMs;
    this.#askLater();
  }

  #askLater(): void {
    if (this.#owner.isStopped) return;
    const pauseMs = withJitter(this.#pauseMs);
    this.#pauseMs = Math.max(this.#pauseMs, Math.min(LONGEST_PAUSE_MS, this.#pauseMs * PAUSE_GROWTH));
    this.#question = this.#clock.setTimeout(() => void this.#ask(), pauseMs, { unref: true });
  }

  async #ask(): Promise<void> {
    const question = this.#question;
    // While it takes no calls for another reason there is nothing to ask for.
    const isRefused = this.#options.refusal?.() !== undefined;
    const reason = isRefused ? undefined : await this.#inquiry.answer();
    if (this.#question !== question) return; // it was stopped
    this.#question = undefined;
    if (this.#breaker.state !== "open") return;
    if (isRefused || reason !== undefined) return this.#askLater();
    this.#owner.answered();
    this.#makeRoom();
  }

  /** Calls whose connections died in the outage may hold all places until their deadlines, and keep out the one that tries. */
  #makeRoom(): void {
    const from = this.#clock.now();
    const giveUp = (): void => {
      if (this.#breaker.state !== "half-open" || !this.#owner.isFull) return;
      for (const use of this.#owner.running.filter(({ startedAt = from }) => startedAt < from)) use.expire();
    };
    this.#lastWait?.cancel();
    this.#lastWait = this.#clock.setTimeout(giveUp, LAST_WAIT_MS, { unref: true });
  }

  /** Ends its timers. */
  stop(): void {
    this.#question?.cancel();
    this.#lastWait?.cancel();
    this.#question = this.#lastWait = undefined;
  }
}
