import { Transform, type TransformCallback } from "node:stream";
import { notAuthentic } from "../errors.ts";
import { asBuffer } from "./encoding/bytes.ts";
import { CHUNK_BYTES, PREAMBLE_BYTES, SEALED_CHUNK_BYTES, type ChunkCipher } from "./cobblestone.ts";
import { nextTurn } from "./turns.ts";

const BYTES_A_TURN = 256 * 1024;

/** Cuts what is written into blocks of one size and hands them on; the last, shorter one at the end. */
abstract class BlockTransform extends Transform {
  readonly #blockBytes: number;
  readonly #carry: Buffer;
  #carried = 0;

  constructor(blockBytes: number) {
    super({ readableHighWaterMark: BYTES_A_TURN, writableHighWaterMark: BYTES_A_TURN });
    this.#blockBytes = blockBytes;
    this.#carry = Buffer.alloc(blockBytes);
  }

  /** Works on whole blocks. */
  protected abstract blocks(blocks: Uint8Array): Uint8Array;
  /** Works on the last block, which is shorter than the others, perhaps empty. */
  protected abstract last(block: Uint8Array): Uint8Array;

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    if (chunk.length <= BYTES_A_TURN) return settle(() => this.#take(chunk), done);
    this.#takeInTurns(chunk).then(() => done(), done);
  }

  override _flush(done: TransformCallback): void {
    settle(() => this.#emit(this.last(this.#carry.subarray(0, this.#carried))), done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#carry.fill(0);
    done(error);
  }

  async #takeInTurns(chunk: Buffer): Promise<void> {
    for (let at = 0; at < chunk.length; at += BYTES_A_TURN) {
      await nextTurn();
      this.#take(chunk.subarray(at, at + BYTES_A_TURN));
    }
  }

  #take(chunk: Uint8Array): void {
    let at = 0;
    if (this.#carried > 0) {
      at = Math.min(this.#blockBytes - this.#carried, chunk.length);
      this.#carry.set(chunk.subarray(0, at), this.#carried);
      this.#carried += at;
      if (this.#carried < this.#blockBytes) return;
      this.#emit(this.blocks(this.#carry));
      this.#carried = 0;
    }
    const whole = at + Math.floor((chunk.length - at) / this.#blockBytes) * this.#blockBytes;
    if (whole > at) this.#emit(this.blocks(chunk.subarray(at, whole)));
    this.#carry.set(chunk.subarray(whole));
    this.#carried = chunk.length - whole;
  }

  #emit(bytes: Uint8Array): void {
    if (bytes.length > 0) this.push(asBuffer(bytes));
  }
}

function settle(work: () => void, done: TransformCallback): void {
  try {
    work();
  } catch (error) {
    return done(error instanceof Error ? error : notAuthentic());
  }
  done();
}

/** Seals what is written, chunk by chunk, after a head. */
export class SealStream extends BlockTransform {
  readonly #cipher: ChunkCipher;
  #index = 0;

  constructor(head: Uint8Array, cipher: ChunkCipher) {
    super(CHUNK_BYTES);
    this.#cipher = cipher;
    this.push(asBuffer(head));
  }

  protected blocks(blocks: Uint8Array): Uint8Array {
    const out = Buffer.allocUnsafeSlow((blocks.length / CHUNK_BYTES) * SEALED_CHUNK_BYTES);
    for (let from = 0, at = 0; from < blocks.length; from += CHUNK_BYTES)
      at = this.#cipher.seal(this.#index++, blocks.subarray(from, from + CHUNK_BYTES), out, at);
    return out;
  }

  protected last(block: Uint8Array): Uint8Array {
    const out = Buffer.allocUnsafeSlow(block.length + SEALED_CHUNK_BYTES - CHUNK_BYTES);
    this.#cipher.seal(this.#index, block, out, 0);
    return out;
  }
}

/** Opens chunks; each is handed on once it has authenticated, and the stream fails where one does not or the last is missing. */
class ChunkOpener extends BlockTransform {
  readonly #cipher: ChunkCipher;
  #index = 0;

  constructor(cipher: ChunkCipher) {
    super(SEALED_CHUNK_BYTES);
    this.#cipher = cipher;
  }

  protected blocks(blocks: Uint8Array): Uint8Array {
    const out = Buffer.allocUnsafeSlow((blocks.length / SEALED_CHUNK_BYTES) * CHUNK_BYTES);
    for (let from = 0, at = 0; from < blocks.length; from += SEALED_CHUNK_BYTES, at += CHUNK_BYTES)
      out.set(this.#cipher.open(this.#index++, blocks.subarray(from, from + SEALED_CHUNK_BYTES)), at);
    return out;
  }

  protected last(block: Uint8Array): Uint8Array {
    return this.#cipher.open(this.#index, block);
  }
}

/** Finds the cipher of a message by its head. */
export type CipherFinder = (head: Buffer) => Promise<ChunkCipher>;

/** Reads the head of a message, finds its key, and opens what follows. */
export class OpenStream extends Transform {
  readonly #find: CipherFinder;
  readonly #headBytes: number;
  #head: Buffer = Buffer.alloc(0);
  #opener: ChunkOpener | undefined;

  constructor(headerBytes: number, find: CipherFinder) {
    super({ readableHighWaterMark: BYTES_A_TURN, writableHighWaterMark: BYTES_A_TURN });
    this.#headBytes = headerBytes + PREAMBLE_BYTES;
    this.#find = find;
  }

  override _transform(chunk: Buffer, encoding: BufferEncoding, done: TransformCallback): void {
    if (this.#opener !== undefined) return this.#opener._transform(chunk, encoding, done);
    const missing = this.#headBytes - this.#head.length;
    this.#head = Buffer.concat([this.#head, chunk.subarray(0, missing)]);
    if (this.#head.length < this.#headBytes) return done();
    this.#find(this.#head).then((cipher) => {
      const opener = (this.#opener = new ChunkOpener(cipher));
      // The opener is used for its work only; what it gives goes out here.
      opener.push = (bytes: Buffer | null) => this.push(bytes);
      opener._transform(chunk.subarray(missing), encoding, done);
    }, done);
  }

  override _flush(done: TransformCallback): void {
    if (this.#opener === undefined) return done(notAuthentic());
    this.#opener._flush(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#opener?.destroy();
    done(error);
  }
}
