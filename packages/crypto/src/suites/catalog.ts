import { createPrivateKey, createSecretKey, generateKeyPair, randomBytes, type KeyObject } from "node:crypto";
import { types } from "node:util";
import { cryptoError } from "../errors.ts";
import type { Aead } from "./aead.ts";
import { CbcHmac } from "./cbc-hmac.ts";
import { Cobblestone } from "./cobblestone.ts";
import type { Engine } from "./engines/engine.ts";
import { aesGcm, xaesGcm } from "./gcm.ts";
import { Hybrid } from "./hybrid.ts";
import { Mac } from "./mac.ts";
import { CurveSigner, PssSigner, type Signer } from "./signature.ts";
import { TokenPair } from "./token-pair.ts";

/** What a keyset is for. A keyset has one purpose for life. */
export type Purpose = "aead" | "stream" | "hybrid" | "mac" | "signature" | "token";

/** What a key does, ready to be used, by its purpose. */
export interface Primitives {
  readonly aead: { readonly purpose: "aead"; readonly aead: Aead };
  readonly stream: { readonly purpose: "stream"; readonly aead: Aead; readonly key: KeyObject };
  readonly hybrid: { readonly purpose: "hybrid"; readonly hybrid: Hybrid };
  readonly mac: { readonly purpose: "mac"; readonly signer: Mac };
  readonly signature: { readonly purpose: "signature"; readonly signer: Signer };
  readonly token: { readonly purpose: "token"; readonly token: TokenPair };
}

/** What a key does, ready to be used. */
export type Primitive = Primitives[Purpose];

interface Algorithm {
  readonly suite: number;
  readonly purpose: Purpose;
  /** Engines that can do it. */
  readonly portable: boolean;
  readonly generate: () => Promise<KeyObject>;
  readonly accepts: (key: KeyObject) => boolean;
  readonly primitive: (engine: Engine, key: KeyObject) => Primitive;
  /** True when messages carry Tink's prefix, which is not authenticated, instead of our header. */
  readonly tink?: boolean;
  /** Messages that one key may write. */
  readonly messageLimit?: number;
}

const GCM_LIMIT = 2 ** 32;

function secret(bytes: number): Pick<Algorithm, "generate" | "accepts"> {
  return {
    generate: async () => {
      const material = randomBytes(bytes);
      const key = createSecretKey(material);
      material.fill(0);
      return key;
    },
    accepts: (key) => key.type === "secret" && key.symmetricKeySize === bytes,
  };
}

function rsa(modulusLength: number): Pick<Algorithm, "generate" | "accepts"> {
  return {
    generate: () =>
      new Promise((resolve, reject) => {
        const options = { modulusLength, publicExponent: 65_537 };
        generateKeyPair("rsa", options, (error, _publicKey, privateKey) =>
          error === null ? resolve(privateKey) : reject(error),
        );
      }),
    accepts: (key) =>
      key.type === "private" &&
      key.asymmetricKeyType === "rsa" &&
      key.asymmetricKeyDetails?.modulusLength === modulusLength &&
      key.asymmetricKeyDetails.publicExponent === 65_537n,
  };
}

const ed25519: Pick<Algorithm, "generate" | "accepts"> = {
  generate: () =>
    new Promise((resolve, reject) =>
      generateKeyPair("ed25519", undefined, (error, _publicKey, privateKey) =>
        error === null ? resolve(privateKey) : reject(error),
      ),
    ),
  accepts: (key) => key.type === "private" && key.asymmetricKeyType === "ed25519",
};

const p256: Pick<Algorithm, "generate" | "accepts"> = {
  generate: () =>
    new Promise((resolve, reject) =>
      generateKeyPair("ec", { namedCurve: "P-256" }, (error, _publicKey, privateKey) =>
        error === null ? resolve(privateKey) : reject(error),
      ),
    ),
  accepts: (key) =>
    key.type === "private" && key.asymmetricKeyType === "ec" && key.asymmetricKeyDetails?.namedCurve === "prime256v1",
};

