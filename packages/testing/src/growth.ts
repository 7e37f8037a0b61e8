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
/** V8 compiles code for about 20 s; what it makes in that time is no growth. */
const WARM_UP_MS = 20_000;

/**
 * Lets a peer try to grow what it can, and measures what this process holds afterwards. The attack runs twice: what
 * the first run (of at most 20 s) makes once for all, compiled code and pools, is no growth.
 *
 * @param attack Runs for about `ms`, and closes what it has opened.
 */
export async function growthOf(attack: (ms: number) => Promise<void>): Promise<Growth> {
  const ms = 1_000 * Number(process.env["GROWTH_SECONDS"] ?? ATTACK_MS / 1_000);
  await attack(Math.min(ms, WARM_UP_MS));
  const before = await atRest();
  await attack(ms);
  const after = await settled(before);
  return { before, after, ratio: after.bytes / before.bytes };
}

/** What is held once nothing is closed any more. */
async function atRest(): Promise<Held> {
  let now = await held();
  for (let turn = 0; turn < 50; turn++) {
    const then = now;
    await sleep(50);
    now = await held();
    if (now.descriptors === then.descriptors) return now;
  }
  return now;
}

/** Sockets close a moment after the request to close, and caches of a library empty themselves. */
async function settled(before: Held): Promise<Held> {
  // Each look is three collections, so that looks become rarer.
  for (let waitMs = 50; waitMs < 1_000; waitMs *= 1.3) {
    const now = await held();
    if (now.descriptors <= before.descriptors && now.bytes <= before.bytes) return now;
    await sleep(waitMs);
  }
  return held();
}

async function held(): Promise<Held> {
  await sleep(20);
  for (let turn = 0; turn < 3; turn++) collect();
  const { heapUsed, external } = process.memoryUsage();
  return { bytes: heapUsed + external, descriptors: readdirSync("/dev/fd").length };
}

let collector: (() => void) | undefined;
function collect(): void {
  setFlagsFromString("--expose-gc");
  collector ??= runInNewContext("gc") as () => void;
  collector();
}
