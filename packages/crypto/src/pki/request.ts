import { createPublicKey, verify, type KeyObject } from "node:crypto";
import { assertShape, listOf, oneOf, shape, text } from "@steward/core/driver";
import {
  contentOf,
  fromDer,
  fromPem,
  oid,
  partsOf,
  pkiInvalid,
  sequence,
  set,
  smallInteger,
  tagged,
  toDer,
  toPem,
} from "./der.ts";
import { alternativeNames, nameOf, type Subject } from "./extensions.ts";
import { pemOf } from "./files.ts";
import {
  KEY_KINDS,
  newPrivateKey,
  publicKeyDer,
  signatureAlgorithm,
  signed,
  type CertificateKeyKind,
} from "./signing.ts";

const EXTENSION_REQUEST = "1.2.840.113549.1.9.14";

/** A request for a certificate, with the private key that stays at home. */
export interface CertificateRequest {
  readonly requestPem: string;
  readonly privateKeyPem: string;
}

/** How a request is made. */
export interface RequestOptions extends Subject {
  /** Host names, IP addresses and URIs that are asked for. */
  readonly names?: readonly string[] | undefined;
  /** Default `ecdsa-p256`. */
  readonly key?: CertificateKeyKind | undefined;
}

const REQUEST = shape<RequestOptions>(() => ({
  commonName: text(true),
  organization: text(true),
  names: listOf(text(true)), // empty ones are refused as names
  key: oneOf(...KEY_KINDS),
}));

/** Makes a key and a request (PKCS#10) for its certificate, to be signed by an authority elsewhere. */
export async function createRequest(options: RequestOptions): Promise<CertificateRequest> {
  assertShape("createRequest", REQUEST, options);
  const { names = [], key: kind = "ecdsa-p256" } = options;
  const key = await newPrivateKey(kind);
  const wanted = names.length === 0 ? [] : [sequence(oid(EXTENSION_REQUEST), set(sequence(alternativeNames(names))))];
  const content = sequence(
    smallInteger(0),
    nameOf(options),
    fromDer(publicKeyDer(key), "the public key"),
    tagged(0, ...wanted),
  );
  return { requestPem: toPem("CERTIFICATE REQUEST", await signed(content, key)), privateKeyPem: pemOf(key) };
}

/**
 * The public key of a request that the operator supplied, once its own signature has been verified by `node:crypto`.
 * @throws {CRYPTO_PKI_INVALID} when it is no request, or its signature is not of its key.
 */
export function readRequest(requestPem: string): { readonly publicKey: KeyObject } {
  const der = fromPem(requestPem, "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST");
  const [content, , signature] = partsOf(fromDer(der, "the request"));
  const [, , spki] = partsOf(content);
  if (content === undefined || spki === undefined) throw pkiInvalid("not a certificate request");
  const publicKey = publicKeyOf(toDer(spki));
  const { hash } = signatureAlgorithm(publicKey);
  const bytes = bitsOf(signature);
  if (!verified(() => verify(hash, toDer(content), publicKey, bytes)))
    throw pkiInvalid("the request was not signed by the key it asks a certificate for");
  return { publicKey };
}

function bitsOf(signature: Parameters<typeof contentOf>[0]): Buffer {
  const content = signature !== undefined && "bitStringContents" in signature ? signature.bitStringContents : undefined;
  const bytes = typeof content === "string" ? Buffer.from(content, "latin1") : contentOf(signature);
  return bytes.subarray(1);
}

function publicKeyOf(spki: Buffer): KeyObject {
  try {
    return createPublicKey({ key: spki, format: "der", type: "spki" });
  } catch (error) {
    throw pkiInvalid("the request has no public key of a known kind", error);
  }
}

/** OpenSSL throws for some signatures instead of saying no. */
function verified(work: () => boolean): boolean {
  try {
    return work();
  } catch {
    return false;
  }
}
