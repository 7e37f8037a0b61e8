import { createPublicKey, randomBytes, type KeyObject } from "node:crypto";
import { notAuthentic } from "../errors.ts";
import { Cobblestone } from "./cobblestone.ts";
import type { Engine } from "./engines/engine.ts";
import { atOnce, inTurns, type Pausable } from "./turns.ts";

const LENGTH_BYTES = 2;
const CONTENT_KEY_BYTES = 32;

/**
 * RSA for messages of any length: a fresh content key, wrapped by RSA-OAEP-SHA-256, and Cobblestone-256 under it:
 * `u16 length ‖ wrapped key ‖ salt 24 ‖ commitment 32 ‖ chunks`.
 */
export class Hybrid {
  readonly #engine: Engine;
  readonly #privateKey: KeyObject;
  readonly #publicKey: KeyObject;

  constructor(engine: Engine, privateKey: KeyObject) {
    this.#engine = engine;
    this.#privateKey = privateKey;
    this.#publicKey = createPublicKey(privateKey);
  }

  async seal(prefix: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Promise<Buffer> {
    const contentKey = randomBytes(CONTENT_KEY_BYTES);
    const wrapped = this.#engine.oaepWrap(this.#publicKey, contentKey);
    const head = Buffer.alloc(prefix.length + LENGTH_BYTES + wrapped.length);
    head.set(prefix, 0);
    head.writeUInt16BE(wrapped.length, prefix.length);
    head.set(wrapped, prefix.length + LENGTH_BYTES);
    try {
      return await this.#run(plaintext.length, new Cobblestone(this.#engine, contentKey).seal(head, plaintext, aad));
    } finally {
      contentKey.fill(0);
    }
  }

  async open(message: Uint8Array, at: number, aad: Uint8Array): Promise<Buffer> {
    const wrappedAt = at + LENGTH_BYTES;
    const wrappedBytes = ((message[at] ?? 0) << 8) | (message[at + 1] ?? 0);
    const bodyAt = wrappedAt + wrappedBytes;
    if (message.length < bodyAt) throw notAuthentic();
    const contentKey = await this.#unwrapped(message.subarray(wrappedAt, bodyAt));
    try {
      return await this.#run(message.length, new Cobblestone(this.#engine, contentKey).open(message, bodyAt, aad));
    } finally {
      contentKey.fill(0);
    }
  }

  /** A wrong padding goes on with a random key, so that it looks and takes as long as a wrong body. */
  async #unwrapped(wrapped: Uint8Array): Promise<Uint8Array> {
    const instead = randomBytes(CONTENT_KEY_BYTES);
    try {
      const secret = await this.#engine.oaepUnwrap(this.#privateKey, wrapped);
      return secret.length === CONTENT_KEY_BYTES ? secret : instead;
    } catch {
      return instead;
    }
  }

  #run(bytes: number, work: Pausable<Buffer>): Promise<Buffer> | Buffer {
    return bytes <= this.#engine.sliceBytes ? atOnce(work) : inTurns(work);
  }
}
