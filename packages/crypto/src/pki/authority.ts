import { randomBytes, X509Certificate, type KeyObject } from "node:crypto";
import { systemClock, type Clock } from "@steward/core";
import {
  assertShape,
  listOf,
  milliseconds,
  oneOf,
  required,
  shape,
  text,
  wholeNumber,
  withMethods,
} from "@steward/core/driver";
import {
  contentOf,
  fromDer,
  fromPem,
  integer,
  oidOf,
  partsOf,
  pkiInvalid,
  sequence,
  smallInteger,
  tagged,
  time,
  toPem,
  type Asn1,
} from "./der.ts";
import {
  alternativeNames,
  authorityKeyIdentifier,
  basicConstraints,
  crlNumber,
  extendedKeyUsage,
  extensions,
  keyIdentifier,
  keyUsage,
  nameOf,
  subjectKeyIdentifier,
  type Subject,
} from "./extensions.ts";
import { parsedCertificate, parsedKey, pemOf } from "./files.ts";
import { readRequest } from "./request.ts";
import {
  KEY_KINDS,
  newPrivateKey,
  publicKeyDer,
  signatureAlgorithm,
  signed,
  type CertificateKeyKind,
} from "./signing.ts";

const DAY_MS = 86_400_000;
// Clocks differ; a certificate that is valid from now on is not yet valid elsewhere.
const BACKDATE_MS = 300_000;

const MIN_MS = 1_000;
const MAX_MS = 36_525 * DAY_MS;
// Old lists are no use, and a new one costs nothing.
const MAX_LIST_MS = 366 * DAY_MS;

/** A certificate with its private key, as PEM. */
export interface IssuedCertificate {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  /** In hexadecimal, as `X509Certificate.serialNumber` has it. */
  readonly serialNumber: string;
}

/** How an authority is made. */
export interface AuthorityOptions extends Subject {
  /** Default `ecdsa-p256`. */
  readonly key?: CertificateKeyKind | undefined;
  /** How long its own certificate is valid, in ms. Default ten years. */
  readonly validForMs?: number | undefined;
  /** Where time comes from. Default: the real clock. */
  readonly clock?: Clock | undefined;
}

/** What is issued. */
export interface IssueOptions extends Subject {
  /** Host names, IP addresses and URIs it is good for. A server needs at least one. */
  readonly names?: readonly string[] | undefined;
  /** What it may be used for. */
  readonly uses: readonly ("server" | "client")[];
  /** Default `ecdsa-p256`. */
  readonly key?: CertificateKeyKind | undefined;
  /** How long it is valid, in ms, at most as long as the authority. Default 90 days. */
  readonly validForMs?: number | undefined;
}

/** How a list of revoked certificates is made. */
export interface RevocationListOptions {
  /** How long it is valid, in ms. Default 7 days, at most a year. */
  readonly validForMs?: number | undefined;
  /** Its number. Default: one more than the list before it. */
  readonly number?: number | undefined;
}

/** What an authority comes back from. */
export interface AuthorityFiles {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  /** Where time comes from. Default: the real clock. */
  readonly clock?: Clock | undefined;
}

// A subject's own rules are in nameOf.
const subject = { commonName: text(true), organization: text(true) } as const;
const clockRule = withMethods("a clock", "now", "wallNow", "setTimeout", "sleep");
const common = { ...subject, key: oneOf(...KEY_KINDS), validForMs: milliseconds(MIN_MS, MAX_MS) } as const;
const AUTHORITY = shape<AuthorityOptions>(() => ({ ...common, clock: clockRule }));
const ISSUE = shape<IssueOptions>(() => ({
  ...common,
  names: listOf(text(true)), // empty ones are refused as names
  uses: required(listOf(oneOf("server", "client"))),
}));
const FILES = shape<AuthorityFiles>(() => ({
  certificatePem: text(true),
  privateKeyPem: text(true),
  clock: clockRule,
}));
const LIST = shape<RevocationListOptions>(() => ({
  validForMs: milliseconds(MIN_MS, MAX_LIST_MS),
  number: wholeNumber(0),
}));

/**
 * A certificate authority of your own, for TLS between the parts of a system and for tests.
 *
 * node-forge writes the DER; keys are made and everything is signed by `node:crypto`, so P-256 and Ed25519 work too.
 */
