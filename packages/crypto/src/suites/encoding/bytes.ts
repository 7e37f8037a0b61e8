import { types } from "node:util";
import { cryptoError } from "../../errors.ts";

const { isUint8Array } = types;

/** What is encrypted or signed: bytes, or text as UTF-8. */
export type Data = Uint8Array | string;

/** A message or signature: bytes, or base64url without padding. */
export type Message = Uint8Array | string;

const BASE64URL = /^[A-Za-z0-9_-]*$/;
const LONE_SURROGATE = /\p{Surrogate}/u;

/** Text as UTF-8; `undefined` where it has half a character (a lone surrogate), which UTF-8 cannot write. */
export function utf8(text: string): Buffer | undefined {
  return LONE_SURROGATE.test(text) ? undefined : Buffer.from(text, "utf8");
}

/**
 * The bytes of `data`; text becomes UTF-8.
 * @throws {CRYPTO_INPUT_INVALID} when it is neither bytes nor text.
 */
export function bytesOf(data: Data): Uint8Array {
  if (isUint8Array(data)) return data;
  const bytes = typeof data === "string" ? utf8(data) : undefined;
  if (bytes !== undefined) return bytes;
  const why = typeof data === "string" ? "text with half a character (a lone surrogate)" : kindOf(data);
  throw cryptoError("CRYPTO_INPUT_INVALID", `what is encrypted, signed or hashed is bytes or text, not ${why}`);
}

/** What a value is, for an error; never the value itself. */
export function kindOf(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  if (typeof value !== "object") return `a ${typeof value}`;
  const name = types.isProxy(value) ? undefined : (Object.getPrototypeOf(value)?.constructor?.name as unknown); // any prototype
  return typeof name === "string" && name !== "Object" && name !== ""
    ? `an object of ${name.slice(0, 40)}`
    : "an object";
}

/**
 * The bytes of a message given as bytes or as base64url.
 * @throws {CRYPTO_MESSAGE_INVALID} when text is not base64url, written the one right way.
 */
export function messageBytes(message: Message): Uint8Array {
  if (isUint8Array(message)) return message;
  if (typeof message !== "string")
    throw cryptoError("CRYPTO_MESSAGE_INVALID", `a message is bytes or base64url, not ${kindOf(message)}`);
  const bytes = BASE64URL.test(message) ? Buffer.from(message, "base64url") : undefined;
  if (bytes === undefined || bytes.toString("base64url") !== message)
    throw cryptoError(
      "CRYPTO_MESSAGE_INVALID",
      `a message given as text must be base64url without padding (${message.length} characters given)`,
    );
  return bytes;
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
