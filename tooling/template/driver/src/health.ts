import type { SampleClient } from "./manager.ts";

/** One round trip; a rejection means that the remote is not well. */
export async function probe(client: SampleClient): Promise<void> {
  await client.call("ping");
}
