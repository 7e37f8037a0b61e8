import type { KeyObject } from "node:crypto";

/** The backend that does the arithmetic: OpenSSL through `node:crypto`, or JavaScript through node-forge. */
export type BackendName = "native" | "portable";

/** A hash of the SHA-2 family. */
export type HashName = "sha256" | "sha512";

/** Encrypts piece by piece. `final` gives what is left, `getAuthTag` the tag after that. */
export interface Encryption {
  update(data: Uint8Array): Uint8Array;
  final(): Uint8Array;
}

/** Encrypts piece by piece and gives a tag at the end. */
export interface SealedEncryption extends Encryption {
  getAuthTag(): Uint8Array;
}

/** Digests piece by piece. */
export interface Digestion {
  update(data: Uint8Array): unknown;
  digest(): Uint8Array;
}

/** A key for a cipher: looked after, or derived for one message. */
export type CipherKey = KeyObject | Uint8Array;

/**
 * The primitives that every suite is built of. Two engines give the same bytes for the same input; formats are
 * written once, above them.
 */
export interface Engine {
  readonly name: BackendName;
  /** Largest input that is worked on as a whole, without a copy, in bytes. */
  readonly wholeBytes: number;
  /** Pieces of larger input, one a turn of the event loop, in bytes. */
  readonly sliceBytes: number;
  /** Wraps a derived key where that makes its use cheaper. */
  derivedKey(bytes: Uint8Array): CipherKey;
  gcmEncryption(key: CipherKey, nonce: Uint8Array, aad: Uint8Array): SealedEncryption;
  /** `final` throws when the tag is wrong. */
  gcmDecryption(key: CipherKey, nonce: Uint8Array, aad: Uint8Array, tag: Uint8Array): Encryption;
  cbcEncryption(key: CipherKey, iv: Uint8Array): Encryption;
  /** `final` throws when the padding is wrong. Only ever called on what a MAC vouched for. */
  cbcDecryption(key: CipherKey, iv: Uint8Array): Encryption;
  /** AES-256 of single blocks, for key derivation. */
  blockCipher(key: KeyObject): (blocks: Uint8Array) => Uint8Array;
  hmac(hash: HashName, key: CipherKey): Digestion;
  /** RSA-OAEP with SHA-256 and MGF1-SHA-256. */
  oaepWrap(publicKey: KeyObject, secret: Uint8Array): Uint8Array;
  /** Rejects when the padding is wrong; the caller must not let that be seen. */
  oaepUnwrap(privateKey: KeyObject, wrapped: Uint8Array): Promise<Uint8Array>;
  /** RSA-PSS with SHA-256, MGF1-SHA-256 and a 32-byte salt, over the parts one after another. */
  pssSign(privateKey: KeyObject, parts: readonly Uint8Array[]): Promise<Uint8Array>;
  pssVerify(publicKey: KeyObject, parts: readonly Uint8Array[], signature: Uint8Array): boolean;
}
