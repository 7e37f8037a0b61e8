import { AsyncResource } from "node:async_hooks";
import { runWithContext, StewardError, type Clock } from "@steward/core";
import { outcomeUnknown } from "@steward/core/driver";

/** By this error the driver sends a command again, and a pipeline of which no command has another error. */
const CLOSED = "Connection is closed.";

/** What it says of commands that it could not send. */
const NOT_SENT = /^Connection is closed\.$|^Cluster is(n't ready| ended)|^Too many Cluster redirections/;

/** What we say instead, for an error that is not repaired by sending again reaches the caller. */
const GONE = "no connection to the node of its slot";

/** The error of a command that was not sent, or any other as it is. */
export function notSent(resource: string, error: Error): Error {
  if (!NOT_SENT.test(error.message)) return error;
  const why = `${GONE}; is it down, or is the failover to its replica not over yet?`;
  return new StewardError("RESOURCE_UNAVAILABLE", `${resource}: ${why}`, { resource, cause: error, retryable: true });
}

/** The error of a command whose reply was lost and which may run twice. It names no command: the driver compares. */
export function sendAgain(resource: string): StewardError {
  return outcomeUnknown(resource, `${GONE} any more when its reply was due`, { retryable: true });
}

/** An error in the words of the driver, by which it decides what to do. */
export function inDriversWords(error: Error): Error {
  return error.message.includes(GONE) ? new Error(CLOSED) : error;
}

/** What the driver does after a failure, by the kind of that. */
export type Handlers = Readonly<Record<string, (...details: unknown[]) => void>>;

/** What the driver notes of the attempts of one pipeline, or command. */
export interface FailedPipeline {
  value?: number;
  /** When the last one has to be over. */
  until?: number;
}

/** Bounds the attempts of a pipeline together: each passes the guard anew, which gives it the whole time of a call. */
export class Attempts {
  readonly #clock: Clock;
  readonly #timeoutMs: number;

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * What the driver does after a failure, with a deadline that counts from the first one, and in the context of the
   * caller: the driver's timer has that of the pipeline that failed first.
   */
  bounded(pipeline: FailedPipeline, handlers: Handlers): Handlers {
    const deadline = (pipeline.until ??= this.#clock.now() + this.#timeoutMs);
    const caller = new AsyncResource("steward.attempt", { requireManualDestroy: true });
    const entries = Object.entries(handlers).map(([name, handle]) => {
      const attempt = (...details: unknown[]): void => runWithContext({ deadline }, () => handle(...details));
      return [name, (...details: unknown[]) => caller.runInAsyncScope(attempt, undefined, ...details)] as const;
    });
    return Object.fromEntries(entries);
  }
}
