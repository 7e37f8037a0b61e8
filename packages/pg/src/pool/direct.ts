import type { Clock } from "@steward/core";
import { Client, type ClientConfig, type QueryResultRow } from "pg";
import { cutOff } from "./raw-client.ts";

/** How long a question may take. */
export interface DirectBounds {
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Asks a server something over a connection of its own, within a time. */
export async function askDirectly<Row extends QueryResultRow>(
  config: ClientConfig,
  { clock, timeoutMs, signal }: DirectBounds,
  text: string,
  values: readonly unknown[] = [],
): Promise<readonly Row[]> {
  const client = new Client({ ...config, connectionTimeoutMillis: timeoutMs, query_timeout: timeoutMs });
  const cut = (): void => cutOff(client, new Error("the question was given up"));
  client.on("error", () => {}); // what is under way reports it
  const ended = new Promise<void>((resolve) => client.once("end", resolve)); // it may have ended before it is asked to
  signal?.addEventListener("abort", cut, { once: true });
  try {
    await client.connect();
    return (await client.query<Row>(text, [...values])).rows;
  } finally {
    signal?.removeEventListener("abort", cut);
    const timer = clock.setTimeout(cut, timeoutMs, { unref: true }); // a server that says nothing does not end it either
    void ended.then(() => timer.cancel());
    client.end().catch(() => {});
  }
}
