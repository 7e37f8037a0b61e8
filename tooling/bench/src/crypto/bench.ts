import type { Findings } from "../harness/report.ts";
import type { Settings } from "../harness/settings.ts";
import { messagesBench } from "./messages.ts";
import { streamsBench } from "./streams.ts";
import { turnsBench } from "./turns.ts";

/** Messages beside hand-written calls and rivals, a long stream, and how long the main thread is ever busy. */
export async function cryptoBench({ rounds, say }: Settings): Promise<Findings> {
  say("crypto: turns of the main thread");
  const turns = await turnsBench();
  say("crypto: streams");
  const streams = await streamsBench();
  // Messages are short work, so more pairs cost little.
  const messages = await messagesBench({ rounds: Math.max(rounds, 15), say });
  const all = [turns, streams, messages];
  return { targets: all.flatMap((found) => found.targets), tables: all.flatMap((found) => found.tables) };
}
