import { StewardError, type StewardErrorDetails } from "@steward/core";

/** Every error code of `@steward/crypto`, with what it means. */
export const CRYPTO_CODES = {
  CRYPTO_MESSAGE_INVALID:
    "What was given is not a message of this keyset: too short, of another format, or of another kind.",
  CRYPTO_AUTHENTICATION_FAILED:
    "The message, its associated data or its signature is not what was written under that key.",
  CRYPTO_KEY_UNKNOWN: "The message names a key that this keyset has never had, as far as the store knows.",
  CRYPTO_KEY_DISABLED: "The message names a key that was disabled.",
  CRYPTO_KEY_DESTROYED: "The message names a key that was destroyed; it cannot be read any more.",
  CRYPTO_KEY_EXHAUSTED: "The primary key has written as many messages as is safe, and no new key is there yet.",
  CRYPTO_KEY_INVALID: "Key material that was imported is of the wrong kind, size or encoding.",
  CRYPTO_KEY_TRANSITION: "A key cannot go to that state from the one it is in.",
  CRYPTO_KEYSET_UNKNOWN: "There is no keyset of that name.",
  CRYPTO_KEYSET_MISUSED: "The keyset is for something else, such as signing instead of encrypting.",
  CRYPTO_INPUT_INVALID: "What is to be encrypted, signed or hashed is neither bytes nor text, or an id is no key id.",
  CRYPTO_INPUT_TOO_LARGE: "The input is too large for a synchronous call, or for one message.",
  CRYPTO_STORE_UNAVAILABLE: "The key store could not be read or written.",
  CRYPTO_STORE_CONFLICT: "Others changed the keyset again and again while this change was tried.",
  CRYPTO_STORE_INVALID:
    "What the key store holds is no keyset within the limits, was changed, belongs elsewhere, or was wrapped by another key.",
  CRYPTO_STORE_ROLLBACK: "The key store gave an older revision than was seen before.",
  CRYPTO_STORE_EXPOSED: "The key store's file or folder can be read or written by other users.",
  CRYPTO_KEK_UNKNOWN: "The keyset is wrapped by a key-encryption key that was not given.",
  CRYPTO_UNSUPPORTED: "The chosen backend or this Node cannot do that.",
  CRYPTO_SELF_TEST_FAILED: "A known answer did not come out; nothing is encrypted with such a backend.",
  CRYPTO_PASSWORD_HASH_INVALID:
    "The stored password hash is not a PHC string of a known scheme, or asks for more than the limits allow.",
  CRYPTO_PASSWORD_INVALID: "The password is not text, empty, or longer than the limit.",
  CRYPTO_PKI_INVALID: "A certificate, request or key file is not what it should be, or the passphrase is wrong.",
} as const;

/** A code that `@steward/crypto` itself raises. */
export type CryptoCode = keyof typeof CRYPTO_CODES;

/** An error of this package. Its text never carries key material, plaintext or passwords. */
export function cryptoError(code: CryptoCode, message: string, details?: StewardErrorDetails): StewardError {
  return new StewardError(code, message, details);
}

/** The one error for everything that does not authenticate, so that no caller learns what was wrong with it. */
export function notAuthentic(): StewardError {
  return cryptoError(
    "CRYPTO_AUTHENTICATION_FAILED",
    "the message does not authenticate: it, its associated data or its key is not what it was written with",
  );
}
