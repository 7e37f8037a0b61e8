import { timingSafeEqual } from "node:crypto";
import { cryptoError, notAuthentic } from "../errors.ts";
import { openedWhole, type Aead, type NonceSource } from "./aead.ts";
import type { CipherKey, Engine } from "./engines/engine.ts";
import { fillRandom } from "./random.ts";
import type { Pausable } from "./turns.ts";

/** Plaintext of every chunk but the last, which is always shorter. */
export const CHUNK_BYTES = 16_384;
const TAG_BYTES = 16;
/** Ciphertext of every chunk but the last. */
export const SEALED_CHUNK_BYTES: number = CHUNK_BYTES + TAG_BYTES;
const SALT_BYTES = 24;
const COMMITMENT_BYTES = 32;
const NONCE_BYTES = 12;
/** Bytes before the first chunk: salt and key commitment. */
export const PREAMBLE_BYTES: number = SALT_BYTES + COMMITMENT_BYTES;
const MAX_CHUNKS = 2 ** 38;
const LABEL = Buffer.from("c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0", "latin1");
const NO_AAD = new Uint8Array(0);

/** What encrypts the chunks of one message: Cobblestone-256 (c2sp.org/chunked-encryption, version 1). */
export class ChunkCipher {
  readonly #engine: Engine;
  readonly #key: CipherKey;
  readonly #baseNonce: Uint8Array;
  readonly #nonce: Uint8Array = new Uint8Array(NONCE_BYTES);

  constructor(engine: Engine, key: CipherKey, baseNonce: Uint8Array) {
    this.#engine = engine;
    this.#key = key;
    this.#baseNonce = baseNonce;
  }

  /** Writes the sealed chunk to `out` at `at` and gives where it ends. */
  seal(index: number, plaintext: Uint8Array, out: Uint8Array, at: number): number {
    const cipher = this.#engine.gcmEncryption(this.#key, this.#nonceOf(index), NO_AAD);
    const piece = cipher.update(plaintext);
    out.set(piece, at);
    out.set(cipher.final(), at + piece.length);
    out.set(cipher.getAuthTag(), at + plaintext.length);
    return at + plaintext.length + TAG_BYTES;
  }

  /** The plaintext of a chunk, once it has authenticated. */
  open(index: number, sealed: Uint8Array): Uint8Array {
    const tagAt = sealed.length - TAG_BYTES;
    if (tagAt < 0) throw notAuthentic();
    const decipher = this.#engine.gcmDecryption(this.#key, this.#nonceOf(index), NO_AAD, sealed.subarray(tagAt));
    return openedWhole(decipher, sealed.subarray(0, tagAt));
  }

  #nonceOf(index: number): Uint8Array {
    if (index >= MAX_CHUNKS) throw cryptoError("CRYPTO_INPUT_TOO_LARGE", "a message of this format ends at 4 PiB");
    this.#nonce.set(this.#baseNonce);
    let rest = index;
    for (let at = NONCE_BYTES - 1; rest > 0; at--) {
      this.#nonce[at] = (this.#nonce[at] ?? 0) ^ (rest % 256);
      rest = Math.floor(rest / 256);
    }
    return this.#nonce;
  }
}

interface MessageKeys {
  readonly cipher: ChunkCipher;
  readonly commitment: Uint8Array;
}

function messageKeys(engine: Engine, key: CipherKey, salt: Uint8Array, context: Uint8Array): MessageKeys {
  const info = Buffer.concat([LABEL, salt, context]);
  const first = expand(engine, key, NO_AAD, info, 1);
  const second = expand(engine, key, first, info, 2);
  const okm = Buffer.concat([first, second]);
  return {
    cipher: new ChunkCipher(engine, engine.derivedKey(okm.subarray(0, 32)), okm.subarray(32, 44)),
    commitment: okm.subarray(44, 76),
  };
}

/** One step of HKDF-Expand with SHA-512. */
function expand(engine: Engine, key: CipherKey, before: Uint8Array, info: Uint8Array, count: number): Uint8Array {
  const mac = engine.hmac("sha512", key);
  mac.update(before);
  mac.update(info);
  mac.update(Uint8Array.of(count));
  return mac.digest();
}

