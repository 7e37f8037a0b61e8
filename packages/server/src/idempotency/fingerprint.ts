import { createHash, type Hash } from "node:crypto";
import { HttpError } from "../errors.ts";

/** Header of the key, as draft-ietf-httpapi-idempotency-key-header-06 names it. */
export const HEADER = "idempotency-key";

/** A structured string, as the draft has it. */
const QUOTED = /^"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/;
/** Without quotes, as most clients send it. */
const BARE = /^[\x21\x23-\x2b\x2d-\x3a\x3c-\x7e]+$/;
const MAX_KEY = 255;

/** The key of a request; `undefined` for none. @throws HttpError 400 for one that is none. */
export function keyIn(given: string | string[] | undefined): string | undefined {
  if (given === undefined) return undefined;
  const text = typeof given === "string" ? given.trim() : "";
  const key = QUOTED.exec(text)?.[1]?.replaceAll(/\\(["\\])/g, "$1") ?? (BARE.test(text) ? text : "");
  if (key.length > 0 && key.length <= MAX_KEY) return key;
  const detail = `${HEADER} must be one text of 1 to ${MAX_KEY} printable characters, such as a UUID`;
  throw new HttpError(400, detail, { code: "IDEMPOTENCY_KEY_INVALID" });
}

/** A hash of what makes two requests the same: their parts, bytes and order of members included. */
export function hashOf(...parts: readonly unknown[]): string {
  const hash = createHash("sha256");
  for (const part of parts) put(hash, part);
  return hash.digest("base64url");
}

/** Each value with its kind and length, so that no two values are written alike. */
function put(hash: Hash, value: unknown): void {
  if (ArrayBuffer.isView(value)) return void hash.update(`b${value.byteLength}:`).update(value as Uint8Array); // a view of any type hashes as bytes
  if (typeof value !== "object" || value === null) {
    const text = String(value);
    return void hash.update(`${typeof value}${text.length}:${text}`);
  }
  const entries = Object.entries(value);
  hash.update(`${Array.isArray(value) ? "a" : "o"}${entries.length}:`);
  for (const [name, inner] of entries) {
    put(hash, name);
    put(hash, inner);
  }
}
