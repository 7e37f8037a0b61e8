import { StewardError } from "@steward/core";
import type { Pool } from "./pool.ts";

/** How a pool ends. */
export interface Ending {
  /** Aborts when there is no more time to wait for what runs. */
  readonly signal: AbortSignal;
  /** True when what runs has had its time already. */
  readonly atOnce: boolean;
}

/** Time for the server to take a request to cancel, in ms, before connections are cut off. */
const LAST_WORDS_MS = 150;

/** Ends a pool. What still runs when its time is over is cancelled at the server, so that it does not go on without us, and cut off. */
export async function endPool(pool: Pool, { signal, atOnce }: Ending): Promise<void> {
  const reason = new StewardError("RESOURCE_UNAVAILABLE", `${pool.name}: stopped while this was running`, {
    resource: pool.name,
  });
  const force = (): void => {
    pool.cancel(reason);
    pool.clock.setTimeout(() => pool.destroy(), LAST_WORDS_MS);
  };
  if (signal.aborted) force();
  else signal.addEventListener("abort", force, { once: true });
  const ended = pool.end();
  if (atOnce) pool.cancel(reason);
  await ended;
  signal.removeEventListener("abort", force);
}
