import { cryptoError } from "../errors.ts";

/** What is encrypted or signed: bytes, or text as UTF-8. */
export type Data = Uint8Array | string;

/** A message or signature: bytes, or base64url without padding. */
export type Message = Uint8Array | string;

/**
 * What a message is bound to without carrying it: bytes, text, or pairs such as `{ tenant: "7", column: "token" }`.
 * Pairs are written in the order of their names, each part with its length, so no two sets of pairs are the same bytes.
 */
export type AssociatedData = Uint8Array | string | Readonly<Record<string, string>>;

const NOTHING = new Uint8Array(0);
const BASE64URL = /^[A-Za-z0-9_-]*$/;

/** The bytes of `data`; text becomes UTF-8. */
export function bytesOf(data: Data): Uint8Array {
  return typeof data === "string" ? Buffer.from(data, "utf8") : data;
}

/**
 * The bytes of a message given as bytes or as base64url.
 * @throws {CRYPTO_MESSAGE_INVALID} when text is not base64url, written the one right way.
 */
export function messageBytes(message: Message): Uint8Array {
  if (typeof message !== "string") return message;
  const bytes = BASE64URL.test(message) ? Buffer.from(message, "base64url") : undefined;
  if (bytes === undefined || bytes.toString("base64url") !== message)
    throw cryptoError(
      "CRYPTO_MESSAGE_INVALID",
      `a message given as text must be base64url without padding (${message.length} characters given)`,
    );
  return bytes;
}

/** Associated data as bytes. */
export function associatedBytes(data: AssociatedData | undefined): Uint8Array {
  if (data === undefined) return NOTHING;
  if (typeof data === "string") return Buffer.from(data, "utf8");
  return data instanceof Uint8Array ? data : pairs(data);
}

function pairs(data: Readonly<Record<string, string>>): Uint8Array {
  const names = Object.keys(data).sort();
  const parts = names.flatMap((name) => [lengthPrefixed(name), lengthPrefixed(data[name] ?? "")]);
  return Buffer.concat([u32(names.length), ...parts]);
}

function lengthPrefixed(text: string): Uint8Array {
  const bytes = Buffer.from(text, "utf8");
  return Buffer.concat([u32(bytes.length), bytes]);
}

/** A number as 4 bytes, most significant first. */
export function u32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A number of bits as 8 bytes, most significant first; exact for every length an array can have. */
export function bitLength64(bytes: number): Buffer {
  const out = Buffer.allocUnsafe(8);
  out.writeBigUInt64BE(BigInt(bytes) * 8n);
  return out;
}

/** A view of the same memory as a Buffer, without a copy. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
