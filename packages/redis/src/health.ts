import type { Backend } from "./connection/backend.ts";

/** A round trip on the connection that commands take; status flags of the driver say nothing about a dead peer. */
export async function probe(backend: Backend, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await backend.ping();
}
