import type { Clock } from "../time/clock.ts";
import { stopTimeout } from "./errors.ts";
import { Bounded, type BoundedCall } from "../time/with-timeout.ts";

/** The last part of the time for a close is for one by force: at most so many ms, and at most a tenth of it. */
const FORCE_MS = 250;

/**
 * Closes something within a time; when most of that is over, or `outer` aborts, the signal of `close` asks for force.
 *
 * @throws {STOP_TIMEOUT} when it does not end in time.
 */
export async function closeWithin(
  resource: string,
  clock: Clock,
  timeoutMs: number,
  close: (call: BoundedCall) => Promise<void> | void,
  outer: AbortSignal | undefined,
): Promise<void> {
  const graceMs = Math.min(FORCE_MS, timeoutMs / 10);
  const bounded = new Bounded<void>(clock, { outer, graceMs, acceptWithinGrace: true });
  try {
    await bounded.run(timeoutMs - graceMs, close);
  } catch (error) {
    const { aborted, reason } = bounded.signal;
    throw aborted && error === reason ? stopTimeout(resource, timeoutMs) : error;
  }
}
