import { defineTestDriver, optionsWithout, type TestFactory } from "@steward/core/driver";
import type { CryptoBackend } from "./keysets/backend.ts";
import { cryptoBackend, CryptoBackendManager } from "./manager.ts";
import type { CryptoOptions } from "./options.ts";

/** Options of crypto for tests: all but where keys are kept. */
export type TestCryptoOptions = Omit<CryptoOptions, "store" | "kek">;

const CHEAP = { scheme: "scrypt", logN: 10, blockSize: 8, parallelism: 1 } as const;

const KEYSETS = {
  aes: { algorithm: "aes-256-gcm" },
  files: { algorithm: "aes-256-gcm-stream" },
  rsa: { algorithm: "rsa-2048" },
  tokens: { algorithm: "hmac-sha256" },
  signing: { algorithm: "ed25519" },
  access: { algorithm: "token-hs256" },
} as const;

/**
 * A crypto resource for tests: the real one, with keys that live in memory, and password hashes that cost a
 * millisecond. By default it has a keyset for each purpose: `aes`, `files`, `rsa`, `tokens`, `signing`, `access`.
 * `testCrypto.definition(crypto)` takes the place of one in a container, with its keysets.
 */
export const testCrypto: TestFactory<TestCryptoOptions, CryptoBackend, CryptoBackendManager> = defineTestDriver({
  define: (name) => cryptoBackend(name, {}),
  keep: (given) => optionsWithout(given, ["store", "kek", "propagationMs", "passwords"]),
  create: (options, context) =>
    new CryptoBackendManager(
      { keysets: KEYSETS, propagationMs: 0, passwords: { parameters: CHEAP, allowWeak: true }, ...options },
      context,
    ),
});
