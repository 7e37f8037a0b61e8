import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { CHANNELS, type CallEvent } from "@steward/core";
import { assertShape, func, milliseconds, required, shape, type Shape, wholeNumber } from "@steward/core/container";

/** Which calls are reported. */
export interface SlowCallOptions {
  /** Calls that took longer, time in the queue included, in ms. */
  readonly overMs: number;
  /** What to do with one; most log it. It is called as the call ends, so it has to be quick. What it throws is dropped. */
  readonly report: (call: CallEvent) => void;
  /** Most reports in a minute. Default 60. */
  readonly maxPerMinute?: number | undefined;
}

const slowShape: Shape<SlowCallOptions> = /* @__PURE__ */ shape<SlowCallOptions>(() => ({
  overMs: required(milliseconds(0)),
  report: required(func()),
  maxPerMinute: wholeNumber(1),
}));

const MINUTE_MS = 60_000;

/**
 * Reports calls of resources that take long, with the resource, the operation, and how much of it was waiting for a
 * place. While it listens each call of this process costs some 60 ns more.
 *
 * @returns What ends it.
 * @throws {OPTIONS_INVALID} when an option is unknown, missing or wrong.
 *
 * @example
 * ```ts fragment
 * using _slow = slowCalls({ overMs: 500, report: ({ resource, operation, durationMs }) => log.warn({ resource, operation, durationMs }) });
 * ```
 */
export function slowCalls(options: SlowCallOptions): Disposable {
  assertShape("slowCalls", slowShape, options);
  const { overMs, report, maxPerMinute = 60 } = options;
  let [minute, reported] = [Number.NEGATIVE_INFINITY, 0];
  const hear = (message: unknown): void => {
    const event = message as CallEvent; // the channel carries nothing else
    if (event.durationMs <= overMs) return;
    const now = performance.now();
    if (now - minute >= MINUTE_MS) [minute, reported] = [now, 0];
    if (++reported > maxPerMinute) return;
    try {
      report(event);
    } catch {
      // a channel would end the process with what a listener throws
    }
  };
  subscribe(CHANNELS.call, hear);
  return { [Symbol.dispose]: () => void unsubscribe(CHANNELS.call, hear) };
}
