import { createHash, createSecretKey, randomBytes, scrypt, type KeyObject } from "node:crypto";
import { Secret, type SecretSource } from "@steward/core";
import { cryptoError, notAuthentic } from "../errors.ts";
import { xaesGcm } from "../suites/gcm.ts";
import { nativeEngine } from "../suites/native-engine.ts";
import { atOnce } from "../suites/turns.ts";

/**
 * A key-encryption key: wraps the data key of what a key store holds. Implement it over a KMS (AWS, GCP, Vault) to
 * keep the wrapping key out of this process: only 32 bytes pass through, whatever the size of the keyset.
 */
export interface Kek {
  /** Stands in the store, so that the right one is found again; at most 255 bytes of UTF-8, not secret. */
  readonly id: string;
  /** Wraps a data key. `context` is bound to it: what was wrapped with another one must not unwrap. */
  wrap(dataKey: Uint8Array, context: Uint8Array): Promise<Uint8Array>;
  /** Rejects when `wrapped` was not made by this key with this context. */
  unwrap(wrapped: Uint8Array, context: Uint8Array): Promise<Uint8Array>;
}

const NOTHING = new Uint8Array(0);

function wrapWith(key: KeyObject, prefix: Uint8Array, dataKey: Uint8Array, context: Uint8Array): Uint8Array {
  return atOnce(xaesGcm(nativeEngine, key).seal(prefix, dataKey, context));
}

function unwrapWith(key: KeyObject, wrapped: Uint8Array, at: number, context: Uint8Array): Uint8Array {
  return atOnce(xaesGcm(nativeEngine, key).open(wrapped, at, context));
}

/** How {@link keyKek} is made. */
export interface KeyKekOptions {
  /** The 32-byte key: bytes, or base64 text, or a function that gives base64 text. */
  readonly key: Uint8Array | SecretSource;
  /** Default: a fingerprint of the key, which tells nothing about it. For a function it must be given. */
  readonly id?: string | undefined;
}

/**
 * A KEK from 32 random bytes, such as an environment variable or a mounted secret holds.
 * @throws {CRYPTO_KEY_INVALID} when it is not 32 bytes.
 */
export function keyKek(options: KeyKekOptions): Kek {
  const { key: given, id } = options;
  if (typeof given === "function") return lazyKek(id, new Secret(given));
  const key = secretKey(typeof given === "string" ? Buffer.from(given, "base64") : given);
  return kekOf(id ?? fingerprint(key), async () => key);
}

function lazyKek(id: string | undefined, source: Secret): Kek {
  if (id === undefined) throw cryptoError("CRYPTO_KEY_INVALID", "a key-encryption key that is fetched needs an id");
  return kekOf(id, async () => secretKey(Buffer.from(await source.reveal(), "base64")));
}

function kekOf(id: string, key: () => Promise<KeyObject>): Kek {
  return {
    id,
    wrap: async (dataKey, context) => wrapWith(await key(), NOTHING, dataKey, context),
    unwrap: async (wrapped, context) => unwrapWith(await key(), wrapped, 0, context),
  };
}

function secretKey(bytes: Uint8Array): KeyObject {
  if (bytes.length === 32) return createSecretKey(bytes);
  throw cryptoError(
    "CRYPTO_KEY_INVALID",
    `a key-encryption key has 32 bytes, this one ${bytes.length}; make one with: openssl rand -base64 32`,
  );
}

function fingerprint(key: KeyObject): string {
  const digest = createHash("sha256").update("steward kek fingerprint").update(key.export()).digest("hex");
  return `key:${digest.slice(0, 16)}`;
}

/** How {@link passphraseKek} is made. */
export interface PassphraseKekOptions {
  /** The passphrase, or a function that fetches it. */
  readonly passphrase: SecretSource;
  /** Default `passphrase`. */
  readonly id?: string | undefined;
  /** Cost of scrypt as a power of two, 15 to 20. Default 17: 128 MiB and about 0.3 s at start. */
  readonly logN?: number | undefined;
}

const SALT_BYTES = 16;
const MIN_LOG_N = 15;
const MAX_LOG_N = 20;

/** A KEK from a passphrase, through scrypt. The costly step is done once a salt, not once a write. */
export function passphraseKek(options: PassphraseKekOptions): Kek {
  const { id = "passphrase", logN = 17 } = options;
  if (!(logN >= MIN_LOG_N && logN <= MAX_LOG_N))
    throw cryptoError("CRYPTO_KEY_INVALID", `logN is ${MIN_LOG_N} to ${MAX_LOG_N}, not ${logN}`);
  const passphrase = new Secret(options.passphrase);
  const known = new Map<string, Promise<KeyObject>>();
  const own = Buffer.concat([Uint8Array.of(logN), randomBytes(SALT_BYTES)]);
  const keyFor = (head: Buffer): Promise<KeyObject> => {
    const name = head.toString("hex");
    const key = known.get(name) ?? derivedFrom(passphrase, head);
    known.delete(name);
    known.set(name, key);
    key.catch(() => known.delete(name));
    for (const oldest of known.keys()) if (known.size > 4) known.delete(oldest);
    return key;
  };
  return {
    id,
    wrap: async (dataKey, context) => wrapWith(await keyFor(own), own, dataKey, context),
    async unwrap(wrapped, context) {
      const head = Buffer.from(wrapped.subarray(0, own.length));
      const cost = head[0] ?? 0;
      if (head.length < own.length || cost < MIN_LOG_N || cost > MAX_LOG_N) throw notAuthentic();
      return unwrapWith(await keyFor(head), wrapped, head.length, context);
    },
  };
}

async function derivedFrom(passphrase: Secret, head: Buffer): Promise<KeyObject> {
  const N = 2 ** (head[0] ?? 0);
  const text = Buffer.from((await passphrase.reveal()).normalize("NFC"), "utf8");
  return new Promise((resolve, reject) => {
    scrypt(text, head.subarray(1), 32, { N, r: 8, p: 1, maxmem: 2 * 128 * 8 * N }, (error, bytes) =>
      error === null ? resolve(createSecretKey(bytes)) : reject(error),
    );
  });
}

/** No wrapping at all: whoever reads the store has the keys. Only behind `insecureCleartext`. */
export const cleartextKek: Kek = {
  id: "cleartext",
  wrap: async (dataKey) => Buffer.from(dataKey),
  unwrap: async (wrapped) => Buffer.from(wrapped),
};
