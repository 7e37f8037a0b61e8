import type { StewardError } from "@steward/core";
import type { Pool } from "./pool.ts";

/** How a pool ends. */
export interface Ending {
  /** Aborts when there is no more time to wait for what runs. */
  readonly signal: AbortSignal;
  /** True when what runs has had its time already. */
  readonly atOnce: boolean;
  /** What becomes of those who wait for a connection. */
  readonly refusal: StewardError;
  /** What becomes of what still runs when its time is over. */
  readonly interruption: StewardError;
}

/** Time for the server to take a request to cancel, in ms, before connections are cut off. */
const LAST_WORDS_MS = 150;

/** Ends a pool. What still runs when its time is over is cancelled at the server, so that it does not go on without us, and cut off. */
export async function endPool(pool: Pool, { signal, atOnce, refusal, interruption }: Ending): Promise<void> {
  const force = (): void => {
    pool.cancel(interruption);
    pool.clock.setTimeout(() => pool.destroy(), LAST_WORDS_MS);
  };
  if (signal.aborted) force();
  else signal.addEventListener("abort", force, { once: true });
  const ended = pool.end(refusal);
  if (atOnce) pool.cancel(interruption);
  await ended;
  signal.removeEventListener("abort", force);
}
