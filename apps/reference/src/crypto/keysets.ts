import type { KeysetOptions } from "@steward/crypto";

const DAY_MS = 86_400_000;

/** Keysets that requests name as `backend`, with what each can do. */
export const BACKENDS = {
  aes: { algorithm: "aes-256-gcm", rotateEveryMs: 30 * DAY_MS, purpose: "aead" },
  cbc: { algorithm: "aes-256-cbc", rotateEveryMs: 30 * DAY_MS, purpose: "aead" },
  rsa: { algorithm: "rsa-2048", rotateEveryMs: 90 * DAY_MS, purpose: "hybrid" },
  tokens: { algorithm: "hmac-sha256", rotateEveryMs: 30 * DAY_MS, purpose: "mac" },
  signing: { algorithm: "ed25519", rotateEveryMs: 90 * DAY_MS, purpose: "signature" },
} as const satisfies Record<string, KeysetOptions & { readonly purpose: string }>;

/** Name of a keyset that requests may use. */
export type Backend = keyof typeof BACKENDS;

/** Keysets of Clips itself, which no request may use: stored secrets, keyed hashes to find them by, and tokens. */
const OWN = {
  secrets: { algorithm: "aes-256-gcm", rotateEveryMs: 30 * DAY_MS },
  // Each of its keys is one more hash in every search, so it changes only when asked.
  lookup: { algorithm: "hmac-sha256" },
  access: { algorithm: "token-es256", rotateEveryMs: 30 * DAY_MS },
  refresh: { algorithm: "hmac-sha256", rotateEveryMs: 90 * DAY_MS },
} as const satisfies Record<string, KeysetOptions>;

/** All keysets of Clips. */
export const KEYSETS: Readonly<Record<string, KeysetOptions>> = { ...withoutPurpose(BACKENDS), ...OWN };

function withoutPurpose(backends: Readonly<Record<string, KeysetOptions>>): Record<string, KeysetOptions> {
  return Object.fromEntries(
    Object.entries(backends).map(([name, { algorithm, rotateEveryMs }]) => [name, { algorithm, rotateEveryMs }]),
  );
}

/** The id of the key that wrote a message or signature: it stands in clear after format and suite. */
export function keyIdOf(message: Buffer): number {
  return message.readUInt32BE(2);
}
