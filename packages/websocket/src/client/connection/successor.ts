import type { StewardError } from "@steward/core";
import { Waiters } from "./waiters.ts";
import type { Attempt } from "./dial.ts";
import type { Dialler, DialPlan, Outcome } from "./dialler.ts";
import type { Link } from "./link.ts";

/** An attempt under way. Who takes it on hears what becomes of it. */
interface UnderWay {
  /** Which target it goes to. */
  readonly turn: number;
  /** It takes over also where the connection in use answers. */
  readonly isRenewal: boolean;
  outcome: Outcome;
  dial: Attempt | undefined;
}

/**
 * What takes the place of the connection in use, to a server that is ours to connect to: one attempt at a time. It goes on
 * when the question that began it is over, so that a handshake may take its own time.
 */
export class Successor {
  readonly #plan: DialPlan;
  readonly #dialler: Dialler;
  readonly #inUse: () => Link | undefined;
  readonly #takesOver: (next: Link) => void;
  readonly #questions = new Waiters<void>();
  #attempt: UnderWay | undefined;

  constructor(plan: DialPlan, dialler: Dialler, inUse: () => Link | undefined, takesOver: (next: Link) => void) {
    this.#plan = plan;
    this.#dialler = dialler;
    this.#inUse = inUse;
    this.#takesOver = takesOver;
  }

  /** Makes a connection that takes the place of `link`, with headers asked for now. */
  renew(link: Link): void {
    this.cancel();
    this.#begin(link, true);
  }

  #begin(link: Link, isRenewal: boolean): void {
    if (this.#plan.client !== undefined) return;
    const { turn } = this.#dialler;
    const outcome: Outcome = {
      opened: (next) => {
        if (this.#inUse() === link && (isRenewal || link.unansweredMs > 0)) this.#takesOver(next);
        else next.kill("it was not needed any more");
      },
      failed: () => this.#dialler.leave(turn), // the next question goes to the next target
    };
    const attempt: UnderWay = { turn, isRenewal, outcome, dial: undefined };
    const ended = (): void => void (this.#attempt === attempt && (this.#attempt = undefined));
    this.#attempt = attempt;
    attempt.dial = this.#dialler.dial({
      opened: (next) => {
        ended();
        attempt.outcome.opened(next);
        this.#questions.resolve();
      },
      failed: (error: StewardError) => {
        ended();
        attempt.outcome.failed(error);
        this.#questions.reject(error);
      },
    });
  }

  /**
   * Asks for a sign of life by a ping, and where none comes soon over a new connection, for the one that calls take may
   * be what is dead. Then the new one takes its place; calls on the old one have until its ping is given up.
   */
  ask(link: Link, signal: AbortSignal): Promise<void> {
    const { clock, heartbeatTimeoutMs } = this.#plan;
    return new Promise((resolve, reject) => {
      const askAnew = (): void => {
        if (link.unansweredMs === 0) return;
        void this.#questions.wait().then(resolve, reject);
        if (this.#attempt === undefined) this.#begin(link, false);
      };
      const answered = (): void => {
        if (this.#attempt?.isRenewal === false) this.cancel();
        resolve();
      };
      // Half of the time for a pong: before calls are refused, the new connection has the other half.
      const timer = clock.setTimeout(askAnew, heartbeatTimeoutMs / 2 - link.unansweredMs, { unref: true });
      const end = (): void => timer.cancel();
      signal.addEventListener("abort", end, { once: true });
      void link.ping().then(answered, reject).finally(end);
    });
  }

  /** True where an attempt is under way that goes where the next one would. One that goes elsewhere is given up. */
  goesOn(): boolean {
    if (this.#attempt !== undefined && !this.#dialler.isNext(this.#attempt.turn)) this.cancel();
    return this.#attempt !== undefined;
  }

  /** Hands over the attempt under way, where there is one: the connection whose place it was to take has ended. */
  handOver(outcome: Outcome): Attempt | undefined {
    const attempt = this.goesOn() ? this.#attempt : undefined;
    this.#attempt = undefined;
    if (attempt !== undefined) attempt.outcome = outcome;
    return attempt?.dial;
  }

  /** Gives up what is under way. */
  cancel(): void {
    this.#attempt?.dial?.cancel();
    this.#attempt = undefined;
  }
}
