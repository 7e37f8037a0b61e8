import { createPublicKey } from "node:crypto";
import { isStewardError } from "@steward/core";
import { bytesOf, messageBytes, type Data, type Message } from "../suites/bytes.ts";
import type { AlgorithmName } from "../suites/catalog.ts";
import type { Key } from "./snapshot.ts";
import { KeysetUser, boundTo, type EncryptionOptions, type UserParts } from "./user.ts";

/** The public half of a key, to be handed to whoever verifies or encrypts. */
export interface PublicKey {
  readonly id: number;
  readonly algorithm: AlgorithmName;
  readonly primary: boolean;
  /** SubjectPublicKeyInfo as PEM. */
  readonly pem: string;
}

/** Signatures, or MACs, under the keys of one keyset: `header ‖ signature`, detached from the message. */
export class SigningKeyset<P extends "mac" | "signature" = "signature"> extends KeysetUser<P> {
  /** Signs under the primary key. Private RSA operations run off the main thread. */
  async sign(message: Data): Promise<Buffer> {
    this.ready();
    const key = this.parts.keyset.keyToWrite();
    return this.told(
      "sign",
      () => key.id,
      async () => {
        const signature = await this.parts.guard.run(() =>
          this.primitive(key).signer.sign(key.header, bytesOf(message)),
        );
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
    this.ready();
    const bytes = messageBytes(signature);
    let key: Key | undefined;
    return this.told(
      "verify",
      () => key?.id,
      async () => {
        const found = (key = await this.findKey(bytes));
        await this.primitive(found).signer.verify(found.header, bytesOf(message), bytes.subarray(found.header.length));
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

/** Digital signatures: whoever has the public key can verify. */
export class SignatureKeyset extends SigningKeyset<"signature"> {
  /** @internal */
  constructor(parts: UserParts) {
    super(parts, "signature");
  }

  /** Public halves of all keys that verify. */
  publicKeys(): readonly PublicKey[] {
    this.ready();
    return publicKeysOf(this.parts);
  }
}

/** Message authentication codes, also as keyed hashes for looking up what is stored encrypted. */
export class MacKeyset extends SigningKeyset<"mac"> {
  /** @internal */
  constructor(parts: UserParts) {
    super(parts, "mac");
  }

  /** The tag under the primary key, at once. The same message gives the same tag until the next rotation. */
  signSync(message: Data): Buffer {
    this.ready();
    const bytes = this.syncBytes(bytesOf(message));
    const key = this.parts.keyset.keyToWrite();
    this.heard("sign", key.id);
    return this.#tag(key, bytes);
  }

  /** The tags under all keys that read, the primary one first: look for any of them, and rows written before a rotation are found too. */
  tagsSync(message: Data): Buffer[] {
    this.ready();
    const bytes = this.syncBytes(bytesOf(message));
    const { primary, keys } = this.parts.keyset.snapshot;
    return [primary, ...[...keys].filter((key) => key !== primary)].map((key) => this.#tag(key, bytes));
  }

  #tag(key: Key, bytes: Uint8Array): Buffer {
    return Buffer.concat([key.header, this.primitive(key).signer.tag(key.header, bytes)]);
  }
}

/** RSA encryption of messages of any length. */
export class HybridKeyset extends KeysetUser<"hybrid"> {
  /** @internal */
  constructor(parts: UserParts) {
    super(parts, "hybrid");
  }

  /** Encrypts to the primary key. */
  async encrypt(plaintext: Data, options?: EncryptionOptions): Promise<Buffer> {
    this.ready();
    const key = this.parts.keyset.keyToWrite();
    const seal = (): Promise<Buffer> =>
      this.primitive(key).hybrid.seal(key.header, bytesOf(plaintext), boundTo(key, options?.aad));
    return this.told(
      "encrypt",
      () => key.id,
      () => this.parts.guard.run(seal),
    );
  }

  /** Decrypts, off the main thread where RSA is concerned. Fails as the `decrypt` of other keysets does. */
  async decrypt(message: Message, options?: EncryptionOptions): Promise<Buffer> {
    this.ready();
    const bytes = messageBytes(message);
    let key: Key | undefined;
    return this.told(
      "decrypt",
      () => key?.id,
      async () => {
        const found = (key = await this.findKey(bytes));
        const open = (): Promise<Buffer> =>
          this.primitive(found).hybrid.open(bytes, found.header.length, boundTo(found, options?.aad));
        return this.parts.guard.run(open);
      },
    );
  }

  /** Decrypts and encrypts again to the primary key, bound to the same associated data. */
  async reencrypt(message: Message, options?: EncryptionOptions): Promise<Buffer> {
    return this.encrypt(await this.decrypt(message, options), options);
  }

  /** Public halves of all keys that decrypt. */
  publicKeys(): readonly PublicKey[] {
    this.ready();
    return publicKeysOf(this.parts);
  }
}

function publicKeysOf({ keyset }: UserParts): readonly PublicKey[] {
  const { primary, keys } = keyset.snapshot;
  return [...keys].map((key) => ({
    id: key.id,
    algorithm: key.algorithm,
    primary: key === primary,
    pem: createPublicKey(key.keyObject()).export({ format: "pem", type: "spki" }).toString(),
  }));
}
