import { createPublicKey, webcrypto, type KeyObject } from "node:crypto";
import { cryptoError } from "../errors.ts";

/** How JWS names an algorithm of ours. */
export type TokenAlgorithm = "HS256" | "ES256";

const HMAC = { name: "HMAC", hash: "SHA-256" } as const;
const P256 = { name: "ECDSA", namedCurve: "P-256" } as const;
const P256_SIGN = { name: "ECDSA", hash: "SHA-256" } as const;
const PROBE = Buffer.from("steward probe");

/** The two halves of a key of tokens, as keys that cannot be exported; with HS256 they are one. */
export class TokenPair {
  readonly algorithm: TokenAlgorithm;
  readonly #key: KeyObject;
  #signing: Promise<webcrypto.CryptoKey> | undefined;
  #verifying: Promise<webcrypto.CryptoKey> | undefined;

  constructor(algorithm: TokenAlgorithm, key: KeyObject) {
    this.algorithm = algorithm;
    this.#key = key;
  }

  /** Signs. */
  signing(): Promise<webcrypto.CryptoKey> {
    if (this.algorithm === "HS256") return this.verifying();
    return (this.#signing ??= this.#imported("pkcs8", ["sign"]));
  }

  /** Verifies; with HS256 it signs too. */
  verifying(): Promise<webcrypto.CryptoKey> {
    return (this.#verifying ??=
      this.algorithm === "HS256" ? this.#imported("raw", ["sign", "verify"]) : this.#imported("spki", ["verify"]));
  }

  /** The half that everybody may have; `undefined` where there is none. */
  publicJwk(): webcrypto.JsonWebKey | undefined {
    return this.algorithm === "HS256" ? undefined : createPublicKey(this.#key).export({ format: "jwk" });
  }

  /** Signs and verifies a few bytes; rejects when that does not work. */
  async probe(): Promise<void> {
    const how = this.algorithm === "HS256" ? HMAC : P256_SIGN;
    const signature = await webcrypto.subtle.sign(how, await this.signing(), PROBE);
    if (!(await webcrypto.subtle.verify(how, await this.verifying(), signature, PROBE)))
      throw cryptoError(
        "CRYPTO_SELF_TEST_FAILED",
        `a key of tokens (${this.algorithm}) does not verify what it signed`,
      );
  }

  async #imported(format: "raw" | "pkcs8" | "spki", usages: ("sign" | "verify")[]): Promise<webcrypto.CryptoKey> {
    const bytes = this.#bytes(format);
    try {
      return await webcrypto.subtle.importKey(format, bytes, format === "raw" ? HMAC : P256, false, usages);
    } finally {
      bytes.fill(0);
    }
  }

  #bytes(format: "raw" | "pkcs8" | "spki"): Buffer {
    if (format === "raw") return this.#key.export();
    if (format === "pkcs8") return this.#key.export({ format: "der", type: "pkcs8" });
    return createPublicKey(this.#key).export({ format: "der", type: "spki" });
  }
}
