import {
  constants,
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  publicEncrypt,
  sign,
  verify,
  webcrypto,
  type KeyObject,
} from "node:crypto";
import type { Engine } from "./engine.ts";

const GCM = "aes-256-gcm";
const CBC = "aes-256-cbc";
const TAG = { authTagLength: 16 } as const;
// Handing raw bytes to a cipher has been dear since Node 22; wrapping them first pays there, not before.
const WRAP_DERIVED = Number(process.versions.node.split(".")[0]) >= 22;
const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 } as const;
const OAEP = { name: "RSA-OAEP", hash: "SHA-256" } as const;

// An imported private key for subtle lives as long as the KeyObject it came from.
const imported = new WeakMap<KeyObject, Promise<webcrypto.CryptoKey>>();

function subtleKey(privateKey: KeyObject): Promise<webcrypto.CryptoKey> {
  let key = imported.get(privateKey);
  if (key === undefined) {
    const der = privateKey.export({ format: "der", type: "pkcs8" });
    key = webcrypto.subtle.importKey("pkcs8", der, OAEP, false, ["decrypt"]).finally(() => der.fill(0));
    imported.set(privateKey, key);
  }
  return key;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts;
  return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts);
}

/** OpenSSL through `node:crypto`. Private RSA operations run off the main thread. */
export const nativeEngine: Engine = {
  name: "native",
  wholeBytes: 1024 * 1024,
  sliceBytes: 256 * 1024,
  derivedKey: (bytes) => (WRAP_DERIVED ? createSecretKey(bytes) : bytes),
  gcmEncryption(key, nonce, aad) {
    const cipher = createCipheriv(GCM, key, nonce, TAG);
    if (aad.length > 0) cipher.setAAD(aad);
    return cipher;
  },
  gcmDecryption(key, nonce, aad, tag) {
    const decipher = createDecipheriv(GCM, key, nonce, TAG);
    decipher.setAuthTag(tag);
    if (aad.length > 0) decipher.setAAD(aad);
    return decipher;
  },
  cbcEncryption: (key, iv) => createCipheriv(CBC, key, iv),
  cbcDecryption: (key, iv) => createDecipheriv(CBC, key, iv),
  blockCipher(key) {
    const cipher = createCipheriv("aes-256-ecb", key, null).setAutoPadding(false);
    return (blocks) => cipher.update(blocks);
  },
  hmac: (hash, key) => createHmac(hash, key),
  oaepWrap: (key, secret) =>
    publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" }, secret),
  async oaepUnwrap(privateKey, wrapped) {
    return new Uint8Array(await webcrypto.subtle.decrypt(OAEP, await subtleKey(privateKey), wrapped));
  },
  pssSign: (key, parts) =>
    new Promise((resolve, reject) =>
      sign("sha256", joined(parts), { key, ...PSS }, (error, signature) =>
        error === null ? resolve(signature) : reject(error),
      ),
    ),
  pssVerify: (key, parts, signature) => verify("sha256", joined(parts), { key, ...PSS }, signature),
};
