import { types } from "node:util";
import { createHash, createSecretKey, randomBytes, scrypt, type KeyObject } from "node:crypto";
import { Secret, type SecretSource } from "@steward/core";
import { assertShape, funcOr, recognised, required, rule, shape, text, wholeNumber } from "@steward/core/driver";
import { cryptoError, notAuthentic } from "../../errors.ts";
import { xaesGcm } from "../../suites/gcm.ts";
import { nativeEngine } from "../../suites/engines/native.ts";
import { atOnce } from "../../suites/turns.ts";

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
  /** Default: a fingerprint of the key, which discloses nothing of it. For a function it must be given. */
  readonly id?: string | undefined;
}

const kekId = rule("text of 1 to 255 bytes", (value) =>
  typeof value === "string" && value !== "" && Buffer.byteLength(value) <= 255
    ? undefined
    : "must be text of 1 to 255 bytes",
);
const isKey = (value: unknown): boolean => types.isUint8Array(value) || typeof value === "string";
const KEY_KEK = shape<KeyKekOptions>(() => ({
  key: required(funcOr(recognised(isKey, "bytes, base64, or a function that gives base64"))),
  id: kekId,
}));

/**
 * A KEK from 32 random bytes, such as an environment variable or a mounted secret holds.
 * @throws {CRYPTO_KEY_INVALID} when it is not 32 bytes.
 * @throws {OPTIONS_INVALID} when an option is unknown or of a wrong type.
 */
export function keyKek(options: KeyKekOptions): Kek {
  assertShape("keyKek", KEY_KEK, options);
  const { key: given, id } = options;
  if (typeof given === "function") return lazyKek(id, new Secret(given));
  const key = secretKey(typeof given === "string" ? decoded(given) : given);
  return kekOf(id ?? fingerprint(key), async () => key);
}

function lazyKek(id: string | undefined, source: Secret): Kek {
  if (id === undefined) throw cryptoError("CRYPTO_KEY_INVALID", "a key-encryption key that is fetched needs an id");
  return kekOf(id, async () => secretKey(decoded(await source.reveal())));
}

function kekOf(id: string, key: () => Promise<KeyObject>): Kek {
  return {
    id,
    wrap: async (dataKey, context) => wrapWith(await key(), NOTHING, dataKey, context),
    unwrap: async (wrapped, context) => unwrapWith(await key(), wrapped, 0, context),
  };
}

/** Base64 and base64url, with or without padding and white space around; anything else is not a key. */
function decoded(text: string): Buffer {
  const trimmed = text.trim();
  // No regular expression: `RegExp.input` would keep the key.
  const known = [...trimmed].every((letter) => BASE64.has(letter));
  return known ? Buffer.from(trimmed, "base64") : Buffer.alloc(0);
}

const BASE64: ReadonlySet<string> = new Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=");

function secretKey(bytes: Uint8Array): KeyObject {
  if (bytes.length === 32) return createSecretKey(bytes);
  throw cryptoError(
    "CRYPTO_KEY_INVALID",
    `a key-encryption key has 32 bytes, this one ${bytes.length}; make one with: openssl rand -base64 32`,
  );
}

function fingerprint(key: KeyObject): string {
  const bytes = key.export();
  const digest = createHash("sha256").update("steward kek fingerprint").update(bytes).digest("hex");
  bytes.fill(0);
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
const DEFAULT_LOG_N = 17;
const PASSPHRASE_KEK = shape<PassphraseKekOptions>(() => ({
  passphrase: required(funcOr(text())),
  id: kekId,
  logN: wholeNumber(0),
}));

/**
 * A KEK from a passphrase, through scrypt. The costly step is done once a salt, not once a write. What a store asks
 * for is bounded: never more than the greater of `logN` and the default.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or of a wrong type.
 * @throws {CRYPTO_KEY_INVALID} when `logN` is out of range.
 */
export function passphraseKek(options: PassphraseKekOptions): Kek {
  assertShape("passphraseKek", PASSPHRASE_KEK, options);
  const { id = "passphrase", logN = DEFAULT_LOG_N } = options;
  if (!(logN >= MIN_LOG_N && logN <= MAX_LOG_N))
    throw cryptoError("CRYPTO_KEY_INVALID", `logN is ${MIN_LOG_N} to ${MAX_LOG_N}, not ${logN}`);
  const passphrase = passphraseBytes(options.passphrase);
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
      if (head.length < own.length) throw notAuthentic();
      checkCost(head[0] ?? 0, logN);
      return unwrapWith(await keyFor(head), wrapped, head.length, context);
    },
  };
}

/** The cost stands in the store, where it is not authenticated: a changed one must not cost gigabytes. */
function checkCost(cost: number, logN: number): void {
  const most = Math.max(logN, DEFAULT_LOG_N);
  if (cost >= MIN_LOG_N && cost <= most) return;
  throw cryptoError(
    "CRYPTO_STORE_INVALID",
    `the store asks for scrypt with logN ${cost}, and at most ${most} is done; set logN to ${cost} if that is what was written`,
  );
}

/** The passphrase as bytes: what was given as text is not kept as text. */
function passphraseBytes(source: SecretSource): () => Promise<Buffer> {
  return typeof source === "function" ? fetched(new Secret(source)) : kept(normalizedBytes(source));
}

// Functions apart, because closures of one function keep everything that any of them uses.
function fetched(secret: Secret): () => Promise<Buffer> {
  return async () => normalizedBytes(await secret.reveal());
}

function kept(bytes: Buffer): () => Promise<Buffer> {
  return async () => Buffer.from(bytes);
}

function normalizedBytes(text: string): Buffer {
  return Buffer.from(text.normalize("NFC"), "utf8");
}

async function derivedFrom(passphrase: () => Promise<Buffer>, head: Buffer): Promise<KeyObject> {
  const N = 2 ** (head[0] ?? 0);
  const text = await passphrase();
  return new Promise((resolve, reject) => {
    scrypt(text, head.subarray(1), 32, { N, r: 8, p: 1, maxmem: 2 * 128 * 8 * N }, (error, bytes) => {
      text.fill(0);
      if (error !== null) return reject(error);
      resolve(createSecretKey(bytes));
      bytes.fill(0);
    });
  });
}

/** No wrapping at all: every reader of the store has the keys. Only behind `insecureCleartext`. */
export const cleartextKek: Kek = {
  id: "cleartext",
  wrap: async (dataKey) => Buffer.from(dataKey),
  unwrap: async (wrapped) => Buffer.from(wrapped),
};
