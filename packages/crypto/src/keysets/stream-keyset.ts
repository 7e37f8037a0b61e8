import type { Transform } from "node:stream";
import { cryptoError, notAuthentic } from "../errors.ts";
import type { AssociatedData } from "../suites/bytes.ts";
import { OpenStream, SealStream } from "../suites/chunk-streams.ts";
import {
  beginMessage,
  CHUNK_BYTES,
  plaintextLength,
  PREAMBLE_BYTES,
  resumeMessage,
  SEALED_CHUNK_BYTES,
  type ChunkCipher,
} from "../suites/cobblestone.ts";
import { HEADER_BYTES } from "../suites/header.ts";
import { nextTurn } from "../suites/turns.ts";
import { AeadKeyset } from "./aead-keyset.ts";
import type { Key } from "./snapshot.ts";
import { boundTo, type EncryptionOptions, type UserParts } from "./user.ts";

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

/** Encryption of streams and files, besides whole messages: constant memory, random access, truncation seen. */
export class StreamKeyset extends AeadKeyset<"stream"> {
  /** @internal */
  constructor(parts: UserParts) {
    super(parts, "stream");
  }

  /** A stream that seals what is written to it. */
  encryptStream(options?: EncryptionOptions): Transform {
    this.ready();
    const key = this.parts.keyset.keyToWrite();
    const { preamble, cipher } = beginMessage(this.parts.engine, this.primitive(key).key, boundTo(key, options?.aad));
    this.heard("encrypt", key.id);
    return new SealStream(Buffer.concat([key.header, preamble]), cipher);
  }

  /**
   * A stream that opens what is written to it. Each chunk comes out once it has authenticated; only the end of the
   * stream says that nothing is missing, so act on the whole only then. Fails with the errors of `decrypt`.
   */
  decryptStream(options?: EncryptionOptions): Transform {
    this.ready();
    return new OpenStream(HEADER_BYTES, (head) => this.#cipherOf(head, options?.aad));
  }

  /**
   * A part of a sealed file. Reads the head, the chunks that hold the part, and the last chunk, which proves the length.
   *
   * @throws {CRYPTO_AUTHENTICATION_FAILED} when any of those is not what was written, or the file was cut or extended.
   * @throws {CRYPTO_INPUT_TOO_LARGE} when the range does not lie in the plaintext.
   */
  async decryptRange(source: ByteSource, range: ByteRange = {}): Promise<Buffer> {
    this.ready();
    if (source.sizeBytes < HEAD_BYTES) throw notAuthentic();
    const cipher = await this.#cipherOf(await exactly(source, 0, HEAD_BYTES), range.aad);
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

  async #cipherOf(head: Buffer, aad: AssociatedData | undefined): Promise<ChunkCipher> {
    let key: Key | undefined;
    return this.told(
      "decrypt",
      () => key?.id,
      async () => {
        const found = (key = await this.findKey(head));
        return resumeMessage(
          this.parts.engine,
          this.primitive(found).key,
          boundTo(found, aad),
          head.subarray(HEADER_BYTES),
        );
      },
    );
  }
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
  if (bytes.length !== length) throw notAuthentic();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
