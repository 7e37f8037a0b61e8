import type { CallAbout, CallBegin } from "./call-event.ts";
import { callBeginsAreHeard, callsAreHeard, publishCall, publishCallBegin } from "../channels.ts";
import { currentContext, runWithContext } from "../context.ts";
import type { RequestSpan } from "./request-event.ts";
import type { Clock } from "../time/clock.ts";

/** What is heard of work that passes no guard. */
export interface HeardWork {
  readonly resource: string;
  readonly operation: string;
  readonly about: CallAbout;
  readonly clock: Clock;
}

/**
 * Runs work that passes no guard, such as a message that is pushed, so that it is heard as a call is: begun in this turn, a span of
 * its own where somebody makes one. Costs nothing unheard.
 *
 * @param work is given the W3C `traceparent` for what it sends.
 */
export function heardCall<T>(heard: HeardWork, work: (traceContext: string | undefined) => T): T {
  if (!callBeginsAreHeard() && !callsAreHeard()) return work(currentContext()?.traceContext);
  const { resource, operation, about } = heard;
  const begin: CallBegin = { resource, operation, about, traceContext: currentContext()?.traceContext };
  publishCallBegin(begin);
  const end = ending(heard, begin);
  try {
    const result = begin.span === undefined ? work(begin.traceContext) : within(begin.span, work);
    if (result instanceof Promise) result.then(() => end(undefined), end);
    else end(undefined);
    return result;
  } catch (error) {
    end(error);
    throw error;
  }
}

function within<T>(span: RequestSpan, work: (traceContext: string | undefined) => T): T {
  const { traceContext } = span;
  return runWithContext({ traceContext }, () => span.run(() => work(traceContext)));
}

function ending({ clock, ...heard }: HeardWork, { span, traceContext }: CallBegin): (error: unknown) => void {
  const since = clock.now();
  return (error) => {
    if (!callsAreHeard()) return;
    const own = span?.traceContext ?? traceContext;
    publishCall({ ...heard, durationMs: clock.now() - since, queuedMs: 0, traceContext: own, span, error });
  };
}
