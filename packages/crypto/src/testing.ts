import type { Definition } from "@steward/core";
import type { CryptoBackend } from "./keysets/backend.ts";
import { cryptoBackend } from "./manager.ts";
import type { CryptoOptions } from "./options.ts";

/**
 * A crypto resource for tests: the real one, with keys that live in memory, and password hashes that cost a
 * millisecond. By default it has a keyset for each purpose: `aes`, `files`, `rsa`, `tokens`, `signing`, `access`.
 */
export function testCrypto(name = "crypto", options: CryptoOptions = {}): Definition<CryptoBackend> {
  return cryptoBackend(name, {
    keysets: {
      aes: { algorithm: "aes-256-gcm" },
      files: { algorithm: "aes-256-gcm-stream" },
      rsa: { algorithm: "rsa-2048" },
      tokens: { algorithm: "hmac-sha256" },
      signing: { algorithm: "ed25519" },
      access: { algorithm: "token-hs256" },
    },
    propagationMs: 0,
    passwords: { parameters: { scheme: "scrypt", logN: 10, blockSize: 8, parallelism: 1 }, allowWeak: true },
    ...options,
  });
}
