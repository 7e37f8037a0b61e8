import forge from "node-forge";
import { cryptoError } from "../errors.ts";

/** A piece of ASN.1, as node-forge writes it. */
export type Asn1 = forge.asn1.Asn1;

const { asn1 } = forge;
const { UNIVERSAL, CONTEXT_SPECIFIC } = asn1.Class;
const TYPES = asn1.Type;

function binary(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

export function sequence(...items: Asn1[]): Asn1 {
  return asn1.create(UNIVERSAL, TYPES.SEQUENCE, true, items);
}

export function set(...items: Asn1[]): Asn1 {
  return asn1.create(UNIVERSAL, TYPES.SET, true, items);
}

export function oid(dotted: string): Asn1 {
  return asn1.create(UNIVERSAL, TYPES.OID, false, asn1.oidToDer(dotted).getBytes());
}

export function integer(bytes: Uint8Array): Asn1 {
  return asn1.create(UNIVERSAL, TYPES.INTEGER, false, binary(bytes));
}

export function smallInteger(value: number): Asn1 {
  return asn1.create(UNIVERSAL, TYPES.INTEGER, false, asn1.integerToDer(value).getBytes());
}

export function boolean(value: boolean): Asn1 {
  return asn1.create(UNIVERSAL, TYPES.BOOLEAN, false, value ? "\u00ff" : "\u0000");
}

export function nothing(): Asn1 {
  return asn1.create(UNIVERSAL, TYPES.NULL, false, "");
}

export function utf8(text: string): Asn1 {
  return asn1.create(UNIVERSAL, TYPES.UTF8, false, binary(Buffer.from(text, "utf8")));
}

export function octets(bytes: Uint8Array): Asn1 {
  return asn1.create(UNIVERSAL, TYPES.OCTETSTRING, false, binary(bytes));
}

export function bits(bytes: Uint8Array, unused = 0): Asn1 {
  return asn1.create(UNIVERSAL, TYPES.BITSTRING, false, String.fromCharCode(unused) + binary(bytes));
}

/** A value behind a context tag that wraps it. */
export function tagged(tag: number, ...items: Asn1[]): Asn1 {
  return asn1.create(CONTEXT_SPECIFIC, tag, true, items);
}

/** Bytes behind a context tag that stands for their own. */
export function implicit(tag: number, bytes: Uint8Array): Asn1 {
  return asn1.create(CONTEXT_SPECIFIC, tag, false, binary(bytes));
}

/** A time as certificates write it: two digits for the year before 2050, four from then on. */
export function time(atMs: number): Asn1 {
  const date = new Date(atMs);
  if (date.getUTCFullYear() < 2050) return asn1.create(UNIVERSAL, TYPES.UTCTIME, false, asn1.dateToUtcTime(date));
  return asn1.create(UNIVERSAL, TYPES.GENERALIZEDTIME, false, asn1.dateToGeneralizedTime(date));
}

/** The bytes of a piece of ASN.1. */
export function toDer(value: Asn1): Buffer {
  return Buffer.from(asn1.toDer(value).getBytes(), "latin1");
}

/**
 * ASN.1 from bytes of a file that the operator supplied. Never from the network.
 * @throws {CRYPTO_PKI_INVALID} when it is not DER.
 */
export function fromDer(bytes: Uint8Array, what: string): Asn1 {
  try {
    return asn1.fromDer(binary(bytes));
  } catch (error) {
    throw pkiInvalid(`${what} is not DER`, error);
  }
}

/** The parts of a sequence. */
export function partsOf(value: Asn1 | undefined): readonly Asn1[] {
  return Array.isArray(value?.value) ? value.value : [];
}

/** The dotted form of an object identifier, or `undefined`. */
export function oidOf(value: Asn1 | undefined): string | undefined {
  return typeof value?.value === "string" && value.type === TYPES.OID
    ? asn1.derToOid(forge.util.createBuffer(value.value))
    : undefined;
}

/** The bytes of a primitive value. */
export function contentOf(value: Asn1 | undefined): Buffer {
  return Buffer.from(typeof value?.value === "string" ? value.value : "", "latin1");
}

/** Wraps DER as PEM. */
export function toPem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

/** The DER of the first PEM block of one of the labels. @throws {CRYPTO_PKI_INVALID} when there is none. */
export function fromPem(pem: string, ...labels: readonly string[]): Buffer {
  for (const label of labels) {
    const match = new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]+)-----END ${label}-----`).exec(pem);
    if (match?.[1] !== undefined) return Buffer.from(match[1], "base64");
  }
  throw pkiInvalid(`no PEM block "${labels.join('" or "')}" found`);
}

export function pkiInvalid(message: string, cause?: unknown): Error {
  return cryptoError("CRYPTO_PKI_INVALID", message, cause === undefined ? {} : { cause });
}
