import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { CHANNELS, type CallEvent } from "@steward/core";

/** What guarded calls named themselves while `work` ran, in the order of their ends. */
export async function operationsOf(work: () => Promise<unknown>): Promise<(string | undefined)[]> {
  const operations: (string | undefined)[] = [];
  const note = (event: unknown): void => void operations.push((event as CallEvent).operation); // what guards publish there
  subscribe(CHANNELS.call, note);
  try {
    await work();
  } finally {
    unsubscribe(CHANNELS.call, note);
  }
  return operations;
}
