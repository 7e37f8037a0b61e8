import { cryptoError } from "../errors.ts";

/** Bytes of the header before every message of ours: format, suite, key id. */
export const HEADER_BYTES = 6;
/** Bytes of the prefix that Tink writes: format, key id. */
export const TINK_PREFIX_BYTES = 5;

const FORMAT = 0x02;
const TINK_FORMAT = 0x01;

/** What the first bytes of a message say. The suite of Tink's prefix is the key's own, so it is `undefined`. */
export interface Header {
  readonly suite: number | undefined;
  readonly keyId: number;
  /** Where the body begins. */
  readonly bytes: number;
}

/** The header of messages under one key. */
export function headerOf(suite: number, keyId: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header[0] = FORMAT;
  header[1] = suite;
  header.writeUInt32BE(keyId, 2);
  return header;
}

/** Tink's prefix of messages under one key. */
export function tinkPrefix(keyId: number): Buffer {
  const prefix = Buffer.alloc(TINK_PREFIX_BYTES);
  prefix[0] = TINK_FORMAT;
  prefix.writeUInt32BE(keyId, 1);
  return prefix;
}

function keyIdAt(message: Uint8Array, at: number): number {
  return (
    (((message[at] ?? 0) << 24) |
      ((message[at + 1] ?? 0) << 16) |
      ((message[at + 2] ?? 0) << 8) |
      (message[at + 3] ?? 0)) >>>
    0
  );
}

/**
 * Reads the header of a message.
 * @throws {CRYPTO_MESSAGE_INVALID} when it is too short or of another format.
 */
export function readHeader(message: Uint8Array): Header {
  const format = message[0];
  if (format === FORMAT && message.length >= HEADER_BYTES)
    return { suite: message[1], keyId: keyIdAt(message, 2), bytes: HEADER_BYTES };
  if (format === TINK_FORMAT && message.length >= TINK_PREFIX_BYTES)
    return { suite: undefined, keyId: keyIdAt(message, 1), bytes: TINK_PREFIX_BYTES };
  throw cryptoError(
    "CRYPTO_MESSAGE_INVALID",
    `not a message of ours: ${message.length} bytes, format ${format ?? "none"} (known: 2, and 1 for Tink)`,
  );
}
