import { createHmac, createPrivateKey, timingSafeEqual, type KeyObject } from "node:crypto";
import { fromDer, numberOf, octetsOf, oidOf, partsOf, pkiInvalid, toDer, type Asn1 } from "./der.ts";
import { parsedCertificate, pemOf } from "./files.ts";
import { decrypted, hashOf, IterationBudget, pkcs12Key, saltOf, type Passphrase } from "./pkcs12-keys.ts";

/** What a PKCS#12 file holds. */
export interface KeyBundle {
  readonly privateKeyPem: string;
  /** The certificate of that key. */
  readonly certificatePem: string;
  /** The other certificates, as the file has them. */
  readonly chainPem: readonly string[];
}

/** What a file may ask for. */
export interface Pkcs12Limits {
  /** Iterations of all key derivations in the file together. */
  readonly maxIterations: number;
  /** True reads a file that nothing authenticates. */
  readonly allowMissingMac: boolean;
}

const DATA = "1.2.840.113549.1.7.1";
const ENCRYPTED_DATA = "1.2.840.113549.1.7.6";
const CERTIFICATE = "1.2.840.113549.1.9.22.1";
const BAGS = {
  key: "1.2.840.113549.1.12.10.1.1",
  shroudedKey: "1.2.840.113549.1.12.10.1.2",
  certificate: "1.2.840.113549.1.12.10.1.3",
} as const;
const MAX_CERTIFICATES = 100;

/**
 * Reads a PKCS#12 file. Nothing is decrypted before the MAC has shown that passphrase and file are right. Takes as long
 * as its iterations take, so it runs in a thread of its own.
 *
 * @throws {CRYPTO_PKI_INVALID} when the file is not one, or passphrase or MAC are not right.
 */
export function readPkcs12(file: Uint8Array, passphrase: string, limits: Pkcs12Limits): KeyBundle {
  const [version, content, mac] = partsOf(fromDer(file, "the PKCS#12 file"));
  if (numberOf(version) !== 3) throw pkiInvalid("not a PKCS#12 file of version 3");
  const safe = dataOf(content);
  const budget = new IterationBudget(limits.maxIterations);
  const phrase = authenticated(mac, safe, passphrase, limits, budget);
  const bags = partsOf(fromDer(safe, "the content of the file")).flatMap((part) => bagsOf(part, phrase, budget));
  return bundleOf(keyIn(bags, phrase, budget), certificatesIn(bags));
}

/** The octets of unencrypted content. */
function dataOf(info: Asn1 | undefined): Buffer {
  const [type, wrapped] = partsOf(info);
  if (oidOf(type) === DATA) return octetsOf(partsOf(wrapped)[0]);
  throw pkiInvalid(`the file holds content of an unknown kind (${oidOf(type) ?? "none"})`);
}

/** Checks the MAC and gives the passphrase in the form that it fits in. */
function authenticated(
  macData: Asn1 | undefined,
  safe: Buffer,
  passphrase: string,
  { allowMissingMac }: Pkcs12Limits,
  budget: IterationBudget,
): Passphrase {
  const utf8 = Buffer.from(passphrase, "utf8");
  const standard = { utf8, utf16: utf16(passphrase) };
  if (macData === undefined) {
    if (allowMissingMac) return standard;
    throw pkiInvalid(
      "the file has no MAC, so nothing shows that it is what was written; { allowMissingMac: true } reads it anyway",
    );
  }
  // Without a passphrase some tools write the zero at its end, others nothing at all.
  const forms = passphrase === "" ? [standard, { utf8, utf16: Buffer.alloc(0) }] : [standard];
  const found = forms.find((form) => isMac(macData, safe, form, budget));
  if (found !== undefined) return found;
  throw pkiInvalid("the MAC of the file is not right: another passphrase, or the file was changed");
}

function isMac(macData: Asn1, safe: Buffer, { utf16: password }: Passphrase, budget: IterationBudget): boolean {
  const [info, salt, count] = partsOf(macData);
  const [algorithm, digest] = partsOf(info);
  const hash = hashOf(oidOf(partsOf(algorithm)[0]));
  const iterations = count === undefined ? 1 : numberOf(count);
  const key = pkcs12Key(hash, { password, salt: saltOf(salt), iterations, purpose: "mac" }, hash[1], budget);
  const expected = createHmac(hash[0], key).update(safe).digest();
  const given = octetsOf(digest);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function utf16(text: string): Buffer {
  return Buffer.from(`${text}\0`, "utf16le").swap16();
}

interface Bag {
  readonly type: string | undefined;
  readonly value: Asn1 | undefined;
}

function bagsOf(info: Asn1, phrase: Passphrase, budget: IterationBudget): Bag[] {
  const bags = fromDer(contentOf(info, phrase, budget), "a part of the file");
  return partsOf(bags).map((bag) => ({ type: oidOf(partsOf(bag)[0]), value: partsOf(partsOf(bag)[1])[0] }));
}

function contentOf(info: Asn1, phrase: Passphrase, budget: IterationBudget): Buffer {
  const [type, wrapped] = partsOf(info);
  if (oidOf(type) !== ENCRYPTED_DATA) return dataOf(info);
  const [, encrypted] = partsOf(partsOf(wrapped)[0]);
  const [, algorithm, content] = partsOf(encrypted);
  return decrypted(algorithm, octetsOf(content), phrase, budget);
}

function keyIn(bags: readonly Bag[], phrase: Passphrase, budget: IterationBudget): KeyObject {
  const bag = bags.find(({ type }) => type === BAGS.shroudedKey || type === BAGS.key);
  if (bag?.value === undefined) throw pkiInvalid("the PKCS#12 file holds no private key");
  const [algorithm, content] = partsOf(bag.value);
  const der = bag.type === BAGS.key ? toDer(bag.value) : decrypted(algorithm, octetsOf(content), phrase, budget);
  try {
    return createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  } catch {
    throw pkiInvalid("the private key in the PKCS#12 file is of an unknown kind");
  } finally {
    der.fill(0);
  }
}

function certificatesIn(bags: readonly Bag[]): ReturnType<typeof parsedCertificate>[] {
  const found = bags.filter(({ type, value }) => type === BAGS.certificate && oidOf(partsOf(value)[0]) === CERTIFICATE);
  if (found.length > MAX_CERTIFICATES)
    throw pkiInvalid(`the file holds ${found.length} certificates (at most ${MAX_CERTIFICATES})`);
  return found.map(({ value }) => parsedCertificate(octetsOf(partsOf(partsOf(value)[1])[0])));
}

function bundleOf(key: KeyObject, all: readonly ReturnType<typeof parsedCertificate>[]): KeyBundle {
  const own = all.find((certificate) => certificate.checkPrivateKey(key));
  if (own === undefined) throw pkiInvalid(`none of the ${all.length} certificates in the file is of its private key`);
  return {
    privateKeyPem: pemOf(key),
    certificatePem: own.toString(),
    chainPem: all.filter((each) => each !== own).map(String),
  };
}
