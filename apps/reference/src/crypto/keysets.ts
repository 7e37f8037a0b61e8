import type { KeysetOptions } from "@steward/crypto";

const DAY_MS = 86_400_000;

type Keysets = Readonly<Record<string, KeysetOptions>>;

/** Keysets that requests name as `backend`, by what each can do. */
export const BACKENDS: Readonly<Record<"aead" | "hybrid" | "mac" | "signature", Keysets>> = {
  aead: {
    aes: { algorithm: "aes-256-gcm", rotateEveryMs: 30 * DAY_MS },
    cbc: { algorithm: "aes-256-cbc", rotateEveryMs: 30 * DAY_MS },
  },
  hybrid: { rsa: { algorithm: "rsa-2048", rotateEveryMs: 90 * DAY_MS } },
  mac: { tokens: { algorithm: "hmac-sha256", rotateEveryMs: 30 * DAY_MS } },
  signature: { signing: { algorithm: "ed25519", rotateEveryMs: 90 * DAY_MS } },
};

const BY_REQUEST: Keysets = Object.assign({}, ...Object.values(BACKENDS));

/** Their names. */
export const BACKEND_NAMES: readonly string[] = Object.keys(BY_REQUEST);

/** All keysets of Clips. No request may use its own: of stored secrets, of keyed hashes to find them by, and of tokens. */
export const KEYSETS: Keysets = {
  ...BY_REQUEST,
  secrets: { algorithm: "aes-256-gcm", rotateEveryMs: 30 * DAY_MS },
  // Each of its keys is one more hash in every search, so it changes only when asked.
  lookup: { algorithm: "hmac-sha256" },
  access: { algorithm: "token-es256", rotateEveryMs: 30 * DAY_MS },
  refresh: { algorithm: "hmac-sha256", rotateEveryMs: 90 * DAY_MS },
};

/** The id of the key that wrote a message or signature: it stands in clear after format and suite. */
export function keyIdOf(message: Buffer): number {
  return message.readUInt32BE(2);
}
