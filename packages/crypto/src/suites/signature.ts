import { createPublicKey, sign, verify, type KeyObject } from "node:crypto";
import { cryptoError, notAuthentic } from "../errors.ts";
import type { Engine } from "./engines/engine.ts";

/** Signs and verifies under one key. What is signed is always `prefix ‖ message`. */
export interface Signer {
  sign(prefix: Uint8Array, message: Uint8Array): Promise<Uint8Array>;
  /** Rejects with `CRYPTO_AUTHENTICATION_FAILED` when the signature is not of that message. */
  verify(prefix: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<void>;
}

/** Largest message that is signed in this process as one piece, in bytes: OpenSSL wants it whole. Sign a digest of what is larger. */
export const MAX_SIGNED_BYTES: number = 1024 * 1024;

function bounded(message: Uint8Array): void {
  if (message.length <= MAX_SIGNED_BYTES) return;
  const text = `a message of ${message.length} bytes is too large to be signed as a whole (at most ${MAX_SIGNED_BYTES}); sign its SHA-512 digest instead: await client.digest("sha512", message)`;
  throw cryptoError("CRYPTO_INPUT_TOO_LARGE", text);
}

/** The public half; a public key can verify, and that is all. */
function publicOf(key: KeyObject): KeyObject {
  return key.type === "private" ? createPublicKey(key) : key;
}

/** RSA-PSS with SHA-256, MGF1-SHA-256 and a 32-byte salt. */
export class PssSigner implements Signer {
  readonly #engine: Engine;
  readonly #privateKey: KeyObject;
  readonly #publicKey: KeyObject;

  constructor(engine: Engine, key: KeyObject) {
    this.#engine = engine;
    this.#privateKey = key;
    this.#publicKey = publicOf(key);
  }

  async sign(prefix: Uint8Array, message: Uint8Array): Promise<Uint8Array> {
    bounded(message);
    return this.#engine.pssSign(this.#privateKey, [prefix, message]);
  }

  async verify(prefix: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<void> {
    bounded(message);
    if (!this.#engine.pssVerify(this.#publicKey, [prefix, message], signature)) throw notAuthentic();
  }
}

/** Ed25519, or ECDSA on P-256 with SHA-256 and the signature as `r ‖ s`. Always `node:crypto`. */
export class CurveSigner implements Signer {
  readonly #hash: "sha256" | undefined;
  readonly #privateKey: KeyObject;
  readonly #publicKey: KeyObject;

  constructor(hash: "sha256" | undefined, key: KeyObject) {
    this.#hash = hash;
    this.#privateKey = key;
    this.#publicKey = publicOf(key);
  }

  sign(prefix: Uint8Array, message: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      bounded(message);
      const key = { key: this.#privateKey, dsaEncoding: "ieee-p1363" } as const;
      sign(this.#hash, Buffer.concat([prefix, message]), key, (error, signature) =>
        error === null ? resolve(signature) : reject(error),
      );
    });
  }

  verify(prefix: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      bounded(message);
      const key = { key: this.#publicKey, dsaEncoding: "ieee-p1363" } as const;
      verify(this.#hash, Buffer.concat([prefix, message]), key, signature, (error, valid) =>
        error === null && valid ? resolve() : reject(notAuthentic()),
      );
    });
  }
}
