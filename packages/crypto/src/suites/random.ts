import { randomFillSync } from "node:crypto";

const POOL_BYTES = 6144;
const pool = Buffer.alloc(POOL_BYTES);
let used = POOL_BYTES;

/**
 * Fresh random bytes for a nonce or salt, written to `target` at `at`.
 *
 * One call to the system's generator serves many nonces; what was handed out is erased from the pool at once.
 */
export function fillRandom(target: Uint8Array, at: number, length: number): void {
  if (used + length > POOL_BYTES) {
    randomFillSync(pool);
    used = 0;
  }
  const end = used + length;
  for (let i = used; i < end; i++) {
    target[at++] = pool[i] ?? 0;
    pool[i] = 0;
  }
  used = end;
}

/** A new key id: random, never 0, and none of those that the keyset has or had. */
export function newKeyId(taken: ReadonlySet<number>): number {
  const bytes = Buffer.allocUnsafe(4);
  for (;;) {
    randomFillSync(bytes);
    const id = bytes.readUInt32BE(0);
    if (id !== 0 && !taken.has(id)) return id;
  }
}
