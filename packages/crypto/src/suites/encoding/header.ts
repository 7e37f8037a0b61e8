import { cryptoError } from "../../errors.ts";

/** Bytes of the header before every message of ours: format, suite, key id. */
export const HEADER_BYTES = 6;
/** Bytes of the prefix that Tink writes: format, key id. */
export const TINK_PREFIX_BYTES = 5;

/**
 * Format of a message of ours. In format 2 associated data is bound as bare bytes, so bytes, text and pairs can be the
 * same; in format 3 its type is bound too. Signatures and MACs have no associated data and stay at 2.
 */
export type MessageFormat = 2 | 3;

/** What is written where nothing says otherwise. */
export const NEWEST_FORMAT: MessageFormat = 3;
const TINK_FORMAT = 1;

/** What the first bytes of a message say. The suite of Tink's prefix is the key's own, so it is `undefined`. */
export interface Header {
  readonly format: MessageFormat | typeof TINK_FORMAT;
  readonly suite: number | undefined;
  readonly keyId: number;
}

/** True for the number of a format. */
export function isMessageFormat(format: unknown): format is MessageFormat {
  return format === 2 || format === 3;
}

/** The header of messages under one key. */
export function headerOf(format: MessageFormat, suite: number, keyId: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header[0] = format;
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
  if ((format === 2 || format === 3) && message.length >= HEADER_BYTES)
    return { format, suite: message[1], keyId: keyIdAt(message, 2) };
  if (format === TINK_FORMAT && message.length >= TINK_PREFIX_BYTES)
    return { format, suite: undefined, keyId: keyIdAt(message, 1) };
  throw cryptoError(
    "CRYPTO_MESSAGE_INVALID",
    `not a message of ours: ${message.length} bytes, format ${format ?? "none"} (known: 2, 3, and 1 for Tink)`,
  );
}
