import { flag, shape } from "@steward/core/driver";
import { aadRule, associatedOf } from "./call-options.ts";
import { bytesOf, messageBytes, type Data, type Message } from "../../suites/encoding/bytes.ts";
import { atOnce, inTurns, type BytesOrWork } from "../../suites/turns.ts";
import type { Key } from "../snapshot.ts";
import type { KeysetUse, Sealing } from "./use.ts";
import { aadOf, KeysetUser, type EncryptionOptions } from "./user.ts";

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
const OPTIONS = shape<AeadOptions>(() => ({ aad: aadRule(), transfer: flag() }));

/** Authenticated encryption under the keys of one keyset. */
export class AeadKeyset<P extends "aead" | "stream" = "aead"> extends KeysetUser<P> {
  readonly #use: KeysetUse<P>;

  /** @internal */
  constructor(use: KeysetUse<P>) {
    super(use);
    this.#use = use;
  }

  /**
   * Encrypts under the primary key. Large input is worked on in pieces, so nothing else waits.
   *
   * @throws {OPTIONS_INVALID} when an option is unknown or of a wrong type; nothing is encrypted then.
   * @throws {CRYPTO_INPUT_INVALID} when the plaintext is neither bytes nor text.
   * @throws {CRYPTO_KEY_EXHAUSTED} when the primary key has written all it may.
   */
  async encrypt(plaintext: Data, options?: AeadOptions): Promise<Buffer> {
    const use = this.#use;
    const { engine, maxSyncBytes, guard } = use.parts;
    use.ready();
    const data = associatedOf(use.label, OPTIONS, options);
    const bytes = bytesOf(plaintext);
    const sealing = use.toWrite(data);
    if (bytes.length <= Math.min(engine.wholeBytes, maxSyncBytes)) return this.#seal(bytes, sealing);
    return use.reported(
      "encrypt",
      () => sealing.key.id,
      () => guard.run(() => this.#long("seal", sealing, bytes, options)),
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
   * @throws {OPTIONS_INVALID} when an option is unknown or of a wrong type.
   */
  async decrypt(message: Message, options?: AeadOptions): Promise<Buffer> {
    const use = this.#use;
    const { engine, guard } = use.parts;
    use.ready();
    const data = associatedOf(use.label, OPTIONS, options);
    const bytes = messageBytes(message);
    let key: Key | undefined;
    return use.reported(
      "decrypt",
      () => key?.id,
      async () => {
        key = await use.findKey(bytes);
        const sealing = use.toRead(key, bytes, data);
        if (bytes.length <= engine.wholeBytes) return atOnce(this.#open(sealing, bytes));
        return guard.run(() => this.#long("open", sealing, bytes, options));
      },
    );
  }

  /**
   * Encrypts at once, for small input on hot paths. Throws as {@link encrypt} does.
   *
   * @throws {CRYPTO_INPUT_TOO_LARGE} past `maxSyncBytes`.
   */
  encryptSync(plaintext: Data, options?: EncryptionOptions): Buffer {
    const use = this.#use;
    use.ready();
    const data = aadOf(use, options);
    const bytes = use.syncBytes(bytesOf(plaintext));
    return this.#seal(bytes, use.toWrite(data));
  }

  /**
   * Decrypts at once, for small messages on hot paths. Does not ask the store for keys that are not known here.
   *
   * @throws {CRYPTO_INPUT_TOO_LARGE} past `maxSyncBytes`; else as {@link decrypt}.
   */
  decryptSync(message: Message, options?: EncryptionOptions): Buffer {
    const use = this.#use;
    use.ready();
    const data = aadOf(use, options);
    const bytes = use.syncBytes(messageBytes(message), OVERHEAD_BYTES + use.parts.maxSyncBytes / 1_024);
    let key: Key | undefined;
    try {
      key = use.keyOf(bytes);
      const plaintext = atOnce(this.#open(use.toRead(key, bytes, data), bytes));
      use.report("decrypt", key.id);
      return plaintext;
    } catch (error) {
      use.report("decrypt", key?.id, error);
      throw error;
    }
  }

  /** Decrypts and encrypts again under the primary key, bound to the same associated data. */
  async reencrypt(message: Message, options?: EncryptionOptions): Promise<Buffer> {
    aadOf(this.#use, options); // `transfer` would give the message away
    const plaintext = await this.decrypt(message, options);
    const again = await this.encrypt(plaintext, options);
    plaintext.fill(0);
    return again;
  }

  #seal(bytes: Uint8Array, { key, header, bound }: Sealing): Buffer {
    const message = atOnce(this.#use.primitive(key).aead.seal(header, bytes, bound));
    this.#use.report("encrypt", key.id);
    return message;
  }

  #open({ key, header, bound }: Sealing, bytes: Uint8Array): BytesOrWork {
    return this.#use.primitive(key).aead.open(bytes, header.length, bound);
  }

  #long(
    operation: "seal" | "open",
    sealing: Sealing,
    input: Uint8Array,
    options: AeadOptions | undefined,
  ): Promise<Buffer> {
    const { key, header, bound: aad } = sealing;
    const { engine, workers } = this.#use.parts;
    if (options?.transfer === true && input.length > WORTH_A_THREAD_BYTES && engine.name === "native")
      return workers.run({ operation, algorithm: key.algorithm, key: key.keyObject(), header, input, aad });
    const { aead } = this.#use.primitive(key);
    return inTurns(operation === "seal" ? aead.seal(header, input, aad) : aead.open(input, header.length, aad));
  }
}
