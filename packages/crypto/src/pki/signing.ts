import { createPublicKey, generateKeyPair, sign, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { bits, nothing, oid, pkiInvalid, sequence, toDer, type Asn1 } from "./der.ts";

/** Kinds of keys for certificates. */
export type CertificateKeyKind = "ecdsa-p256" | "ed25519" | "rsa-2048" | "rsa-3072" | "rsa-4096";

/** All kinds. */
export const KEY_KINDS: readonly [CertificateKeyKind, ...CertificateKeyKind[]] = [
  "ecdsa-p256",
  "ed25519",
  "rsa-2048",
  "rsa-3072",
  "rsa-4096",
];

const generate = promisify(generateKeyPair);

/** A new private key, made by `node:crypto` off the main thread. */
export async function newPrivateKey(kind: CertificateKeyKind): Promise<KeyObject> {
  if (kind === "ecdsa-p256") return (await generate("ec", { namedCurve: "P-256" })).privateKey;
  if (kind === "ed25519") return (await generate("ed25519")).privateKey;
  return (await generate("rsa", { modulusLength: Number(kind.slice("rsa-".length)), publicExponent: 65_537 }))
    .privateKey;
}

/** How a key signs: its algorithm as ASN.1, and the hash that goes before. */
export function signatureAlgorithm(key: KeyObject): { readonly id: Asn1; readonly hash: "sha256" | null } {
  switch (key.asymmetricKeyType) {
    case "ec":
      if (key.asymmetricKeyDetails?.namedCurve !== "prime256v1") break;
      return { id: sequence(oid("1.2.840.10045.4.3.2")), hash: "sha256" };
    case "ed25519":
      return { id: sequence(oid("1.3.101.112")), hash: null };
    case "rsa":
      if ((key.asymmetricKeyDetails?.modulusLength ?? 0) < 2048) break;
      return { id: sequence(oid("1.2.840.113549.1.1.11"), nothing()), hash: "sha256" };
    default:
  }
  throw pkiInvalid(
    `a ${key.asymmetricKeyType ?? "secret"} key of that kind cannot sign certificates; use P-256, Ed25519 or RSA of 2048 bits and more`,
  );
}

/** What X.509 signs is always three parts: the content, the algorithm, the signature. The content is signed by `node:crypto`. */
export function signed(content: Asn1, key: KeyObject): Promise<Buffer> {
  const { id, hash } = signatureAlgorithm(key);
  return new Promise((resolve, reject) =>
    sign(hash, toDer(content), key, (error, signature) =>
      error === null ? resolve(toDer(sequence(content, id, bits(signature)))) : reject(error),
    ),
  );
}

/** SubjectPublicKeyInfo of a key. */
export function publicKeyDer(key: KeyObject): Buffer {
  const publicKey = key.type === "private" ? createPublicKey(key) : key;
  return publicKey.export({ format: "der", type: "spki" });
}
