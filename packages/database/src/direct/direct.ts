import type { Clock } from "@steward/core";
import { isLoginRefused } from "@steward/core/driver";
import { Connection, type ConnectionOwner } from "../connections/connection.ts";
import type { Endpoint } from "../connections/endpoint.ts";
import { MOST_REFUSALS, REFUSAL_PAUSE_MS } from "../connections/pool.ts";
import { connectFailed } from "../connections/refusals.ts";

/** Runs `work` on a connection of its own, outside the pool, to the first host that takes one. It is cut off when `signal` aborts. */
export async function onDirectConnection<T>(
  { name, clock }: { readonly name: string; readonly clock: Clock },
  endpoint: Endpoint,
  options: { readonly connectTimeoutMs: number; readonly signal: AbortSignal },
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const owner: ConnectionOwner = { name, clock, closed() {} };
  let [hosts, refusals] = [endpoint.hosts, 0];
  for (;;) {
    const connection = new Connection(owner, endpoint);
    const cut = (): void => connection.destroy();
    options.signal.addEventListener("abort", cut, { once: true });
    let isOpen = false;
    try {
      await connection.open(options.connectTimeoutMs);
      isOpen = true;
      return await work(connection);
    } catch (error) {
      if (isOpen || options.signal.aborted) throw error;
      // A password that is fetched may have been replaced between our asking and the login.
      const mayChange = endpoint.isFetched && isLoginRefused(error) && ++refusals < MOST_REFUSALS;
      hosts = mayChange ? endpoint.hosts : hosts - 1;
      if (hosts === 0) throw connectFailed(name, endpoint.shown, error);
      if (mayChange) await clock.sleep(refusals * REFUSAL_PAUSE_MS, options.signal);
    } finally {
      options.signal.removeEventListener("abort", cut);
      connection.end();
    }
  }
}