export class CertificateAuthority {
  /** Its own certificate: what the others trust. */
  readonly certificatePem: string;
  readonly #certificate: X509Certificate;
  readonly #key: KeyObject;
  readonly #name: Asn1;
  readonly #keyId: Buffer;
  readonly #clock: Clock;
  readonly #revoked = new Map<string, number>();
  #crls = 0;

  private constructor(certificatePem: string, key: KeyObject, clock: Clock) {
    this.certificatePem = certificatePem;
    this.#certificate = new X509Certificate(certificatePem);
    this.#key = key;
    this.#clock = clock;
    const tbs = tbsOf(certificatePem);
    const [name] = [partsOf(tbs)[5]];
    if (name === undefined) throw pkiInvalid("the certificate of the authority has no subject");
    this.#name = name;
    this.#keyId = keyIdOf(tbs) ?? keyIdentifier(publicKeyDer(key));
  }

  /**
   * A new authority that signs itself.
   * @throws {OPTIONS_INVALID} when an option is unknown or of a wrong type.
   */
  static async create(options: AuthorityOptions): Promise<CertificateAuthority> {
    assertShape("CertificateAuthority.create", AUTHORITY, options);
    const { key: kind = "ecdsa-p256", validForMs = 3_650 * DAY_MS, clock = systemClock } = options;
    const key = await newPrivateKey(kind);
    const spki = publicKeyDer(key);
    const id = keyIdentifier(spki);
    const name = nameOf(options);
    const now = clock.wallNow();
    const content = tbsCertificate(newSerial(), key, name, [now - BACKDATE_MS, now + validForMs], name, spki, [
      basicConstraints(true),
      keyUsage("authority"),
      subjectKeyIdentifier(id),
      authorityKeyIdentifier(id),
    ]);
    return new CertificateAuthority(toPem("CERTIFICATE", await signed(content, key)), key, clock);
  }

  /**
   * An authority from files that the operator keeps.
   * @throws {CRYPTO_PKI_INVALID} when the certificate is not one of an authority, or the key is not its own.
   */
  static from(files: AuthorityFiles): CertificateAuthority {
    assertShape("CertificateAuthority.from", FILES, files);
    const key = parsedKey(files.privateKeyPem);
    const certificate = parsedCertificate(files.certificatePem);
    if (!certificate.ca)
      throw pkiInvalid("the certificate is not one of an authority (basicConstraints CA is not set)");
    if (!certificate.checkPrivateKey(key)) throw pkiInvalid("the private key is not the one of the certificate");
    return new CertificateAuthority(files.certificatePem, key, files.clock ?? systemClock);
  }

