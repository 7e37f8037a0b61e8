import type { Attempt } from "./dial.ts";
import type { Dialler, DialPlan } from "./dialler.ts";
import type { Link } from "./link.ts";

/** What a question wants of a new connection. */
interface Question {
  readonly isOpen: () => boolean;
  readonly answered: () => void;
  readonly failed: (error: unknown) => void;
}

/** What takes the place of the connection in use, to a server that is ours to connect to: one attempt at a time. */
export class Successor {
  readonly #plan: DialPlan;
  readonly #dialler: Dialler;
  readonly #inUse: () => Link | undefined;
  readonly #takesOver: (next: Link) => void;
  #attempt: Attempt | undefined;

  constructor(plan: DialPlan, dialler: Dialler, inUse: () => Link | undefined, takesOver: (next: Link) => void) {
    this.#plan = plan;
    this.#dialler = dialler;
    this.#inUse = inUse;
    this.#takesOver = takesOver;
  }

  /** Makes a connection that takes the place of `link`, unless that has gone, or the question is answered, by then. */
  replace(link: Link, question?: Question): Attempt | undefined {
    if (this.#plan.client !== undefined) return undefined;
    this.cancel();
    const opened = (next: Link): void => {
      if (this.#inUse() !== link || question?.isOpen() === false) return next.kill("it was not needed any more");
      this.#takesOver(next);
      question?.answered();
    };
    return (this.#attempt = this.#dialler.dial(opened, (error) => question?.failed(error)));
  }

  /**
   * Asks for a sign of life by a ping, and where none comes soon over a new connection, for the one that calls take may
   * be what is dead. Then the new one takes its place; calls on the old one have until its ping is given up.
   */
  ask(link: Link, signal: AbortSignal): Promise<void> {
    const { clock, heartbeatTimeoutMs } = this.#plan;
    return new Promise((resolve, reject) => {
      let attempt: Attempt | undefined;
      const isOpen = (): boolean => link.unansweredMs > 0;
      const failed = (error: unknown): void => {
        this.#dialler.turn(); // the next question goes to the next target
        reject(error);
      };
      const askAnew = (): void => {
        if (isOpen()) attempt = this.replace(link, { isOpen, answered: resolve, failed });
      };
      // Half of the time for a pong: before calls are refused, the new connection has the other half.
      const timer = clock.setTimeout(askAnew, heartbeatTimeoutMs / 2 - link.unansweredMs, { unref: true });
      const end = (): void => {
        timer.cancel();
        attempt?.cancel();
      };
      signal.addEventListener("abort", end, { once: true });
      void link.ping().then(resolve, reject).finally(end);
    });
  }

  /** Gives up what is under way. */
  cancel(): void {
    this.#attempt?.cancel();
  }
}