const hybrid = {
  suite: 5,
  purpose: "hybrid",
  portable: true,
  primitive: (e: Engine, k: KeyObject): Primitive => ({ purpose: "hybrid", hybrid: new Hybrid(e, k) }),
} as const;
const pss = {
  suite: 7,
  purpose: "signature",
  portable: true,
  primitive: (e: Engine, k: KeyObject): Primitive => ({ purpose: "signature", signer: new PssSigner(e, k) }),
} as const;
const plainGcm = {
  ...secret(32),
  suite: 2,
  purpose: "aead",
  portable: true,
  messageLimit: GCM_LIMIT,
  primitive: (e: Engine, k: KeyObject): Primitive => ({ purpose: "aead", aead: aesGcm(e, k) }),
} as const;

/** Every algorithm by its name in options, with the number that stands for it in messages. */
export const ALGORITHMS = {
  /** XAES-256-GCM: AES-256-GCM without a limit worth counting. The default. */
  "aes-256-gcm": {
    ...secret(32),
    suite: 1,
    purpose: "aead",
    portable: true,
    primitive: (e, k) => ({ purpose: "aead", aead: xaesGcm(e, k) }),
  },
  /** AES-256-GCM as NIST has it; messages are counted, and refused past 2^32 a key. */
  "aes-256-gcm-plain": plainGcm,
  /** As `aes-256-gcm-plain`, with messages that Tink reads and writes. */
  "aes-256-gcm-tink": { ...plainGcm, tink: true },
  /** AES-256-CBC, only ever with HMAC-SHA-512 over it. */
  "aes-256-cbc": {
    ...secret(64),
    suite: 3,
    purpose: "aead",
    portable: true,
    primitive: (e, k) => ({ purpose: "aead", aead: new CbcHmac(e, k) }),
  },
  /** Cobblestone-256: streams, files, random access, key commitment. */
  "aes-256-gcm-stream": {
    ...secret(32),
    suite: 4,
    purpose: "stream",
    portable: true,
    primitive: (e, k) => ({ purpose: "stream", aead: new Cobblestone(e, k), key: k }),
  },
  "rsa-2048": { ...rsa(2048), ...hybrid },
  "rsa-3072": { ...rsa(3072), ...hybrid },
  "rsa-4096": { ...rsa(4096), ...hybrid },
  "hmac-sha256": {
    ...secret(32),
    suite: 6,
    purpose: "mac",
    portable: true,
    primitive: (e, k) => ({ purpose: "mac", signer: new Mac(e, "sha256", k) }),
  },
  "hmac-sha512": {
    ...secret(64),
    suite: 10,
    purpose: "mac",
    portable: true,
    primitive: (e, k) => ({ purpose: "mac", signer: new Mac(e, "sha512", k) }),
  },
  "rsa-pss-2048": { ...rsa(2048), ...pss },
  "rsa-pss-3072": { ...rsa(3072), ...pss },
  "rsa-pss-4096": { ...rsa(4096), ...pss },
  ed25519: {
    ...ed25519,
    suite: 8,
    purpose: "signature",
    portable: false,
    primitive: (_e, k) => ({ purpose: "signature", signer: new CurveSigner(undefined, k) }),
  },
  "ecdsa-p256": {
    ...p256,
    suite: 9,
    purpose: "signature",
    portable: false,
    primitive: (_e, k) => ({ purpose: "signature", signer: new CurveSigner("sha256", k) }),
  },
  /** Keys of JSON web tokens that only we verify. */
  "token-hs256": {
    ...secret(32),
    suite: 11,
    purpose: "token",
    portable: false,
    primitive: (_e, k) => ({ purpose: "token", token: new TokenPair("HS256", k) }),
  },
  /** Keys of JSON web tokens that others verify too, by a JWKS document. */
  "token-es256": {
    ...p256,
    suite: 12,
    purpose: "token",
    portable: false,
    primitive: (_e, k) => ({ purpose: "token", token: new TokenPair("ES256", k) }),
  },
} as const satisfies Readonly<Record<string, Algorithm>> as Readonly<Record<AlgorithmName, Algorithm>>; // one type for all rows

/** The name of an algorithm in options. */
export type AlgorithmName =
  | "aes-256-gcm"
  | "aes-256-gcm-plain"
  | "aes-256-gcm-tink"
  | "aes-256-cbc"
  | "aes-256-gcm-stream"
  | "rsa-2048"
  | "rsa-3072"
  | "rsa-4096"
  | "hmac-sha256"
  | "hmac-sha512"
  | "rsa-pss-2048"
  | "rsa-pss-3072"
  | "rsa-pss-4096"
  | "ed25519"
  | "ecdsa-p256"
  | "token-hs256"
  | "token-es256";

