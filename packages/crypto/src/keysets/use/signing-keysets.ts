import { createPublicKey } from "node:crypto";
import { isStewardError } from "@steward/core";
import { bytesOf, messageBytes, type Data, type Message } from "../../suites/encoding/bytes.ts";
import type { AlgorithmName } from "../../suites/catalog.ts";
import type { Key } from "../snapshot.ts";
import type { KeysetUse, UseParts } from "./use.ts";
import { aadOf, KeysetUser, type EncryptionOptions } from "./user.ts";

/** The public half of a key, for those who verify or encrypt. */
export interface PublicKey {
  readonly id: number;
  readonly algorithm: AlgorithmName;
  readonly primary: boolean;
  /** SubjectPublicKeyInfo as PEM. */
  readonly pem: string;
}

/** Signatures, or MACs, under the keys of one keyset: `header ‖ signature`, detached from the message. */
export class SigningKeyset<P extends "mac" | "signature" = "signature"> extends KeysetUser<P> {
  readonly #use: KeysetUse<P>;

  /** @internal */
  constructor(use: KeysetUse<P>) {
    super(use);
    this.#use = use;
  }

  /**
   * Signs under the primary key. Private RSA operations run off the main thread.
   * @throws {CRYPTO_INPUT_INVALID} when the message is neither bytes nor text.
   */
  async sign(message: Data): Promise<Buffer> {
    const use = this.#use;
    use.ready();
    const data = bytesOf(message);
    const key = use.parts.keyset.keyToWrite();
    return use.reported(
      "sign",
      () => key.id,
      async () => {
        const signature = await use.parts.guard.run(() => use.primitive(key).signer.sign(key.header, data));
        return Buffer.concat([key.header, signature]);
      },
    );
  }

  /**
   * Resolves when the signature is of that message; else throws, so that a forgotten `if` cannot let a forgery pass.
   *
   * @throws {CRYPTO_AUTHENTICATION_FAILED} when it is not.
   * @throws {CRYPTO_KEY_UNKNOWN} when its key is not known, after a look at the store.
   */
  async verify(message: Data, signature: Message): Promise<void> {
    const use = this.#use;
    use.ready();
    const data = bytesOf(message);
    const bytes = messageBytes(signature);
    let key: Key | undefined;
    return use.reported(
      "verify",
      () => key?.id,
      async () => {
        const { header } = (key = await use.findKey(bytes));
        await use.primitive(key).signer.verify(header, data, bytes.subarray(header.length));
      },
    );
  }

  /** As {@link verify}, for those who want to know rather than stop. Store and lifecycle errors are still thrown. */
  async isValid(message: Data, signature: Message): Promise<boolean> {
    try {
      await this.verify(message, signature);
      return true;
    } catch (error) {
      if (isStewardError(error) && NOT_VALID.includes(error.code)) return false;
      throw error;
    }
  }
}

const NOT_VALID: readonly string[] = [
  "CRYPTO_AUTHENTICATION_FAILED",
  "CRYPTO_MESSAGE_INVALID",
  "CRYPTO_KEY_UNKNOWN",
  "CRYPTO_KEY_DISABLED",
  "CRYPTO_KEY_DESTROYED",
];

/** Digital signatures: everybody who has the public key can verify. */
export class SignatureKeyset extends SigningKeyset<"signature"> {
  readonly #use: KeysetUse<"signature">;

  /** @internal */
  constructor(use: KeysetUse<"signature">) {
    super(use);
    this.#use = use;
  }

  /** Public halves of all keys that verify. */
  publicKeys(): readonly PublicKey[] {
    this.#use.ready();
    return publicKeysOf(this.#use);
  }
}

/** Message authentication codes, also as keyed hashes for looking up what is stored encrypted. */
export class MacKeyset extends SigningKeyset<"mac"> {
  readonly #use: KeysetUse<"mac">;

  /** @internal */
  constructor(use: KeysetUse<"mac">) {
    super(use);
    this.#use = use;
  }

  /** The tag under the primary key, at once. The same message gives the same tag until the next rotation. */
  signSync(message: Data): Buffer {
    const use = this.#use;
    use.ready();
    const bytes = use.syncBytes(bytesOf(message));
    const key = use.parts.keyset.keyToWrite();
    use.report("sign", key.id);
    return this.#tag(key, bytes);
  }

  /** The tags under all keys that read, the primary one first: look for any of them, and rows written before a rotation are found too. */
  tagsSync(message: Data): Buffer[] {
    this.#use.ready();
    const bytes = this.#use.syncBytes(bytesOf(message));
    const { primary, keys } = this.#use.parts.keyset.snapshot;
    return [primary, ...[...keys].filter((key) => key !== primary)].map((key) => this.#tag(key, bytes));
  }

  #tag(key: Key, bytes: Uint8Array): Buffer {
    return Buffer.concat([key.header, this.#use.primitive(key).signer.tag(key.header, bytes)]);
  }
}

/** RSA encryption of messages of any length. */
export class HybridKeyset extends KeysetUser<"hybrid"> {
  readonly #use: KeysetUse<"hybrid">;

  /** @internal */
  constructor(use: KeysetUse<"hybrid">) {
    super(use);
    this.#use = use;
  }

  /** Encrypts to the primary key. Fails as the `encrypt` of other keysets does. */
  async encrypt(plaintext: Data, options?: EncryptionOptions): Promise<Buffer> {
    const use = this.#use;
    use.ready();
    const data = aadOf(use, options);
    const bytes = bytesOf(plaintext);
    const { key, header, bound } = use.toWrite(data);
    return use.reported(
      "encrypt",
      () => key.id,
      () => use.parts.guard.run(() => use.primitive(key).hybrid.seal(header, bytes, bound)),
    );
  }

  /** Decrypts, off the main thread where RSA is concerned. Fails as the `decrypt` of other keysets does. */
  async decrypt(message: Message, options?: EncryptionOptions): Promise<Buffer> {
    const use = this.#use;
    use.ready();
    const data = aadOf(use, options);
    const bytes = messageBytes(message);
    let key: Key | undefined;
    return use.reported(
      "decrypt",
      () => key?.id,
      async () => {
        const found = (key = await use.findKey(bytes));
        const { header, bound } = use.toRead(found, bytes, data);
        return use.parts.guard.run(() => use.primitive(found).hybrid.open(bytes, header.length, bound));
      },
    );
  }

  /** Decrypts and encrypts again to the primary key, bound to the same associated data. */
  async reencrypt(message: Message, options?: EncryptionOptions): Promise<Buffer> {
    return this.encrypt(await this.decrypt(message, options), options);
  }

  /** Public halves of all keys that decrypt. */
  publicKeys(): readonly PublicKey[] {
    this.#use.ready();
    return publicKeysOf(this.#use);
  }
}

function publicKeysOf({ parts }: { readonly parts: UseParts }): readonly PublicKey[] {
  const { primary, keys } = parts.keyset.snapshot;
  return [...keys].map((key) => ({
    id: key.id,
    algorithm: key.algorithm,
    primary: key === primary,
    pem: createPublicKey(key.keyObject()).export({ format: "pem", type: "spki" }).toString(),
  }));
}
