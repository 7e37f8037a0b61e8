import { createHash, type Hash } from "node:crypto";
import { cryptoError } from "../errors.ts";
import { absorb } from "./cbc-hmac.ts";
import { bytesOf, type Data } from "./encoding/bytes.ts";
import type { HashName } from "./engines/engine.ts";
import { atOnce, inTurns, type Pausable } from "./turns.ts";

const SLICE_BYTES = 256 * 1024;

/** The SHA-2 digest of data of any size; large data is worked on in pieces. */
export async function digest(hash: HashName, data: Data): Promise<Buffer> {
  const bytes = bytesOf(data);
  checkHash(hash);
  return bytes.length <= SLICE_BYTES ? atOnce(digestion(hash, bytes)) : inTurns(digestion(hash, bytes));
}

function* digestion(hash: HashName, bytes: Uint8Array): Pausable<Buffer> {
  const state = createHash(hash);
  yield* absorb(state, bytes, SLICE_BYTES);
  return state.digest();
}

/** A SHA-2 digest to be fed piece by piece: Node's own `Hash`, which is a stream too. */
export function digester(hash: HashName): Hash {
  checkHash(hash);
  return createHash(hash);
}

function checkHash(hash: unknown): void {
  if (hash === "sha256" || hash === "sha512") return;
  throw cryptoError("CRYPTO_UNSUPPORTED", 'digests are "sha256" or "sha512"');
}
