import { webcrypto } from "node:crypto";
import type { TokenKey } from "@steward/core";

const MAX_KEYS = 100;
const MIN_RSA_BITS = 2_048;

interface Jwk extends webcrypto.JsonWebKey {
  readonly kid?: unknown;
}

type Import = Parameters<typeof webcrypto.subtle.importKey>[2];

const RSA: Readonly<Record<string, Import>> = {
  RS256: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  RS384: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-384" },
  RS512: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-512" },
  PS256: { name: "RSA-PSS", hash: "SHA-256" },
  PS384: { name: "RSA-PSS", hash: "SHA-384" },
  PS512: { name: "RSA-PSS", hash: "SHA-512" },
};
const EC: Readonly<Record<string, string>> = { "P-256": "ES256", "P-384": "ES384", "P-521": "ES512" };

/**
 * The keys of a JWKS document that verify signatures, by their ids. Secret keys, keys for something else and keys that
 * cannot be read are left out: one that we do not know must not take the others with it.
 */
export async function tokenKeysIn(text: string): Promise<ReadonlyMap<string, TokenKey>> {
  const document: unknown = JSON.parse(text);
  const keys = typeof document === "object" && document !== null && "keys" in document ? document.keys : undefined;
  if (!Array.isArray(keys)) throw new Error("it answers with something else than a JWKS document");
  const found = new Map<string, TokenKey>();
  for (const jwk of keys.slice(0, MAX_KEYS) as readonly unknown[]) {
    const key = await tokenKeyOf(jwk).catch(() => undefined);
    if (key !== undefined && !found.has(key.kid)) found.set(key.kid, key);
  }
  return found;
}

/** A key that verifies; `undefined` for any other. */
export async function tokenKeyOf(given: unknown): Promise<TokenKey | undefined> {
  if (typeof given !== "object" || given === null) return undefined;
  const jwk = given as Jwk; // each member is looked at before it is used
  const { kid, use, key_ops: operations } = jwk;
  if (typeof kid !== "string" || kid === "" || kid.length > 200) return undefined;
  if (use !== undefined && use !== "sig") return undefined;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes("verify"))) return undefined;
  const plan = planOf(jwk);
  if (plan === undefined || (jwk.alg !== undefined && !plan.names.includes(jwk.alg))) return undefined;
  const key = await webcrypto.subtle.importKey("jwk", plan.jwk, plan.how, false, ["verify"]);
  return { kid, algorithm: plan.names[0] ?? "", key };
}

interface Plan {
  /** Names of the algorithm in JWS: the one that a key of it has here, and others that mean the same. */
  readonly names: readonly string[];
  readonly how: Import;
  /** Its public members, without anything else that the document has. */
  readonly jwk: webcrypto.JsonWebKey;
}

/** How a key is read: its algorithm is its own, or the usual one of its kind. */
function planOf({ kty, crv = "", alg = "RS256", n = "", e = "", x = "", y = "" }: Jwk): Plan | undefined {
  if (kty === "RSA") {
    const how = Object.hasOwn(RSA, alg) ? RSA[alg] : undefined;
    return how === undefined || bitsOf(n) < MIN_RSA_BITS ? undefined : { names: [alg], how, jwk: { kty, n, e } };
  }
  if (kty === "EC" && Object.hasOwn(EC, crv))
    return { names: [EC[crv] ?? ""], how: { name: "ECDSA", namedCurve: crv }, jwk: { kty, crv, x, y } };
  if (kty === "OKP" && crv === "Ed25519") return { names: ["EdDSA"], how: { name: "Ed25519" }, jwk: { kty, crv, x } };
  return undefined;
}

function bitsOf(modulus: string): number {
  const bytes = Buffer.from(modulus, "base64url");
  const first = bytes.findIndex((byte) => byte !== 0);
  return first < 0 ? 0 : (bytes.length - first) * 8 - Math.clz32(bytes[first] ?? 0) + 24;
}