/** Names of all algorithms. */
export const ALGORITHM_NAMES: readonly AlgorithmName[] = Object.keys(ALGORITHMS) as AlgorithmName[]; // its keys are the names

/** True for the name of an algorithm. */
export function isAlgorithm(name: unknown): name is AlgorithmName {
  return typeof name === "string" && Object.hasOwn(ALGORITHMS, name);
}

/** True where messages have associated data, whose type is bound from format 3 on. */
export function hasAssociatedData(purpose: Purpose): boolean {
  return purpose !== "mac" && purpose !== "signature" && purpose !== "token";
}

/** Bytes of a key as they are stored: a secret as it is, a private key as PKCS#8. */
export function exportKey(key: KeyObject): Buffer {
  return key.type === "secret" ? key.export() : key.export({ format: "der", type: "pkcs8" });
}

/**
 * A key from its stored bytes, a PEM text, or a KeyObject.
 * @throws {CRYPTO_KEY_INVALID} when it is not a key of that algorithm.
 */
export function importKey(algorithm: AlgorithmName, material: Uint8Array | string | KeyObject): KeyObject {
  const key = parsedKey(algorithm, material);
  if (key === undefined || !ALGORITHMS[algorithm].accepts(key))
    throw cryptoError(
      "CRYPTO_KEY_INVALID",
      `the imported key is not one of ${algorithm}: wrong kind, size or encoding`,
    );
  return key;
}

/**
 * A key that was made elsewhere. RSA keys of more than two primes are refused: not every backend can use them.
 * @throws {CRYPTO_KEY_INVALID} when it is not a key of that algorithm.
 */
export function importForeignKey(algorithm: AlgorithmName, material: Uint8Array | string | KeyObject): KeyObject {
  const key = importKey(algorithm, material);
  if (key.asymmetricKeyType === "rsa" && primesOf(key) > 2)
    throw cryptoError("CRYPTO_KEY_INVALID", "the imported RSA key has more than two primes, which few tools can use");
  return key;
}

/** 2, or 3 for more: the version in front of a PKCS#1 key says so. */
export function primesOf(key: KeyObject): 2 | 3 {
  const der = key.export({ format: "der", type: "pkcs1" });
  const contentAt = 2 + ((der[1] ?? 0) >= 0x80 ? (der[1] ?? 0) & 0x7f : 0);
  const isMulti = der[contentAt + 2] !== 0;
  der.fill(0);
  return isMulti ? 3 : 2;
}

function parsedKey(algorithm: AlgorithmName, material: Uint8Array | string | KeyObject): KeyObject | undefined {
  if (types.isKeyObject(material)) return material;
  if (typeof material !== "string" && !types.isUint8Array(material)) return undefined;
  const { purpose } = ALGORITHMS[algorithm];
  const isSecret = purpose === "aead" || purpose === "stream" || purpose === "mac" || algorithm === "token-hs256";
  try {
    if (isSecret) return typeof material === "string" ? undefined : createSecretKey(material);
    return typeof material === "string"
      ? createPrivateKey(material)
      : createPrivateKey({ key: Buffer.from(material), format: "der", type: "pkcs8" });
  } catch {
    return undefined;
  }
}

/**
 * Makes a key ready for use on an engine.
 * @throws {CRYPTO_UNSUPPORTED} when the engine cannot do the algorithm.
 */
export function primitiveOf(engine: Engine, algorithm: AlgorithmName, key: KeyObject): Primitive {
  const { portable, primitive } = ALGORITHMS[algorithm];
  if (engine.name === "portable" && !portable)
    throw cryptoError(
      "CRYPTO_UNSUPPORTED",
      `the portable backend cannot do ${algorithm}; it does AES, HMAC, RSA-OAEP and RSA-PSS`,
    );
  if (engine.name === "portable" && key.asymmetricKeyType === "rsa" && primesOf(key) > 2)
    throw cryptoError("CRYPTO_UNSUPPORTED", "the portable backend cannot use an RSA key of more than two primes");
  return primitive(engine, key);
}
