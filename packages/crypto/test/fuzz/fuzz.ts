import { isStewardError } from "@steward/core";
import { targets, type Target } from "./targets.ts";

/** What came of a run. */
export interface FuzzReport {
  readonly mutations: number;
  /** How often each outcome came. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** Whatever should never happen, with enough to repeat it. */
  readonly faults: readonly string[];
  readonly slowestMs: number;
}

type Random = (below: number) => number;
/** In ms of CPU, so that a busy machine is no fault. */
const HANG_MS = 1_000;

function randomFrom(seed: number): Random {
  let state = (seed ^ 0x9e37_79b9) >>> 0;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % Math.max(1, below);
  };
}

type Mutation = (bytes: Buffer, random: Random, other: Buffer) => Buffer;

function changed(bytes: Buffer, change: (copy: Buffer) => unknown): Buffer {
  const copy = Buffer.from(bytes);
  change(copy);
  return copy;
}

/** Where the structure is: most changes go to the first bytes, or the last. */
function place(bytes: Buffer, random: Random): number {
  const near = Math.min(bytes.length, 80);
  return [random(near), random(bytes.length), bytes.length - 1 - random(near)][random(3)] ?? 0;
}

function flip(bytes: Buffer, at: number, bit: number): void {
  bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
}

const MUTATIONS: readonly Mutation[] = [
  (bytes, random) => changed(bytes, (copy) => flip(copy, place(bytes, random), random(8))),
  (bytes, random) =>
    changed(bytes, (copy) => (copy[place(bytes, random)] = [0, 0xff, 0x7f, 0x80, random(256)][random(5)] ?? 0)),
  (bytes, random) =>
    changed(bytes, (copy) =>
      copy.writeUInt16BE(
        [0, 0xffff, random(65_536)][random(3)] ?? 0,
        Math.min(place(bytes, random), Math.max(0, bytes.length - 2)),
      ),
    ),
  (bytes, random) => bytes.subarray(0, place(bytes, random)),
  (bytes, random) => bytes.subarray(place(bytes, random)),
  (bytes, random) => Buffer.concat([bytes, Buffer.alloc(1 + random(40), random(256))]),
  (bytes, random) => changed(bytes, (copy) => copy.fill(random(2) * 255, place(bytes, random), place(bytes, random))),
  (bytes, random, other) =>
    Buffer.concat([bytes.subarray(0, place(bytes, random)), other.subarray(place(other, random))]),
  (bytes, random) => {
    const [from, to] = [place(bytes, random), place(bytes, random)].sort((a, b) => a - b);
    return Buffer.concat([bytes.subarray(0, to), bytes.subarray(from)]);
  },
  (bytes, random) =>
    changed(bytes, (copy) => Array.from({ length: 1 + random(20) }, () => (copy[random(copy.length)] = random(256)))),
];

async function outcomeOf({ good, read, lenient = false }: Target, bytes: Buffer): Promise<string> {
  try {
    await read(bytes);
    // A message spliced with another of the same target may be that other one, whole.
    return good.some((one) => one.equals(bytes))
      ? "unchanged"
      : lenient
        ? "read"
        : "FAULT: changed input was taken for right";
  } catch (error) {
    return isStewardError(error) && error.code.startsWith("CRYPTO_") ? error.code : `FAULT: ${String(error)}`;
  }
}

/** Changes right input in `mutations` ways and sees that every reader answers with a typed error, soon. */
export async function fuzz(mutations: number, seed: number): Promise<FuzzReport> {
  const { all, manager } = await targets();
  const random = randomFrom(seed);
  const outcomes: Record<string, number> = {};
  const faults: string[] = [];
  let slowestMs = 0;
  for (let i = 0; i < mutations; i++) {
    const target = all[i % all.length];
    const good = target?.good[random(target.good.length)];
    const other = all[random(all.length)]?.good[0];
    const mutate = MUTATIONS[random(MUTATIONS.length)];
    if (target === undefined || good === undefined || other === undefined || mutate === undefined)
      throw new Error("nothing to change");
    const bytes = mutate(good, random, other);
    const before = process.cpuUsage();
    const outcome = await outcomeOf(target, bytes);
    const { user, system } = process.cpuUsage(before);
    const tookMs = (user + system) / 1_000;
    slowestMs = Math.max(slowestMs, tookMs);
    if (outcome.startsWith("FAULT") || tookMs > HANG_MS)
      faults.push(
        `${target.name}, seed ${seed}, mutation ${i}, ${Math.round(tookMs)} ms: ${outcome}: ${bytes.toString("hex").slice(0, 400)}`,
      );
    outcomes[outcome.slice(0, 60)] = (outcomes[outcome.slice(0, 60)] ?? 0) + 1;
  }
  await manager.stop();
  return { mutations, outcomes, faults, slowestMs };
}
