import { bytesOf, messageBytes, type Data, type Message } from "../suites/bytes.ts";
import { atOnce, inTurns, type BytesOrWork } from "../suites/turns.ts";
import type { Key } from "./snapshot.ts";
import { boundTo, KeysetUser, type EncryptionOptions } from "./user.ts";

/** Options of one encryption or decryption. */
export interface AeadOptions extends EncryptionOptions {
  /**
   * True gives the bytes away: past 1 MiB they move to another thread and are empty here afterwards, which spares the
   * main thread a copy of them. Default `false`.
   */
  readonly transfer?: boolean | undefined;
}

// More than any suite adds once; Cobblestone adds 16 bytes for each 16 KiB besides.
const OVERHEAD_BYTES = 256;
const WORTH_A_THREAD_BYTES = 1024 * 1024;

/** Authenticated encryption under the keys of one keyset. */
export class AeadKeyset<P extends "aead" | "stream" = "aead"> extends KeysetUser<P> {
  /**
   * Encrypts under the primary key. Large input is worked on in pieces, so nothing else waits.
   *
   * @throws {CRYPTO_KEY_EXHAUSTED} when the primary key has written all it may.
   */
  async encrypt(plaintext: Data, options?: AeadOptions): Promise<Buffer> {
    const bytes = bytesOf(plaintext);
    if (bytes.length <= Math.min(this.parts.engine.wholeBytes, this.parts.maxSyncBytes))
      return this.encryptSync(bytes, options);
    this.ready();
    const key = this.parts.keyset.keyToWrite();
    const aad = boundTo(key, options?.aad);
    return this.told(
      "encrypt",
      () => key.id,
      () => this.parts.guard.run(() => this.#long("seal", key, bytes, aad, options)),
    );
  }

  /**
   * Decrypts, and gives nothing that has not authenticated.
   *
   * @throws {CRYPTO_AUTHENTICATION_FAILED} when message or associated data are not what was written.
   * @throws {CRYPTO_MESSAGE_INVALID} when it is not a message of this keyset.
   * @throws {CRYPTO_KEY_UNKNOWN} when its key is not known, after a look at the store.
   * @throws {CRYPTO_KEY_DISABLED} when its key was disabled.
   * @throws {CRYPTO_KEY_DESTROYED} when its key was destroyed.
   */
  async decrypt(message: Message, options?: AeadOptions): Promise<Buffer> {
    this.ready();
    const bytes = messageBytes(message);
    let key: Key | undefined;
    return this.told(
      "decrypt",
      () => key?.id,
      async () => {
        const found = (key = await this.findKey(bytes));
        const aad = boundTo(found, options?.aad);
        if (bytes.length <= this.parts.engine.wholeBytes) return atOnce(this.#open(found, bytes, aad));
        return this.parts.guard.run(() => this.#long("open", found, bytes, aad, options));
      },
    );
  }

  /**
   * Encrypts at once, for small input on hot paths.
   *
   * @throws {CRYPTO_INPUT_TOO_LARGE} past `maxSyncBytes`.
   */
  encryptSync(plaintext: Data, options?: EncryptionOptions): Buffer {
    this.ready();
    const bytes = this.syncBytes(bytesOf(plaintext));
    const key = this.parts.keyset.keyToWrite();
    const message = atOnce(this.primitive(key).aead.seal(key.header, bytes, boundTo(key, options?.aad)));
    this.heard("encrypt", key.id);
    return message;
  }

  /**
   * Decrypts at once, for small messages on hot paths. Does not ask the store for keys that are not known here.
   *
   * @throws {CRYPTO_INPUT_TOO_LARGE} past `maxSyncBytes`; else as {@link decrypt}.
   */
  decryptSync(message: Message, options?: EncryptionOptions): Buffer {
    this.ready();
    const bytes = this.syncBytes(messageBytes(message), OVERHEAD_BYTES + this.parts.maxSyncBytes / 1_024);
    let key: Key | undefined;
    try {
      key = this.keyOf(bytes);
      const plaintext = atOnce(this.#open(key, bytes, boundTo(key, options?.aad)));
      this.heard("decrypt", key.id);
      return plaintext;
    } catch (error) {
      this.heard("decrypt", key?.id, error);
      throw error;
    }
  }

  /** Decrypts and encrypts again under the primary key, bound to the same associated data. */
  async reencrypt(message: Message, options?: EncryptionOptions): Promise<Buffer> {
    const plaintext = await this.decrypt(message, options);
    const again = await this.encrypt(plaintext, options);
    plaintext.fill(0);
    return again;
  }

  #open(key: Key, bytes: Uint8Array, aad: Uint8Array): BytesOrWork {
    return this.primitive(key).aead.open(bytes, key.header.length, aad);
  }

  #long(
    operation: "seal" | "open",
    key: Key,
    input: Uint8Array,
    aad: Uint8Array,
    options: AeadOptions | undefined,
  ): Promise<Buffer> {
    const { aead } = this.primitive(key);
    if (options?.transfer === true && input.length > WORTH_A_THREAD_BYTES && this.parts.engine.name === "native")
      return this.parts.workers.run({
        operation,
        algorithm: key.algorithm,
        key: key.keyObject(),
        header: key.header,
        input,
        aad,
      });
    return inTurns(operation === "seal" ? aead.seal(key.header, input, aad) : aead.open(input, key.header.length, aad));
  }
}
