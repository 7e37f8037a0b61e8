import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { crc32 } from "node:zlib";

const KEY = /^([a-z][a-z0-9]{1,15})_([0-9a-f]{24})_([0-9a-f]{64})([0-9a-f]{8})$/;

/** An API key that was just made: the only time at which it is known. */
export interface MadeKey {
  readonly id: string;
  readonly text: string;
  readonly hash: string;
}

/** What an API key says, once its checksum is right. */
export interface KeyParts {
  readonly id: string;
  readonly secret: string;
}

/** A new API key: prefix, 96 bits of id, 256 bits of secret, and a checksum by which scanners know it from other text. */
export function makeKey(prefix: string): MadeKey {
  const id = randomBytes(12).toString("hex");
  const secret = randomBytes(32).toString("hex");
  const text = `${prefix}_${id}_${secret}`;
  return { id, text: `${text}${checksumOf(text)}`, hash: hashOfSecret(secret) };
}

/** Reads an API key of that prefix; `undefined` for any other text, and for one with a wrong checksum. */
export function readKey(text: string, prefix: string): KeyParts | undefined {
  const found = text.length <= 120 ? KEY.exec(text) : null;
  if (found === null) return undefined;
  const [, given, id = "", secret = "", checksum] = found;
  return given === prefix && checksumOf(text.slice(0, -8)) === checksum ? { id, secret } : undefined;
}

/** 256 random bits need no slow hash. */
export function hashOfSecret(secret: string): string {
  return createHash("sha256").update(secret).digest("base64url");
}

/** Compares in a time that says nothing of where they differ. */
export function isHash(a: string, b: string): boolean {
  const [one, two] = [Buffer.from(a), Buffer.from(b)];
  return one.length === two.length && timingSafeEqual(one, two);
}

function checksumOf(text: string): string {
  return crc32(text).toString(16).padStart(8, "0");
}
