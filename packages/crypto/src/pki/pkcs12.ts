import { createHmac, createPrivateKey, randomBytes } from "node:crypto";
import forge from "node-forge";
import { cryptoError } from "../errors.ts";
import { parsedCertificate, parsedKey, pemOf } from "./files.ts";
import {
  fromDer,
  fromPem,
  nothing,
  octets,
  oid,
  pkiInvalid,
  sequence,
  set,
  smallInteger,
  tagged,
  toDer,
  type Asn1,
} from "./der.ts";

/** What a PKCS#12 file holds. */
export interface KeyBundle {
  readonly privateKeyPem: string;
  /** The certificate of that key. */
  readonly certificatePem: string;
  /** The other certificates, as the file has them. */
  readonly chainPem: readonly string[];
}

const { certBag, keyBag, pkcs8ShroudedKeyBag } = {
  certBag: "1.2.840.113549.1.12.10.1.3",
  keyBag: "1.2.840.113549.1.12.10.1.1",
  pkcs8ShroudedKeyBag: "1.2.840.113549.1.12.10.1.2",
};
const DATA = "1.2.840.113549.1.7.1";
const LOCAL_KEY_ID = "1.2.840.113549.1.9.21";
const MAC_ITERATIONS = 2_048;
const MIN_PASSPHRASE = 16;

/**
 * Reads a PKCS#12 file (.p12, .pfx) that the operator supplied, also one in the old RC2 and 3DES formats that Node
 * and OpenSSL 3 refuse.
 * @throws {CRYPTO_PKI_INVALID} when the passphrase is wrong, or key and certificate do not belong together.
 */
export function importPkcs12(file: Uint8Array, passphrase: string): KeyBundle {
  const parsed = opened(file, passphrase);
  const key = privateKeyOf(parsed);
  const all = bagsOf(parsed, certBag).map((bag) => {
    const value =
      bag.asn1 ?? (bag.cert === null || bag.cert === undefined ? undefined : forge.pki.certificateToAsn1(bag.cert));
    if (value === undefined) throw pkiInvalid("the file holds a certificate that cannot be read");
    return parsedCertificate(toDer(value));
  });
  const own = all.find((certificate) => certificate.checkPrivateKey(key));
  if (own === undefined) throw pkiInvalid(`none of the ${all.length} certificates in the file is of its private key`);
  return {
    privateKeyPem: pemOf(key),
    certificatePem: own.toString(),
    chainPem: all.filter((each) => each !== own).map(String),
  };
}

type Parsed = ReturnType<typeof forge.pkcs12.pkcs12FromAsn1>;
type Bag = forge.pkcs12.Bag;

function opened(file: Uint8Array, passphrase: string): Parsed {
  try {
    return forge.pkcs12.pkcs12FromAsn1(fromDer(file, "the file"), false, passphrase);
  } catch (error) {
    throw pkiInvalid("the PKCS#12 file does not open: another passphrase, or not such a file", error);
  }
}

function bagsOf(parsed: Parsed, type: string): readonly Bag[] {
  return parsed.getBags({ bagType: type })[type] ?? [];
}

function privateKeyOf(parsed: Parsed): ReturnType<typeof createPrivateKey> {
  const [bag] = [...bagsOf(parsed, pkcs8ShroudedKeyBag), ...bagsOf(parsed, keyBag)];
  if (bag === undefined) throw pkiInvalid("the PKCS#12 file holds no private key");
  // forge knows RSA keys; of others it hands over the PKCS#8 that it decrypted.
  const value =
    bag.key === null || bag.key === undefined
      ? bag.asn1
      : forge.pki.wrapRsaPrivateKey(forge.pki.privateKeyToAsn1(bag.key));
  try {
    return createPrivateKey({ key: toDer(value), format: "der", type: "pkcs8" });
  } catch {
    throw pkiInvalid("the private key in the PKCS#12 file is of an unknown kind");
  }
}

/**
 * Writes a PKCS#12 file for tools that want one. The key is encrypted by `node:crypto` (PBES2, AES-256), but the format's
 * own stretching is weak: the passphrase has to be random, 16 characters at least.
 */
export function exportPkcs12(bundle: KeyBundle, passphrase: string): Buffer {
  if (passphrase.length < MIN_PASSPHRASE)
    throw cryptoError(
      "CRYPTO_PKI_INVALID",
      `PKCS#12 protects little by itself: the passphrase needs ${MIN_PASSPHRASE} random characters, this one has ${passphrase.length}`,
    );
  const key = parsedKey(bundle.privateKeyPem);
  if (!parsedCertificate(bundle.certificatePem).checkPrivateKey(key))
    throw pkiInvalid("the private key is not the one of the certificate");
  const keyId = set(sequence(oid(LOCAL_KEY_ID), set(octets(Uint8Array.of(1)))));
  const encrypted = fromDer(
    key.export({ format: "der", type: "pkcs8", cipher: "aes-256-cbc", passphrase }),
    "the encrypted key",
  );
  const certificates = [bundle.certificatePem, ...bundle.chainPem].map((pem, index) => {
    const der = fromPem(pem, "CERTIFICATE");
    const value = sequence(oid("1.2.840.113549.1.9.22.1"), tagged(0, octets(der)));
    return sequence(oid(certBag), tagged(0, value), ...(index === 0 ? [keyId] : []));
  });
  const safe = toDer(
    sequence(
      data(sequence(...certificates)),
      data(sequence(sequence(oid(pkcs8ShroudedKeyBag), tagged(0, encrypted), keyId))),
    ),
  );
  return toDer(sequence(smallInteger(3), sequence(oid(DATA), tagged(0, octets(safe))), macOf(safe, passphrase)));
}

function data(content: Asn1): Asn1 {
  return sequence(oid(DATA), tagged(0, octets(toDer(content))));
}

function macOf(safe: Buffer, passphrase: string): Asn1 {
  const salt = randomBytes(16);
  const key = forge.pkcs12.generateKey(
    passphrase,
    forge.util.createBuffer(salt.toString("latin1")),
    3,
    MAC_ITERATIONS,
    32,
    forge.md.sha256.create(),
  );
  const mac = createHmac("sha256", Buffer.from(key.getBytes(), "latin1")).update(safe).digest();
  const digest = sequence(sequence(oid("2.16.840.1.101.3.4.2.1"), nothing()), octets(mac));
  return sequence(digest, octets(salt), smallInteger(MAC_ITERATIONS));
}
