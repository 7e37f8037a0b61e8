import { createHash, sign } from "node:crypto";
import { systemClock, type Clock } from "@steward/core";
import { assertShape, flag, listOf, required, shape, text, withMethods } from "@steward/core/driver";
import { types } from "node:util";
import { kindOf } from "../suites/encoding/bytes.ts";
import { cryptoError } from "../errors.ts";
import { parsedCertificate, parsedKey } from "./files.ts";
import {
  contentOf,
  fromDer,
  fromPem,
  implicit,
  integer,
  nothing,
  octets,
  oid,
  oidOf,
  partsOf,
  pkiInvalid,
  sequence,
  set,
  smallInteger,
  tagged,
  time,
  toDer,
  toPem,
  type Asn1,
} from "./der.ts";
import { signatureAlgorithm } from "./signing.ts";

const DATA = "1.2.840.113549.1.7.1";
const SIGNED_DATA = "1.2.840.113549.1.7.2";
const SHA256 = "2.16.840.1.101.3.4.2.1";

/** Who signs, with what. */
export interface Pkcs7Options {
  /** The certificate of who signs. */
  readonly certificatePem: string;
  /** Its key, RSA or P-256, as unencrypted PEM. */
  readonly privateKeyPem: string;
  /** Not used: there, so that what an authority issued can be passed on as it is. */
  readonly serialNumber?: string | undefined;
  /** Certificates that go along, so that the other side can build the chain. */
  readonly chainPem?: readonly string[] | undefined;
  /** True leaves the content out of the message. Default `false`. */
  readonly detached?: boolean | undefined;
  /** Where time comes from. Default: the real clock. */
  readonly clock?: Clock | undefined;
}

const SIGN = shape<Pkcs7Options>(() => ({
  certificatePem: required(text(true)),
  privateKeyPem: required(text(true)),
  serialNumber: text(true),
  chainPem: listOf(text(true)),
  detached: flag(),
  clock: withMethods("a clock", "now", "wallNow", "setTimeout", "sleep"),
}));

/** Signs content as a PKCS#7 message (CMS SignedData), as PEM. The signature is made by `node:crypto`, with a P-256 or RSA key. */
export async function signPkcs7(content: Uint8Array, options: Pkcs7Options): Promise<string> {
  assertShape("signPkcs7", SIGN, options);
  if (!types.isUint8Array(content)) throw pkiInvalid(`what is signed is bytes, not ${kindOf(content)}`);
  const { chainPem = [], detached = false, clock = systemClock } = options;
  const key = parsedKey(options.privateKeyPem);
  if (!parsedCertificate(options.certificatePem).checkPrivateKey(key))
    throw pkiInvalid("the private key is not the one of the certificate");
  const { id, hash } = signatureAlgorithm(key);
  // OpenSSL 3.0, which most readers are built on, knows no Ed25519 here.
  if (hash === null)
    throw cryptoError("CRYPTO_UNSUPPORTED", "few readers of PKCS#7 know Ed25519; sign with a P-256 or RSA key");
  const digest = createHash(hash).update(content).digest();
  const attributes = attributeList(digest, clock.wallNow());
  const signature = await new Promise<Buffer>((resolve, reject) =>
    sign(hash, toDer(set(...attributes)), key, (error, bytes) => (error === null ? resolve(bytes) : reject(error))),
  );
  const [tbs] = partsOf(fromDer(fromPem(options.certificatePem, "CERTIFICATE"), "the certificate"));
  const [, serial, , issuer] = partsOf(tbs);
  if (serial === undefined || issuer === undefined) throw pkiInvalid("the certificate is incomplete");
  const algorithm = sequence(oid(SHA256), nothing());
  const signer = sequence(
    smallInteger(1),
    sequence(issuer, integer(contentOf(serial))),
    algorithm,
    tagged(0, ...attributes),
    id,
    octets(signature),
  );
  const inner = sequence(oid(DATA), ...(detached ? [] : [tagged(0, octets(content))]));
  const certificates = [options.certificatePem, ...chainPem].map((pem) =>
    fromDer(fromPem(pem, "CERTIFICATE"), "a certificate"),
  );
  const body = sequence(smallInteger(1), set(algorithm), inner, tagged(0, ...certificates), set(signer));
  return toPem("PKCS7", toDer(sequence(oid(SIGNED_DATA), tagged(0, body))));
}

/** In the order that DER wants of a set: by their bytes. */
function attributeList(digest: Buffer, nowMs: number): Asn1[] {
  const attributes = [
    sequence(oid("1.2.840.113549.1.9.3"), set(oid(DATA))),
    sequence(oid("1.2.840.113549.1.9.4"), set(octets(digest))),
    sequence(oid("1.2.840.113549.1.9.5"), set(time(nowMs))),
  ];
  return attributes.sort((a, b) => Buffer.compare(toDer(a), toDer(b)));
}

function bundled(certificatesPem: unknown): readonly string[] {
  if (Array.isArray(certificatesPem) && certificatesPem.every((pem) => typeof pem === "string")) return certificatesPem;
  throw pkiInvalid("a bundle is made of a list of certificates as PEM");
}

/** A bundle of certificates without a signature (.p7b), as PEM. */
export function bundlePkcs7(certificatesPem: readonly string[]): string {
  const certificates = bundled(certificatesPem).map((pem) => fromDer(parsedCertificate(pem).raw, "a certificate"));
  const body = sequence(smallInteger(1), set(), sequence(oid(DATA)), tagged(0, ...certificates), set());
  return toPem("PKCS7", toDer(sequence(oid(SIGNED_DATA), tagged(0, body))));
}

/**
 * The certificates in a PKCS#7 file that the operator supplied. It says nothing about whether they are to be trusted.
 * @throws {CRYPTO_PKI_INVALID} when it is no such file.
 */
export function certificatesInPkcs7(pem: string): string[] {
  const [type, wrapped] = partsOf(fromDer(fromPem(pem, "PKCS7", "CMS"), "the file"));
  const [body] = partsOf(wrapped);
  if (oidOf(type) !== SIGNED_DATA || body === undefined) throw pkiInvalid("not a signed PKCS#7 file");
  const list = partsOf(body).find((part) => part.tagClass === CONTEXT && (part.type as number) === 0); // forge's types know universal tags only
  return partsOf(list).map((certificate) => parsedCertificate(toDer(certificate)).toString());
}

const CONTEXT = implicit(0, new Uint8Array(0)).tagClass;
