import { createDecipheriv, createHash, pbkdf2Sync } from "node:crypto";
import forge from "node-forge";
import { numberOf, octetsOf, oidOf, partsOf, pkiInvalid, type Asn1 } from "./der.ts";

/** A passphrase in the two forms that key files use. */
export interface Passphrase {
  /** UTF-8, for PBES2. */
  readonly utf8: Buffer;
  /** UTF-16, most significant byte first, with a zero behind it: for the format's own derivation. */
  readonly utf16: Buffer;
}

/** What a file may still make us compute: hash iterations, all of the file together. */
export class IterationBudget {
  readonly #max: number;
  #left: number;

  constructor(max: number) {
    this.#max = max;
    this.#left = max;
  }

  /** @throws {CRYPTO_PKI_INVALID} when the file asks for more than it may. */
  spend(iterations: number, blocks: number): void {
    this.#left -= iterations * blocks;
    if (iterations >= 1 && this.#left >= 0) return;
    throw pkiInvalid(
      `the file asks for more than ${this.#max} iterations of its key derivation (${iterations} at once); raise maxIterations if it is yours`,
    );
  }
}

/** Hashes of the format's own derivation, by object identifier: name, bytes, bytes of a block. */
const HASHES: Readonly<Record<string, readonly [name: string, bytes: number, blockBytes: number]>> = {
  "1.3.14.3.2.26": ["sha1", 20, 64],
  "2.16.840.1.101.3.4.2.4": ["sha224", 28, 64],
  "2.16.840.1.101.3.4.2.1": ["sha256", 32, 64],
  "2.16.840.1.101.3.4.2.2": ["sha384", 48, 128],
  "2.16.840.1.101.3.4.2.3": ["sha512", 64, 128],
};
const HMACS: Readonly<Record<string, string>> = {
  "1.2.840.113549.2.7": "sha1",
  "1.2.840.113549.2.8": "sha224",
  "1.2.840.113549.2.9": "sha256",
  "1.2.840.113549.2.10": "sha384",
  "1.2.840.113549.2.11": "sha512",
};
const CIPHERS: Readonly<Record<string, readonly [name: string, keyBytes: number]>> = {
  "2.16.840.1.101.3.4.1.2": ["aes-128-cbc", 16],
  "2.16.840.1.101.3.4.1.22": ["aes-192-cbc", 24],
  "2.16.840.1.101.3.4.1.42": ["aes-256-cbc", 32],
  "1.2.840.113549.3.7": ["des-ede3-cbc", 24],
};
/** The old schemes of the format, all with SHA-1: cipher, bytes of its key. */
const OLD: Readonly<Record<string, readonly [cipher: "3des" | "rc2", keyBytes: number]>> = {
  "1.2.840.113549.1.12.1.3": ["3des", 24],
  "1.2.840.113549.1.12.1.4": ["3des", 16],
  "1.2.840.113549.1.12.1.5": ["rc2", 16],
  "1.2.840.113549.1.12.1.6": ["rc2", 5],
};
const PBES2 = "1.2.840.113549.1.5.13";
const PBKDF2 = "1.2.840.113549.1.5.12";
const MAX_SALT_BYTES = 1_024;

/** The hash that an object identifier names. @throws {CRYPTO_PKI_INVALID} for any other. */
export function hashOf(id: string | undefined): readonly [name: string, bytes: number, blockBytes: number] {
  const hash = id !== undefined && Object.hasOwn(HASHES, id) ? HASHES[id] : undefined;
  if (hash === undefined) throw pkiInvalid(`the file is authenticated in an unknown manner (${id ?? "none"})`);
  return hash;
}

/** For what a derived key is: it goes into the derivation. */
const PURPOSES = { key: 1, iv: 2, mac: 3 } as const;

/** The derivation of PKCS#12 itself (RFC 7292, appendix B.2). */
export function pkcs12Key(
  hash: readonly [name: string, bytes: number, blockBytes: number],
  input: {
    readonly password: Uint8Array;
    readonly salt: Uint8Array;
    readonly iterations: number;
    readonly purpose: keyof typeof PURPOSES;
  },
  keyBytes: number,
  budget: IterationBudget,
): Buffer {
  const [name, bytes, blockBytes] = hash;
  const blocks = Math.ceil(keyBytes / bytes);
  budget.spend(input.iterations, blocks);
  const state = Buffer.concat([repeated(input.salt, blockBytes), repeated(input.password, blockBytes)]);
  const head = Buffer.alloc(blockBytes, PURPOSES[input.purpose]);
  const out: Buffer[] = [];
  for (let block = 0; block < blocks; block++) {
    let digest = createHash(name).update(head).update(state).digest();
    for (let i = 1; i < input.iterations; i++) digest = createHash(name).update(digest).digest();
    out.push(digest);
    const added = repeated(digest, blockBytes).subarray(0, blockBytes);
    for (let at = 0; at < state.length; at += blockBytes) addOne(state.subarray(at, at + blockBytes), added);
  }
  return Buffer.concat(out).subarray(0, keyBytes);
}

function repeated(bytes: Uint8Array, blockBytes: number): Buffer {
  return bytes.length === 0 ? Buffer.alloc(0) : Buffer.alloc(blockBytes * Math.ceil(bytes.length / blockBytes), bytes);
}

/** `target + added + 1`, as numbers with the most significant byte first. */
function addOne(target: Buffer, added: Buffer): void {
  let carry = 1;
  for (let i = target.length - 1; i >= 0; i--) {
    carry += (target[i] ?? 0) + (added[i] ?? 0);
    target[i] = carry & 0xff;
    carry >>= 8;
  }
}

/** Decrypts content of a key file. @throws {CRYPTO_PKI_INVALID} when it does not open, or the scheme is unknown. */
export function decrypted(
  algorithm: Asn1 | undefined,
  content: Buffer,
  phrase: Passphrase,
  budget: IterationBudget,
): Buffer {
  const [id, parameters] = partsOf(algorithm);
  const scheme = oidOf(id) ?? "none";
  if (scheme === PBES2) return pbes2(parameters, content, phrase, budget);
  const old = Object.hasOwn(OLD, scheme) ? OLD[scheme] : undefined;
  if (old === undefined) throw pkiInvalid(`the file is encrypted in an unknown manner (${scheme})`);
  const [salt, iterations] = partsOf(parameters);
  const input = { password: phrase.utf16, salt: saltOf(salt), iterations: numberOf(iterations) };
  const key = pkcs12Key(hashOf("1.3.14.3.2.26"), { ...input, purpose: "key" }, old[1], budget);
  const iv = pkcs12Key(hashOf("1.3.14.3.2.26"), { ...input, purpose: "iv" }, 8, budget);
  if (old[0] === "rc2") return rc2(key, iv, content);
  return decipher("des-ede3-cbc", key.length === 16 ? Buffer.concat([key, key.subarray(0, 8)]) : key, iv, content);
}

function pbes2(parameters: Asn1 | undefined, content: Buffer, phrase: Passphrase, budget: IterationBudget): Buffer {
  const [derivation, scheme] = partsOf(parameters);
  const [derivationId, derivationParts] = partsOf(derivation);
  const [salt, iterations, ...rest] = partsOf(derivationParts);
  const prf = oidOf(partsOf(rest.find((part) => partsOf(part).length > 0))[0]) ?? "1.2.840.113549.2.7";
  const [cipherId, iv] = partsOf(scheme);
  const cipherName = oidOf(cipherId) ?? "none";
  const cipher = Object.hasOwn(CIPHERS, cipherName) ? CIPHERS[cipherName] : undefined;
  const hash = Object.hasOwn(HMACS, prf) ? HMACS[prf] : undefined;
  if (oidOf(derivationId) !== PBKDF2 || cipher === undefined || hash === undefined)
    throw pkiInvalid(`the file is encrypted in an unknown manner (PBES2 with ${prf} and ${cipherName})`);
  const count = numberOf(iterations);
  budget.spend(count, 1);
  const key = pbkdf2Sync(phrase.utf8, saltOf(salt), count, cipher[1], hash);
  return decipher(cipher[0], key, octetsOf(iv), content);
}

/** A salt of a sensible size. */
export function saltOf(value: Asn1 | undefined): Buffer {
  const salt = octetsOf(value);
  if (salt.length <= MAX_SALT_BYTES) return salt;
  throw pkiInvalid(`the file has a salt of ${salt.length} bytes (at most ${MAX_SALT_BYTES})`);
}

function decipher(name: string, key: Buffer, iv: Buffer, content: Buffer): Buffer {
  try {
    const cipher = createDecipheriv(name, key, iv);
    return Buffer.concat([cipher.update(content), cipher.final()]);
  } catch {
    throw pkiInvalid("the file does not decrypt: another passphrase, or it was changed");
  }
}

/** RC2 is gone from OpenSSL 3; node-forge still has it. */
function rc2(key: Buffer, iv: Buffer, content: Buffer): Buffer {
  const cipher = forge.rc2.createDecryptionCipher(key.toString("latin1"), key.length * 8);
  cipher.start(iv.toString("latin1"));
  cipher.update(forge.util.createBuffer(content.toString("latin1")));
  if (content.length === 0 || content.length % 8 !== 0 || !cipher.finish())
    throw pkiInvalid("the file does not decrypt: another passphrase, or it was changed");
  return Buffer.from(cipher.output.getBytes(), "latin1");
}
