import type { Transform } from "node:stream";
import { types } from "node:util";
import { shape, wholeNumber } from "@steward/core/driver";
import { aadRule, associatedOf } from "./call-options.ts";
import { cryptoError, notAuthentic } from "../../errors.ts";
import type { Associated } from "../../suites/encoding/associated-data.ts";
import { kindOf } from "../../suites/encoding/bytes.ts";
import { OpenStream, SealStream } from "../../suites/chunk-streams.ts";
import {
  beginMessage,
  CHUNK_BYTES,
  plaintextLength,
  PREAMBLE_BYTES,
  resumeMessage,
  SEALED_CHUNK_BYTES,
  type ChunkCipher,
} from "../../suites/cobblestone.ts";
import { HEADER_BYTES } from "../../suites/encoding/header.ts";
import { nextTurn } from "../../suites/turns.ts";
import { AeadKeyset } from "./aead-keyset.ts";
import type { Key } from "../snapshot.ts";
import type { KeysetUse } from "./use.ts";
import { aadOf, type EncryptionOptions } from "./user.ts";

/** Sealed bytes that can be read anywhere: a file, an object store. */
export interface ByteSource {
  /** Bytes in all. */
  readonly sizeBytes: number;
  /** Exactly `length` bytes from `at`. */
  read(at: number, length: number): Promise<Uint8Array>;
}

/** Which part of a plaintext. */
export interface ByteRange extends EncryptionOptions {
  /** First byte. Default 0. */
  readonly start?: number | undefined;
  /** Behind the last byte. Default: the end. */
  readonly end?: number | undefined;
}

const HEAD_BYTES = HEADER_BYTES + PREAMBLE_BYTES;
const CHUNKS_A_READ = 16;
const RANGE = shape<ByteRange>(() => ({ aad: aadRule(), start: wholeNumber(0), end: wholeNumber(0) }));

/** Encryption of streams and files, besides whole messages: constant memory, random access, truncation seen. */
export class StreamKeyset extends AeadKeyset<"stream"> {
  readonly #use: KeysetUse<"stream">;

  /** @internal */
  constructor(use: KeysetUse<"stream">) {
    super(use);
    this.#use = use;
  }

  /**
   * A stream that seals what is written to it.
   * @throws {OPTIONS_INVALID} when an option is unknown or of a wrong type.
   */
  encryptStream(options?: EncryptionOptions): Transform {
    const use = this.#use;
    use.ready();
    const { key, header, bound } = use.toWrite(aadOf(use, options));
    const { preamble, cipher } = beginMessage(use.parts.engine, use.primitive(key).key, bound);
    use.report("encrypt", key.id);
    return new SealStream(Buffer.concat([header, preamble]), cipher);
  }

  /**
   * A stream that opens what is written to it. Each chunk comes out once it has authenticated; only the end of the
   * stream says that nothing is missing, so act on the whole only then. Fails with the errors of `decrypt`.
   */
  decryptStream(options?: EncryptionOptions): Transform {
    this.#use.ready();
    const data = aadOf(this.#use, options);
    return new OpenStream(HEADER_BYTES, (head) => this.#cipherOf(head, data));
  }

  /**
   * A part of a sealed file. Reads the head, the chunks that hold the part, and the last chunk, which proves the length.
   *
   * @throws {CRYPTO_AUTHENTICATION_FAILED} when any of those is not what was written, or the file was cut or extended.
   * @throws {CRYPTO_INPUT_TOO_LARGE} when the range does not lie in the plaintext.
   */
  async decryptRange(source: ByteSource, range: ByteRange = {}): Promise<Buffer> {
    this.#use.ready();
    const data = associatedOf(this.#use.label, RANGE, range);
    checkSource(source);
    if (source.sizeBytes < HEAD_BYTES) throw notAuthentic();
    const cipher = await this.#cipherOf(await exactly(source, 0, HEAD_BYTES), data);
    const size = plaintextLength(source.sizeBytes - HEAD_BYTES);
    const lastIndex = Math.floor(size / CHUNK_BYTES);
    const last = cipher.open(lastIndex, await chunks(source, lastIndex, 1));
    const { start, end } = within(range, size);
    const out = Buffer.alloc(end - start);
    const until = Math.ceil(end / CHUNK_BYTES);
    for (let index = Math.floor(start / CHUNK_BYTES); index < until; index += CHUNKS_A_READ) {
      const count = Math.min(CHUNKS_A_READ, until - index, lastIndex - index);
      if (count > 0) openInto(out, cipher, index, await chunks(source, index, count), start);
      await nextTurn();
    }
    if (until > lastIndex) copyInto(out, last, lastIndex, start);
    return out;
  }

  async #cipherOf(head: Buffer, data: Associated | undefined): Promise<ChunkCipher> {
    const use = this.#use;
    let key: Key | undefined;
    return use.reported(
      "decrypt",
      () => key?.id,
      async () => {
        key = await use.findKey(head);
        const { bound } = use.toRead(key, head, data);
        return resumeMessage(use.parts.engine, use.primitive(key).key, bound, head.subarray(HEADER_BYTES));
      },
    );
  }
}

function checkSource(source: ByteSource): void {
  if (typeof source?.read === "function" && Number.isSafeInteger(source.sizeBytes) && source.sizeBytes >= 0) return;
  throw cryptoError(
    "CRYPTO_INPUT_INVALID",
    `a source has sizeBytes (an integer) and read(at, length); this is ${kindOf(source)}`,
  );
}

function within(range: ByteRange, size: number): { start: number; end: number } {
  const { start = 0, end = size } = range;
  if (Number.isInteger(start) && Number.isInteger(end) && start >= 0 && start <= end && end <= size)
    return { start, end };
  throw cryptoError(
    "CRYPTO_INPUT_TOO_LARGE",
    `bytes ${start} to ${end} do not lie in the ${size} bytes of the plaintext`,
  );
}

function openInto(out: Buffer, cipher: ChunkCipher, first: number, sealed: Buffer, start: number): void {
  for (let at = 0, index = first; at < sealed.length; at += SEALED_CHUNK_BYTES, index++)
    copyInto(out, cipher.open(index, sealed.subarray(at, at + SEALED_CHUNK_BYTES)), index, start);
}

/** Copies what of a chunk lies in the range that begins at `start` and is as long as `out`. */
function copyInto(out: Buffer, chunk: Uint8Array, index: number, start: number): void {
  const offset = index * CHUNK_BYTES - start;
  const from = Math.max(0, -offset);
  const to = Math.min(chunk.length, out.length - offset);
  if (from < to) out.set(chunk.subarray(from, to), offset + from);
}

function chunks(source: ByteSource, index: number, count: number): Promise<Buffer> {
  const at = HEAD_BYTES + index * SEALED_CHUNK_BYTES;
  return exactly(source, at, Math.min(count * SEALED_CHUNK_BYTES, source.sizeBytes - at));
}

async function exactly(source: ByteSource, at: number, length: number): Promise<Buffer> {
  const bytes = await source.read(at, length);
  if (!types.isUint8Array(bytes))
    throw cryptoError("CRYPTO_INPUT_INVALID", `read of a source gives bytes, not ${kindOf(bytes)}`);
  if (bytes.length !== length) throw notAuthentic();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
