import { createSecretKey, timingSafeEqual, type KeyObject } from "node:crypto";
import { notAuthentic } from "../errors.ts";
import { transform, type Aead, type NonceSource } from "./aead.ts";
import { bitLength64 } from "./encoding/bytes.ts";
import type { Digestion, Engine } from "./engines/engine.ts";
import { fillRandom } from "./random.ts";
import type { Pausable } from "./turns.ts";

const IV_BYTES = 16;
const TAG_BYTES = 32;
const BLOCK_BYTES = 16;

/**
 * AES-256-CBC, encrypted first and authenticated then, as A256CBC-HS512 of RFC 7518 has it:
 * `iv 16 ‖ ciphertext ‖ tag 32`. The 64-byte key is the MAC key followed by the cipher key.
 */
export class CbcHmac implements Aead {
  readonly overheadBytes: number = IV_BYTES + BLOCK_BYTES + TAG_BYTES;
  readonly #engine: Engine;
  readonly #macKey: KeyObject;
  readonly #cipherKey: KeyObject;
  readonly #random: NonceSource;

  constructor(engine: Engine, key: KeyObject, random: NonceSource = fillRandom) {
    const bytes = key.export();
    this.#engine = engine;
    this.#macKey = createSecretKey(bytes.subarray(0, 32));
    this.#cipherKey = createSecretKey(bytes.subarray(32));
    this.#random = random;
    bytes.fill(0);
  }

  *seal(prefix: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Pausable<Buffer> {
    const bodyAt = prefix.length + IV_BYTES;
    const bodyBytes = plaintext.length + BLOCK_BYTES - (plaintext.length % BLOCK_BYTES);
    const out = Buffer.allocUnsafe(bodyAt + bodyBytes + TAG_BYTES);
    out.set(prefix, 0);
    this.#random(out, prefix.length, IV_BYTES);
    const cipher = this.#engine.cbcEncryption(this.#cipherKey, out.subarray(prefix.length, bodyAt));
    const end = yield* transform(cipher, plaintext, out, bodyAt, this.#engine);
    out.set(cipher.final(), end);
    const tag = yield* this.#tag(out.subarray(prefix.length, bodyAt + bodyBytes), aad);
    out.set(tag, bodyAt + bodyBytes);
    return out;
  }

  *open(message: Uint8Array, at: number, aad: Uint8Array): Pausable<Buffer> {
    const bodyAt = at + IV_BYTES;
    const tagAt = message.length - TAG_BYTES;
    if (tagAt < bodyAt + BLOCK_BYTES || (tagAt - bodyAt) % BLOCK_BYTES !== 0) throw notAuthentic();
    const tag = yield* this.#tag(message.subarray(at, tagAt), aad);
    if (!timingSafeEqual(tag, message.subarray(tagAt))) throw notAuthentic();
    const decipher = this.#engine.cbcDecryption(this.#cipherKey, message.subarray(at, bodyAt));
    const out = Buffer.allocUnsafeSlow(tagAt - bodyAt);
    const end = yield* transform(decipher, message.subarray(bodyAt, tagAt), out, 0, this.#engine);
    return out.subarray(0, end + append(out, end, () => decipher.final()));
  }

  *#tag(ivAndBody: Uint8Array, aad: Uint8Array): Pausable<Uint8Array> {
    const mac = this.#engine.hmac("sha512", this.#macKey);
    mac.update(aad);
    yield* absorb(mac, ivAndBody, this.#engine.sliceBytes);
    mac.update(bitLength64(aad.length));
    return mac.digest().subarray(0, TAG_BYTES);
  }
}

/** The MAC has vouched for the padding, so a wrong one means that the writer had a fault; the error is the same. */
function append(out: Uint8Array, at: number, final: () => Uint8Array): number {
  try {
    const rest = final();
    out.set(rest, at);
    return rest.length;
  } catch {
    out.fill(0);
    throw notAuthentic();
  }
}

/** Feeds `input` to a digest, slice by slice. */
export function* absorb(digest: Digestion, input: Uint8Array, sliceBytes: number): Pausable<void> {
  for (let from = 0; from < input.length; from += sliceBytes) {
    digest.update(input.subarray(from, from + sliceBytes));
    if (from + sliceBytes < input.length) yield undefined;
  }
}
