import { readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** What a process holds. */
export interface Held {
  /** Heap and buffers in use after a collection, in bytes. */
  readonly bytes: number;
  /** Open files and sockets. */
  readonly descriptors: number;
}

/** What a process held before an attack and after it. */
export interface Growth {
  readonly before: Held;
  readonly after: Held;
  /** Bytes after it for each byte before it: 1 where nothing is left. */
  readonly ratio: number;
}

/** How long an attack runs in a test, in ms; `GROWTH_SECONDS=60` in the environment makes it longer. */
const ATTACK_MS = 1_500;

/**
 * Lets a peer try to grow what it can, and measures what this process holds afterwards. The attack runs twice: what
 * the first run makes once for all (compiled code, pools) is no growth.
 *
 * @param attack Runs for about `ms`, and closes what it has opened.
 */
export async function growthOf(attack: (ms: number) => Promise<void>): Promise<Growth> {
  const ms = 1_000 * Number(process.env["GROWTH_SECONDS"] ?? ATTACK_MS / 1_000);
  await attack(Math.min(ms, ATTACK_MS));
  const before = await held();
  await attack(ms);
  const after = await settled(before);
  return { before, after, ratio: after.bytes / before.bytes };
}

/** Sockets close a moment after the request to close, and caches of a library empty themselves. */
async function settled(before: Held): Promise<Held> {
  for (let turn = 0; turn < 50; turn++) {
    const now = await held();
    if (now.descriptors <= before.descriptors && now.bytes <= before.bytes) return now;
    await sleep(50);
  }
  return held();
}

async function held(): Promise<Held> {
  await sleep(20);
  for (let turn = 0; turn < 3; turn++) collect();
  const { heapUsed, external } = process.memoryUsage();
  return { bytes: heapUsed + external, descriptors: readdirSync("/dev/fd").length };
}

function collect(): void {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
}
