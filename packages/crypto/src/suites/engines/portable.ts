import type { KeyObject } from "node:crypto";
import forge from "node-forge";
import type { CipherKey, Digestion, Encryption, Engine, HashName, SealedEncryption } from "./engine.ts";

const TAG_BITS = 128;
const SALT_BYTES = 32;
const BLOCK_BYTES = 16;

/** forge works on strings with one character a byte. */
function binary(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

function bytesFrom(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}

function raw(key: CipherKey): string {
  return binary(key instanceof Uint8Array ? key : key.export());
}

/** A forge cipher with the manners of Node's: pieces in, pieces out. */
class ForgeCipher implements SealedEncryption {
  readonly #cipher: forge.cipher.BlockCipher;
  readonly #heldBytes: number;

  /** @param heldBytes kept back until `final`: the padding of CBC, which forge removes from what it has not handed out. */
  constructor(cipher: forge.cipher.BlockCipher, heldBytes = 0) {
    this.#cipher = cipher;
    this.#heldBytes = heldBytes;
  }

  update(data: Uint8Array): Uint8Array {
    this.#cipher.update(forge.util.createBuffer(binary(data)));
    return bytesFrom(this.#cipher.output.getBytes(Math.max(0, this.#cipher.output.length() - this.#heldBytes)));
  }

  final(): Uint8Array {
    // forge takes an empty CBC ciphertext for a valid one.
    const empty = this.#heldBytes > 0 && this.#cipher.output.length() === 0;
    if (empty || !this.#cipher.finish()) throw new Error("does not authenticate");
    return bytesFrom(this.#cipher.output.getBytes());
  }

  getAuthTag(): Uint8Array {
    return bytesFrom(this.#cipher.mode.tag.getBytes());
  }
}

function started(
  cipher: forge.cipher.BlockCipher,
  nonce: Uint8Array,
  aad: Uint8Array,
  tag?: Uint8Array,
): forge.cipher.BlockCipher {
  const known = tag === undefined ? {} : { tag: forge.util.createBuffer(binary(tag)) };
  cipher.start({ iv: binary(nonce), additionalData: binary(aad), tagLength: TAG_BITS, ...known });
  return cipher;
}

class ForgeHmac implements Digestion {
  readonly #hmac: forge.hmac.HMAC = forge.hmac.create();

  constructor(hash: HashName, key: CipherKey) {
    this.#hmac.start(hash, raw(key));
  }

  update(data: Uint8Array): void {
    this.#hmac.update(binary(data));
  }

  digest(): Uint8Array {
    return bytesFrom(this.#hmac.digest().getBytes());
  }
}

const privateKeys = new WeakMap<KeyObject, forge.pki.rsa.PrivateKey>();
const publicKeys = new WeakMap<KeyObject, forge.pki.rsa.PublicKey>();

function forgePrivate(key: KeyObject): forge.pki.rsa.PrivateKey {
  const known = privateKeys.get(key);
  if (known !== undefined) return known;
  const der = key.export({ format: "der", type: "pkcs1" });
  const made = forge.pki.privateKeyFromAsn1(forge.asn1.fromDer(binary(der)));
  privateKeys.set(key, made);
  return made;
}

function forgePublic(key: KeyObject): forge.pki.rsa.PublicKey {
  const known = publicKeys.get(key);
  if (known !== undefined) return known;
  const der = key.export({ format: "der", type: "pkcs1" });
  // RSAPublicKey is one of the two forms that forge reads; its types know the other one only.
  const made = forge.pki.publicKeyFromAsn1(forge.asn1.fromDer(binary(der))) as forge.pki.rsa.PublicKey;
  publicKeys.set(key, made);
  return made;
}

function oaep(): { md: forge.md.MessageDigest; mgf1: { md: forge.md.MessageDigest } } {
  return { md: forge.md.sha256.create(), mgf1: { md: forge.md.sha256.create() } };
}

function pss(): forge.pss.PSS {
  return forge.pss.create({
    md: forge.md.sha256.create(),
    mgf: forge.mgf.mgf1.create(forge.md.sha256.create()),
    saltLength: SALT_BYTES,
  });
}

function digestOf(parts: readonly Uint8Array[]): forge.md.MessageDigest {
  const md = forge.md.sha256.create();
  for (const part of parts) md.update(binary(part));
  return md;
}

function verified(work: () => boolean): boolean {
  try {
    return work();
  } catch {
    return false;
  }
}

/** JavaScript through node-forge: slow, not constant-time, and there for hosts and tests without OpenSSL. Keys are still made by `node:crypto`. */
export const portableEngine: Engine = {
  name: "portable",
  wholeBytes: 16 * 1024,
  sliceBytes: 16 * 1024,
  derivedKey: (bytes) => bytes,
  gcmEncryption: (key, nonce, aad) =>
    new ForgeCipher(started(forge.cipher.createCipher("AES-GCM", raw(key)), nonce, aad)),
  gcmDecryption: (key, nonce, aad, tag): Encryption =>
    new ForgeCipher(started(forge.cipher.createDecipher("AES-GCM", raw(key)), nonce, aad, tag)),
  cbcEncryption(key, iv) {
    const cipher = forge.cipher.createCipher("AES-CBC", raw(key));
    cipher.start({ iv: binary(iv) });
    return new ForgeCipher(cipher);
  },
  cbcDecryption(key, iv) {
    const cipher = forge.cipher.createDecipher("AES-CBC", raw(key));
    cipher.start({ iv: binary(iv) });
    return new ForgeCipher(cipher, BLOCK_BYTES);
  },
  blockCipher(key) {
    const cipher = forge.cipher.createCipher("AES-ECB", raw(key));
    cipher.start({});
    return (blocks) => {
      cipher.update(forge.util.createBuffer(binary(blocks)));
      return bytesFrom(cipher.output.getBytes());
    };
  },
  hmac: (hash, key) => new ForgeHmac(hash, key),
  oaepWrap: (key, secret) => bytesFrom(forgePublic(key).encrypt(binary(secret), "RSA-OAEP", oaep())),
  oaepUnwrap: async (key, wrapped) => bytesFrom(forgePrivate(key).decrypt(binary(wrapped), "RSA-OAEP", oaep())),
  pssSign: async (key, parts) => bytesFrom(forgePrivate(key).sign(digestOf(parts), pss())),
  pssVerify: (key, parts, signature) =>
    verified(() => forgePublic(key).verify(digestOf(parts).digest().getBytes(), binary(signature), pss())),
};