/** Begins a message: its preamble (salt and commitment) and the cipher of its chunks. */
export function beginMessage(
  engine: Engine,
  key: CipherKey,
  context: Uint8Array,
  random: NonceSource = fillRandom,
): { readonly preamble: Buffer; readonly cipher: ChunkCipher } {
  const preamble = Buffer.alloc(PREAMBLE_BYTES);
  random(preamble, 0, SALT_BYTES);
  const { cipher, commitment } = messageKeys(engine, key, preamble.subarray(0, SALT_BYTES), context);
  preamble.set(commitment, SALT_BYTES);
  return { preamble, cipher };
}

/** The cipher of a message's chunks, once its commitment shows that key and context are the right ones. */
export function resumeMessage(engine: Engine, key: CipherKey, context: Uint8Array, preamble: Uint8Array): ChunkCipher {
  if (preamble.length < PREAMBLE_BYTES) throw notAuthentic();
  const { cipher, commitment } = messageKeys(engine, key, preamble.subarray(0, SALT_BYTES), context);
  if (!timingSafeEqual(commitment, preamble.subarray(SALT_BYTES, PREAMBLE_BYTES))) throw notAuthentic();
  return cipher;
}

/** Cobblestone-256 for whole messages; the associated data is its context. */
export class Cobblestone implements Aead {
  readonly overheadBytes: number = PREAMBLE_BYTES + TAG_BYTES;
  readonly #engine: Engine;
  readonly #key: CipherKey;
  readonly #random: NonceSource;
  readonly #chunksPerTurn: number;

  constructor(engine: Engine, key: CipherKey, random: NonceSource = fillRandom) {
    this.#engine = engine;
    this.#key = key;
    this.#random = random;
    this.#chunksPerTurn = Math.max(1, engine.sliceBytes / CHUNK_BYTES);
  }

  *seal(prefix: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Pausable<Buffer> {
    const { preamble, cipher } = beginMessage(this.#engine, this.#key, aad, this.#random);
    const chunks = Math.floor(plaintext.length / CHUNK_BYTES) + 1;
    const out = Buffer.allocUnsafe(prefix.length + PREAMBLE_BYTES + plaintext.length + chunks * TAG_BYTES);
    out.set(prefix, 0);
    out.set(preamble, prefix.length);
    let at = prefix.length + PREAMBLE_BYTES;
    for (let index = 0; index < chunks; index++) {
      if (chunks > this.#chunksPerTurn && index % this.#chunksPerTurn === 0) yield undefined;
      at = cipher.seal(index, plaintext.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES), out, at);
    }
    return out;
  }

  *open(message: Uint8Array, at: number, aad: Uint8Array): Pausable<Buffer> {
    const cipher = resumeMessage(this.#engine, this.#key, aad, message.subarray(at, at + PREAMBLE_BYTES));
    const body = message.subarray(at + PREAMBLE_BYTES);
    const plaintextBytes = plaintextLength(body.length);
    const out = Buffer.allocUnsafeSlow(plaintextBytes);
    try {
      for (let index = 0, from = 0; from < body.length; index++, from += SEALED_CHUNK_BYTES) {
        if (out.length > this.#chunksPerTurn * CHUNK_BYTES && index % this.#chunksPerTurn === 0) yield undefined;
        out.set(cipher.open(index, body.subarray(from, from + SEALED_CHUNK_BYTES)), index * CHUNK_BYTES);
      }
    } catch (error) {
      out.fill(0);
      throw error;
    }
    return out;
  }
}

/** Bytes of plaintext in sealed chunks of that many bytes; refuses a length that no message has. */
export function plaintextLength(sealedBytes: number): number {
  const full = Math.floor(sealedBytes / SEALED_CHUNK_BYTES);
  const last = sealedBytes - full * SEALED_CHUNK_BYTES;
  if (last < TAG_BYTES) throw notAuthentic();
  return full * CHUNK_BYTES + last - TAG_BYTES;
}
