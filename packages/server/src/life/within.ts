import { systemClock } from "@steward/core";

/** Whether something comes in time. */
export async function within(work: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  const abort = new AbortController();
  const late = systemClock.sleep(timeoutMs, abort.signal).then(
    () => false,
    () => true,
  );
  const inTime = await Promise.race([work.then(() => true), late]);
  abort.abort();
  return inTime;
}
