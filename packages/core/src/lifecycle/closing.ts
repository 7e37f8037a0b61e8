import type { Clock } from "../time/clock.ts";
import { stopTimeout } from "./errors.ts";
import { withTimeout } from "../time/with-timeout.ts";

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
  close: (signal: AbortSignal) => Promise<void> | void,
  outer: AbortSignal | undefined,
): Promise<void> {
  const graceMs = Math.min(FORCE_MS, timeoutMs / 10);
  const abort = new AbortController();
  const closing = async (): Promise<void> => close(abort.signal);
  try {
    await withTimeout(clock, timeoutMs - graceMs, closing, { abort, outer, graceMs, acceptWithinGrace: true });
  } catch (error) {
    if (!abort.signal.aborted || error !== abort.signal.reason) throw error;
    throw stopTimeout(resource, timeoutMs);
  }
}
