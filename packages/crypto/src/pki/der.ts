import forge from "node-forge";
import { cryptoError } from "../errors.ts";
import { kindOf } from "../suites/encoding/bytes.ts";

/** A piece of ASN.1. Its own type, so that users of this package need no types of node-forge, which makes it. */
export interface Asn1 {
  readonly tagClass: number;
  readonly type: number;
  readonly value: string | readonly Asn1[];
}

/** Largest file that is read, in bytes of DER. */
const MAX_DER_BYTES = 1024 * 1024;

const { asn1 } = forge;
const { UNIVERSAL, CONTEXT_SPECIFIC } = asn1.Class;
const TYPES = asn1.Type;

function binary(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

function constructed(tagClass: forge.asn1.Class, type: number, items: Asn1[]): Asn1 {
  return asn1.create(tagClass, type, true, items as forge.asn1.Asn1[]); // everything that is an Asn1 came from forge
}

export function sequence(...items: Asn1[]): Asn1 {
  return constructed(UNIVERSAL, TYPES.SEQUENCE, items);
}

export function set(...items: Asn1[]): Asn1 {
  return constructed(UNIVERSAL, TYPES.SET, items);
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
  return constructed(CONTEXT_SPECIFIC, tag, items);
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
  return Buffer.from(asn1.toDer(value as forge.asn1.Asn1).getBytes(), "latin1"); // came from forge
}

/**
 * ASN.1 from bytes of a file that the operator supplied. Never from the network.
 * @throws {CRYPTO_PKI_INVALID} when it is not DER, or larger than 1 MiB.
 */
export function fromDer(bytes: Uint8Array, what: string): Asn1 {
  if (bytes.length > MAX_DER_BYTES)
    throw pkiInvalid(`${what} has ${bytes.length} bytes of DER (at most ${MAX_DER_BYTES})`);
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
  if (typeof value?.value !== "string" || value.type !== TYPES.OID) return undefined;
  try {
    return asn1.derToOid(forge.util.createBuffer(value.value));
  } catch {
    return undefined;
  }
}

/** A small number; NaN where there is none, or one of more than six bytes. */
export function numberOf(value: Asn1 | undefined): number {
  const bytes = contentOf(value);
  const isNumber = value?.type === TYPES.INTEGER && bytes.length >= 1 && bytes.length <= 6 && (bytes[0] ?? 0) < 0x80;
  return isNumber ? bytes.readUIntBE(0, bytes.length) : Number.NaN;
}

/** The octets of a string, also of one that is written in pieces, as old tools do. */
export function octetsOf(value: Asn1 | undefined): Buffer {
  if (value === undefined || typeof value.value === "string") return contentOf(value);
  return Buffer.concat(value.value.map(octetsOf));
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
  if (typeof pem !== "string") throw pkiInvalid(`PEM is text, not ${kindOf(pem)}`);
  if (pem.length > 2 * MAX_DER_BYTES)
    throw pkiInvalid(`a PEM file of ${pem.length} characters is too large (at most ${2 * MAX_DER_BYTES})`);
  for (const label of labels) {
    const match = new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]+)-----END ${label}-----`).exec(pem);
    if (match?.[1] !== undefined) return Buffer.from(match[1], "base64");
  }
  throw pkiInvalid(`no PEM block "${labels.join('" or "')}" found`);
}

export function pkiInvalid(message: string, cause?: unknown): Error {
  return cryptoError("CRYPTO_PKI_INVALID", message, cause === undefined ? {} : { cause });
}