  /** Its private key, to be kept where no one else can read it. */
  privateKeyPem(): string {
    return pemOf(this.#key);
  }

  /**
   * A new key and its certificate.
   * @throws {CRYPTO_PKI_INVALID} when a name is none, or the authority's own certificate has ended.
   * @throws {OPTIONS_INVALID} when an option is unknown or of a wrong type.
   */
  async issue(options: IssueOptions): Promise<IssuedCertificate> {
    assertShape("issue", ISSUE, options);
    const key = await newPrivateKey(options.key ?? "ecdsa-p256");
    const serial = newSerial();
    const certificatePem = await this.#certify(publicKeyDer(key), key.asymmetricKeyType, serial, options);
    return { certificatePem, privateKeyPem: pemOf(key), serialNumber: shownSerial(serial) };
  }

  /** A certificate for a host, by names and addresses. */
  async issueServer(
    names: readonly [string, ...string[]],
    options: Partial<IssueOptions> = {},
  ): Promise<IssuedCertificate> {
    const [first] = Array.isArray(names) ? (names as readonly string[]) : [];
    if (typeof first !== "string") throw pkiInvalid("a server's certificate needs a list of at least one name");
    return this.issue({ commonName: first.slice(0, 64), uses: ["server"], ...options, names });
  }

  /** A certificate for a client, by name. */
  issueClient(commonName: string, options: Partial<IssueOptions> = {}): Promise<IssuedCertificate> {
    return this.issue({ uses: ["client"], ...options, commonName });
  }

  /**
   * Certifies the key of a request, once the request's own signature shows that its sender has that key. The name,
   * names and uses are those given here, never those that the request asks for.
   */
  async signRequest(requestPem: string, options: Omit<IssueOptions, "key">): Promise<string> {
    assertShape("signRequest", ISSUE, options);
    const { publicKey } = readRequest(requestPem);
    return this.#certify(publicKeyDer(publicKey), publicKey.asymmetricKeyType, newSerial(), options);
  }

  #certify(
    spki: Buffer,
    keyType: string | undefined,
    serial: Buffer,
    options: Omit<IssueOptions, "key">,
  ): Promise<string> {
    const { names = [], uses, validForMs = 90 * DAY_MS } = options;
    if (uses.includes("server") && names.length === 0)
      throw pkiInvalid("a server's certificate needs at least one name");
    const now = this.#clock.wallNow();
    const ends = Date.parse(this.#certificate.validTo);
    if (ends <= now + MIN_MS)
      throw pkiInvalid(`the authority's own certificate ended at ${this.#certificate.validTo}; make a new authority`);
    const until = Math.min(now + validForMs, ends);
    const content = tbsCertificate(serial, this.#key, this.#name, [now - BACKDATE_MS, until], nameOf(options), spki, [
      basicConstraints(false),
      keyUsage(keyType === "rsa" ? "signature and encipherment" : "signature"),
      extendedKeyUsage(...uses),
      ...(names.length === 0 ? [] : [alternativeNames(names)]),
      subjectKeyIdentifier(keyIdentifier(spki)),
      authorityKeyIdentifier(this.#keyId),
    ]);
    return signed(content, this.#key).then((der) => toPem("CERTIFICATE", der));
  }

  /** Takes a certificate back; the next list says so. */
  revoke(serialNumber: string): void {
    if (typeof serialNumber !== "string" || !/^([0-9A-Fa-f]{2}){1,20}$/.test(serialNumber))
      throw pkiInvalid("a serial number is hexadecimal, as X509Certificate.serialNumber has it");
    this.#revoked.set(serialNumber.toUpperCase(), this.#clock.wallNow());
  }

  /** The list of what was revoked, as PEM, to be handed to TLS as `crl`. Valid for `validForMs`, 7 days by default. */
  async revocationList(options: RevocationListOptions = {}): Promise<string> {
    assertShape("revocationList", LIST, options);
    const { validForMs = 7 * DAY_MS, number = (this.#crls += 1) } = options;
    const now = this.#clock.wallNow();
    const entries = [...this.#revoked].map(([serial, atMs]) =>
      sequence(integer(positive(Buffer.from(serial, "hex"))), time(atMs)),
    );
    const content = sequence(
      smallInteger(1),
      signatureAlgorithm(this.#key).id,
      this.#name,
      time(now - BACKDATE_MS),
      time(now + validForMs),
      ...(entries.length === 0 ? [] : [sequence(...entries)]),
      extensions(0, authorityKeyIdentifier(this.#keyId), crlNumber(number)),
    );
    return toPem("X509 CRL", await signed(content, this.#key));
  }
}

function tbsCertificate(
  serial: Buffer,
  signer: KeyObject,
  issuer: Asn1,
  [from, until]: readonly [number, number],
  subject: Asn1,
  spki: Buffer,
  items: readonly Asn1[],
): Asn1 {
  const validity = sequence(time(from), time(until));
  const version = tagged(0, smallInteger(2));
  const key = fromDer(spki, "the public key");
  return sequence(
    version,
    integer(serial),
    signatureAlgorithm(signer).id,
    issuer,
    validity,
    subject,
    key,
    extensions(3, ...items),
  );
}

/** 16 random bytes that read as a positive number without a leading zero. */
function newSerial(): Buffer {
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  return serial;
}

function positive(bytes: Buffer): Buffer {
  return (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Uint8Array.of(0), bytes]) : bytes;
}

function shownSerial(serial: Buffer): string {
  return serial.toString("hex").toUpperCase();
}

function tbsOf(certificatePem: string): Asn1 {
  const [tbs] = partsOf(fromDer(fromPem(certificatePem, "CERTIFICATE"), "the certificate"));
  if (tbs === undefined) throw pkiInvalid("the certificate is empty");
  return tbs;
}

function keyIdOf(tbs: Asn1): Buffer | undefined {
  const [list] = partsOf(partsOf(tbs).at(-1));
  const found = partsOf(list).find((item) => oidOf(partsOf(item)[0]) === "2.5.29.14");
  const value = partsOf(found).at(-1);
  return value === undefined ? undefined : contentOf(fromDer(contentOf(value), "the key identifier"));
}
