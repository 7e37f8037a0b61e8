import type { KeyObject } from "node:crypto";
import { notAuthentic } from "../errors.ts";
import type { Encryption, Engine, SealedEncryption } from "./engines/engine.ts";
import { asBuffer } from "./encoding/bytes.ts";
import { fillRandom } from "./random.ts";
import type { BytesOrWork, Pausable } from "./turns.ts";

/** Authenticated encryption under one key. */
export interface Aead {
  /** Bytes that a message has more than its plaintext, at most, prefix not counted. */
  readonly overheadBytes: number;
  /** Gives `prefix` followed by the sealed body; `aad` is everything the message is bound to. */
  seal(prefix: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): BytesOrWork;
  /** Opens the body that begins at `at`. Gives nothing before all of it has authenticated. */
  open(message: Uint8Array, at: number, aad: Uint8Array): BytesOrWork;
}

/** Makes the nonce of a message; only tests with known answers bring their own. */
export type NonceSource = (target: Uint8Array, at: number, length: number) => void;

const TAG_BYTES = 16;

/** What the key and nonce of a GCM message are, once its extended nonce is known. */
export interface GcmParts {
  readonly key: KeyObject | Uint8Array;
  readonly nonce: Uint8Array;
}

/** AES-256-GCM below a scheme that says how key and nonce come from what stands in the message. */
export class GcmAead implements Aead {
  readonly overheadBytes: number;
  readonly #engine: Engine;
  readonly #nonceBytes: number;
  readonly #parts: (nonce: Uint8Array) => GcmParts;
  readonly #random: NonceSource;

  constructor(
    engine: Engine,
    nonceBytes: number,
    parts: (nonce: Uint8Array) => GcmParts,
    random: NonceSource = fillRandom,
  ) {
    this.#engine = engine;
    this.#nonceBytes = nonceBytes;
    this.#parts = parts;
    this.#random = random;
    this.overheadBytes = nonceBytes + TAG_BYTES;
  }

  seal(prefix: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): BytesOrWork {
    const nonceAt = prefix.length;
    const bodyAt = nonceAt + this.#nonceBytes;
    const out = Buffer.allocUnsafe(bodyAt + plaintext.length + TAG_BYTES);
    out.set(prefix, 0);
    this.#random(out, nonceAt, this.#nonceBytes);
    const { key, nonce } = this.#parts(out.subarray(nonceAt, bodyAt));
    const cipher = this.#engine.gcmEncryption(key, nonce, aad);
    if (plaintext.length > this.#engine.wholeBytes) return sealed(cipher, plaintext, out, bodyAt, this.#engine);
    const piece = cipher.update(plaintext);
    out.set(piece, bodyAt);
    return finished(cipher, out, bodyAt + piece.length);
  }

  open(message: Uint8Array, at: number, aad: Uint8Array): BytesOrWork {
    const bodyAt = at + this.#nonceBytes;
    const tagAt = message.length - TAG_BYTES;
    if (tagAt < bodyAt) throw notAuthentic();
    const { key, nonce } = this.#parts(message.subarray(at, bodyAt));
    const decipher = this.#engine.gcmDecryption(key, nonce, aad, message.subarray(tagAt));
    const body = message.subarray(bodyAt, tagAt);
    return body.length <= this.#engine.wholeBytes ? openedWhole(decipher, body) : opened(decipher, body, this.#engine);
  }
}

function* sealed(
  cipher: SealedEncryption,
  plaintext: Uint8Array,
  out: Buffer,
  at: number,
  engine: Engine,
): Pausable<Buffer> {
  return finished(cipher, out, yield* transform(cipher, plaintext, out, at, engine));
}

/** Writes what the cipher kept back, and the tag behind it. */
function finished(cipher: SealedEncryption, out: Buffer, end: number): Buffer {
  const rest = cipher.final();
  if (rest.length > 0) out.set(rest, end);
  out.set(cipher.getAuthTag(), end + rest.length);
  return out;
}

function* opened(decipher: Encryption, body: Uint8Array, engine: Engine): Pausable<Buffer> {
  const out = Buffer.allocUnsafeSlow(body.length);
  const end = yield* transform(decipher, body, out, 0, engine);
  out.set(authenticated(decipher, out), end);
  return out;
}

/** Opens one piece without a copy where the engine keeps nothing back. */
export function openedWhole(decipher: Encryption, body: Uint8Array): Buffer {
  const plaintext = decipher.update(body);
  const rest = authenticated(decipher, plaintext);
  return rest.length === 0 ? asBuffer(plaintext) : Buffer.concat([plaintext, rest]);
}

function authenticated(decipher: Encryption, unproven: Uint8Array): Uint8Array {
  try {
    return decipher.final();
  } catch {
    unproven.fill(0);
    throw notAuthentic();
  }
}

/** Runs `input` through a cipher into `out`, slice by slice. Gives where the output ends. */
export function* transform(
  cipher: Encryption,
  input: Uint8Array,
  out: Uint8Array,
  at: number,
  { wholeBytes, sliceBytes }: Engine,
): Pausable<number> {
  let end = at;
  if (input.length <= wholeBytes) {
    const piece = cipher.update(input);
    out.set(piece, end);
    return end + piece.length;
  }
  for (let from = 0; from < input.length; from += sliceBytes) {
    // Before the first piece too: making room for a large output has had a turn's worth of garbage collected.
    yield undefined;
    const piece = cipher.update(input.subarray(from, from + sliceBytes));
    out.set(piece, end);
    end += piece.length;
  }
  return end;
}
