import { createPrivateKey, X509Certificate, type KeyObject } from "node:crypto";
import { pkiInvalid } from "./der.ts";

const MAX_CHARACTERS = 2 * 1024 * 1024;

/** A certificate, read by `node:crypto`. @throws {CRYPTO_PKI_INVALID} when it is none. */
export function parsedCertificate(pem: string | Uint8Array): X509Certificate {
  if (pem.length > MAX_CHARACTERS) throw pkiInvalid(`a certificate of ${pem.length} bytes is too large`);
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw pkiInvalid("not a certificate", error);
  }
}

/** A private key from PEM. @throws {CRYPTO_PKI_INVALID} when it is none. */
export function parsedKey(pem: string): KeyObject {
  if (typeof pem === "string" && pem.length > MAX_CHARACTERS)
    throw pkiInvalid(`a private key of ${pem.length} characters is too large`);
  try {
    return createPrivateKey(pem);
  } catch {
    throw pkiInvalid("not an unencrypted private key in PEM");
  }
}

/** A private key as PKCS#8 PEM. */
export function pemOf(key: KeyObject): string {
  return key.export({ format: "pem", type: "pkcs8" }).toString();
}
