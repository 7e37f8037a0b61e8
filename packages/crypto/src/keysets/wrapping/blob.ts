import { createSecretKey, randomBytes } from "node:crypto";
import { cryptoError } from "../../errors.ts";
import { u32 } from "../../suites/encoding/bytes.ts";
import { xaesGcm } from "../../suites/gcm.ts";
import { nativeEngine } from "../../suites/engines/native.ts";
import { atOnce } from "../../suites/turns.ts";
import { describeError } from "@steward/core/driver";
import type { Kek } from "./kek.ts";
import type { KeysetRecord } from "../record/record.ts";
import { parseRecord, serializeRecord } from "../record/text.ts";

const MAGIC = Buffer.from("STKS", "latin1");
/** The second names an environment, the first none. */
const VERSIONS = { free: 1, bound: 2 } as const;

/** What every part of a stored keyset is bound to, so that it fits only in its own place. */
function contextOf(name: string, revision: number, environment: string | undefined): Buffer {
  const bytes = Buffer.from(name, "utf8");
  const number = Buffer.alloc(8);
  number.writeBigUInt64BE(BigInt(revision));
  return Buffer.concat([
    MAGIC,
    u32(bytes.length),
    bytes,
    number,
    ...(environment === undefined ? [] : sized(environment)),
  ]);
}

function sized(text: string): [Uint8Array, Buffer] {
  const bytes = Buffer.from(text, "utf8");
  return [Uint8Array.of(bytes.length), bytes];
}

/** A record as it goes into a store: encrypted under a data key of its own, which the KEK wraps. */
export async function wrapRecord(record: KeysetRecord, kek: Kek, environment?: string): Promise<Buffer> {
  const context = contextOf(record.name, record.revision, environment);
  const dataKey = randomBytes(32);
  const wrapped = await kek.wrap(dataKey, context);
  const id = Buffer.from(kek.id, "utf8");
  if (id.length > 255 || wrapped.length > 0xffff)
    throw cryptoError("CRYPTO_KEY_INVALID", "the id or the wrapped key of a key-encryption key is too long");
  const head = Buffer.concat([
    MAGIC,
    Uint8Array.of(environment === undefined ? VERSIONS.free : VERSIONS.bound, id.length),
    id,
    Uint8Array.of(wrapped.length >> 8, wrapped.length & 0xff),
    wrapped,
    ...(environment === undefined ? [] : sized(environment)),
  ]);
  const plaintext = serializeRecord(record);
  const blob = atOnce(
    xaesGcm(nativeEngine, createSecretKey(dataKey)).seal(head, plaintext, Buffer.concat([head, context])),
  );
  plaintext.fill(0);
  dataKey.fill(0);
  return blob;
}

/** What stands before an encrypted record. Nothing of it is authenticated before the record is. */
export interface Head {
  readonly bytes: number;
  readonly kekId: string;
  /** The environment that it is bound to, if it is. */
  readonly environment: string | undefined;
  readonly wrapped: Uint8Array;
}

/** Reads what stands before an encrypted record. @throws {CRYPTO_STORE_INVALID} when it is none. */
export function readHead(blob: Uint8Array): Head {
  const idAt = MAGIC.length + 2;
  const idBytes = blob[MAGIC.length + 1] ?? 0;
  const lengthAt = idAt + idBytes;
  const wrappedBytes = ((blob[lengthAt] ?? 0) << 8) | (blob[lengthAt + 1] ?? 0);
  const environmentAt = lengthAt + 2 + wrappedBytes;
  const isBound = blob[MAGIC.length] === VERSIONS.bound;
  const bytes = isBound ? environmentAt + 1 + (blob[environmentAt] ?? 0) : environmentAt;
  const known = MAGIC.equals(blob.subarray(0, MAGIC.length)) && (isBound || blob[MAGIC.length] === VERSIONS.free);
  if (!known || blob.length < bytes)
    throw cryptoError(
      "CRYPTO_STORE_INVALID",
      `what the key store holds is not a wrapped keyset (${blob.length} bytes)`,
    );
  return {
    bytes,
    kekId: Buffer.from(blob.subarray(idAt, lengthAt)).toString("utf8"),
    environment: isBound ? Buffer.from(blob.subarray(environmentAt + 1, bytes)).toString("utf8") : undefined,
    wrapped: blob.subarray(lengthAt + 2, environmentAt),
  };
}

/**
 * The record in a blob that a store gave for that name and revision.
 *
 * @throws {CRYPTO_KEK_UNKNOWN} when none of the KEKs wrapped it.
 * @throws {CRYPTO_STORE_INVALID} when it was changed, or belongs to another name or revision.
 */
export async function unwrapRecord(
  name: string,
  revision: number,
  blob: Uint8Array,
  keks: readonly Kek[],
): Promise<KeysetRecord> {
  const head = readHead(blob);
  const kek = keks.find(({ id }) => id === head.kekId);
  if (kek === undefined) {
    const given = keks.map(({ id }) => id).join(", ");
    throw cryptoError(
      "CRYPTO_KEK_UNKNOWN",
      `keyset "${name}" is wrapped by "${head.kekId.slice(0, 64)}", which is not among those given (${given})`,
    );
  }
  const context = contextOf(name, revision, head.environment);
  const plaintext = await opened(name, revision, blob, head, kek, context);
  const record = erasedAfter(plaintext, parseRecord);
  if (record.name !== name || record.revision !== revision) throw changed(name, revision);
  return record;
}

function erasedAfter<T>(plaintext: Buffer, use: (plaintext: Buffer) => T): T {
  try {
    return use(plaintext);
  } finally {
    plaintext.fill(0);
  }
}

async function opened(
  name: string,
  revision: number,
  blob: Uint8Array,
  head: Head,
  kek: Kek,
  context: Buffer,
): Promise<Buffer> {
  let dataKey: Uint8Array;
  try {
    dataKey = await kek.unwrap(head.wrapped, context);
  } catch (error) {
    const text = `keyset "${name}" at revision ${revision}: the key-encryption key "${kek.id}" does not unwrap it: ${describeError(error)}; is the passphrase or key the right one?`;
    throw cryptoError("CRYPTO_STORE_INVALID", text, { cause: error });
  }
  try {
    const aad = Buffer.concat([blob.subarray(0, head.bytes), context]);
    return atOnce(xaesGcm(nativeEngine, createSecretKey(dataKey)).open(blob, head.bytes, aad));
  } catch {
    throw changed(name, revision);
  }
}

function changed(name: string, revision: number): Error {
  return cryptoError(
    "CRYPTO_STORE_INVALID",
    `keyset "${name}" at revision ${revision} was changed in the store, or copied there from another place`,
  );
}
