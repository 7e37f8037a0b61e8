import { timingSafeEqual, type KeyObject } from "node:crypto";
import { notAuthentic } from "../errors.ts";
import { absorb } from "./cbc-hmac.ts";
import type { Engine, HashName } from "./engines/engine.ts";
import { atOnce, inTurns, type Pausable } from "./turns.ts";
import type { Signer } from "./signature.ts";

/** HMAC with SHA-256 or SHA-512, full length. */
export class Mac implements Signer {
  readonly #engine: Engine;
  readonly #hash: HashName;
  readonly #key: KeyObject;

  constructor(engine: Engine, hash: HashName, key: KeyObject) {
    this.#engine = engine;
    this.#hash = hash;
    this.#key = key;
  }

  /** The tag of `prefix ‖ message`. */
  tag(prefix: Uint8Array, message: Uint8Array): Uint8Array {
    return atOnce(this.#tag(prefix, message));
  }

  async sign(prefix: Uint8Array, message: Uint8Array): Promise<Uint8Array> {
    return message.length <= this.#engine.sliceBytes ? this.tag(prefix, message) : inTurns(this.#tag(prefix, message));
  }

  async verify(prefix: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<void> {
    const expected = await this.sign(prefix, message);
    if (expected.length !== signature.length || !timingSafeEqual(expected, signature)) throw notAuthentic();
  }

  *#tag(prefix: Uint8Array, message: Uint8Array): Pausable<Uint8Array> {
    const mac = this.#engine.hmac(this.#hash, this.#key);
    mac.update(prefix);
    yield* absorb(mac, message, this.#engine.sliceBytes);
    return mac.digest();
  }
}
