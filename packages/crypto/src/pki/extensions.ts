import { createHash } from "node:crypto";
import { isIP } from "node:net";
import {
  bits,
  boolean,
  contentOf,
  fromDer,
  implicit,
  octets,
  oid,
  partsOf,
  pkiInvalid,
  sequence,
  set,
  smallInteger,
  tagged,
  toDer,
  utf8,
  type Asn1,
} from "./der.ts";
import { kindOf } from "../suites/encoding/bytes.ts";

const CN = "2.5.4.3";
const O = "2.5.4.10";

/** Who a certificate is about. */
export interface Subject {
  readonly commonName: string;
  readonly organization?: string | undefined;
}

/** A subject as ASN.1. */
export function nameOf({ commonName, organization }: Subject): Asn1 {
  checkName("a common name", commonName);
  if (organization !== undefined) checkName("an organization", organization);
  const parts = [...(organization === undefined ? [] : [[O, organization] as const]), [CN, commonName] as const];
  return sequence(...parts.map(([id, text]) => set(sequence(oid(id), utf8(text)))));
}

function checkName(what: string, text: unknown): void {
  if (typeof text !== "string") throw pkiInvalid(`${what} is text, not ${kindOf(text)}`);
  if (text === "" || text.length > 64) throw pkiInvalid(`${what} has 1 to 64 characters, this one ${text.length}`);
}

function extension(id: string, critical: boolean, value: Asn1): Asn1 {
  return sequence(oid(id), ...(critical ? [boolean(true)] : []), octets(toDer(value)));
}

/** Says whether a certificate may issue others, and how many levels below it may do so too. */
export function basicConstraints(authority: boolean, pathLength?: number): Asn1 {
  const parts = authority ? [boolean(true), ...(pathLength === undefined ? [] : [smallInteger(pathLength)])] : [];
  return extension("2.5.29.19", true, sequence(...parts));
}

/** Bits of the key usage: digital signature, key encipherment, certificate and CRL signing. */
export function keyUsage(kind: "authority" | "signature" | "signature and encipherment"): Asn1 {
  if (kind === "authority") return extension("2.5.29.15", true, bits(Uint8Array.of(0x06), 1));
  return extension(
    "2.5.29.15",
    true,
    kind === "signature" ? bits(Uint8Array.of(0x80), 7) : bits(Uint8Array.of(0xa0), 5),
  );
}

export function extendedKeyUsage(...uses: readonly ("server" | "client")[]): Asn1 {
  return extension(
    "2.5.29.37",
    false,
    sequence(...uses.map((use) => oid(use === "server" ? "1.3.6.1.5.5.7.3.1" : "1.3.6.1.5.5.7.3.2"))),
  );
}

/** The names that a certificate is good for: host names, IP addresses, and URIs such as SPIFFE ids. */
export function alternativeNames(names: readonly string[]): Asn1 {
  return extension("2.5.29.17", false, sequence(...names.map(generalName)));
}

// A wildcard below a name of one label would be good for a whole top-level domain.
const WIDE = /^\*\.[^.]+$/;
const HOST = /^(\*\.)?([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?$/;

function generalName(name: string): Asn1 {
  if (name.includes("%") && isIP(name) !== 0)
    throw pkiInvalid(`"${name.slice(0, 80)}" has a zone, which is good on one host only; leave out what follows the %`);
  if (WIDE.test(name)) throw pkiInvalid(`"${name}" is good for a whole top-level domain; name at least two labels`);
  if (isIP(name) !== 0) return implicit(7, ipBytes(name));
  if (/^[a-z][a-z0-9+.-]*:\/\//.test(name) && URL.canParse(name)) return implicit(6, Buffer.from(name, "latin1"));
  if (HOST.test(name) && name.length <= 253) return implicit(2, Buffer.from(name, "latin1"));
  throw pkiInvalid(`"${name.slice(0, 80)}" is neither a host name, an IP address nor a URI`);
}

function ipBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split(".").map(Number));
  const [head = "", tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const groups = (text: string): string[] => (text === "" ? [] : text.split(":"));
  const [before, after] = [groups(head), groups(tail ?? "")];
  const all = [...before, ...Array.from({ length: 8 - before.length - after.length }, () => "0"), ...after];
  return Buffer.from(all.map((group) => group.padStart(4, "0")).join(""), "hex");
}

/** The id of a public key: SHA-1 of its bits, a name and not a safeguard (RFC 5280, 4.2.1.2). */
export function keyIdentifier(spki: Uint8Array): Buffer {
  const [, key] = partsOf(fromDer(spki, "the public key"));
  const content =
    key !== undefined && "bitStringContents" in key && typeof key.bitStringContents === "string"
      ? key.bitStringContents
      : undefined;
  const bytes = content === undefined ? contentOf(key) : Buffer.from(content, "latin1");
  return createHash("sha1").update(bytes.subarray(1)).digest();
}

export function subjectKeyIdentifier(id: Uint8Array): Asn1 {
  return extension("2.5.29.14", false, octets(id));
}

export function authorityKeyIdentifier(id: Uint8Array): Asn1 {
  return extension("2.5.29.35", false, sequence(implicit(0, id)));
}

export function crlNumber(value: number): Asn1 {
  return extension("2.5.29.20", false, smallInteger(value));
}

/** Extensions as a certificate carries them. */
export function extensions(tag: number, ...items: readonly Asn1[]): Asn1 {
  return tagged(tag, sequence(...items));
}
