import { isStewardError, type Guard, type StewardError } from "@steward/core";
import { cryptoError } from "../errors.ts";
import { associatedBytes, type AssociatedData, type Message, messageBytes } from "../suites/bytes.ts";
import type { Primitives, Purpose } from "../suites/catalog.ts";
import type { Engine } from "../suites/engine.ts";
import type { WorkerPool } from "../suites/worker-pool.ts";
import { publishUse, usesAreHeard, type KeyUseEvent } from "./audit.ts";
import { mayBeOutdated, type Keyset } from "./keyset.ts";
import type { Key } from "./snapshot.ts";

/** What everything that uses a keyset needs. */
export interface UserParts {
  readonly resource: string;
  readonly keyset: Keyset;
  readonly engine: Engine;
  /** Bounds work that does not end at once. */
  readonly guard: Guard;
  readonly workers: WorkerPool;
  /** Largest input of a synchronous call, in bytes. */
  readonly maxSyncBytes: number;
  /** Why nothing is accepted now. */
  readonly refusal: () => StewardError | undefined;
}

/** What a message is bound to besides its key. */
export interface EncryptionOptions {
  /** Has to be the same when the message is read. It is not part of the message. */
  readonly aad?: AssociatedData | undefined;
}

/** What all users of a keyset share: the state of the manager, finding keys, and telling who listens. */
export abstract class KeysetUser<P extends Purpose> {
  /** Name of the keyset. */
  readonly name: string;
  protected readonly parts: UserParts;
  readonly #purpose: P;

  /** @internal */
  constructor(parts: UserParts, purpose: P) {
    this.parts = parts;
    this.name = parts.keyset.name;
    this.#purpose = purpose;
  }

  /**
   * True when a key wrote the message that is not primary any more: read it and write it again.
   * Looks at the header only; a message that is not of this keyset needs it too.
   */
  needsReencrypt(message: Message): boolean {
    this.ready();
    try {
      return this.parts.keyset.snapshot.keyOf(messageBytes(message)) !== this.parts.keyset.snapshot.primary;
    } catch {
      return true;
    }
  }

  protected ready(): void {
    const refusal = this.parts.refusal();
    if (refusal !== undefined) throw refusal;
  }

  protected primitive(key: Key): Primitives[P] {
    const { primitive } = key;
    if (this.#purpose === primitive.purpose) return primitive as Primitives[P]; // checked by this line
    throw cryptoError("CRYPTO_KEYSET_MISUSED", `keyset "${this.name}" is for ${primitive.purpose}`);
  }

  protected keyOf(message: Uint8Array): Key {
    const key = this.parts.keyset.snapshot.keyOf(message);
    key.usage.reads++;
    return key;
  }

  /** The key that a message names, after a look at the store if it is not known here. */
  protected async findKey(message: Uint8Array): Promise<Key> {
    try {
      return this.keyOf(message);
    } catch (error) {
      if (!mayBeOutdated(error)) throw error;
      await this.parts.keyset.refreshForUnknown();
      return this.keyOf(message);
    }
  }

  protected heard(operation: KeyUseEvent["operation"], keyId: number | undefined, error?: unknown): void {
    if (!usesAreHeard()) return;
    const code = error === undefined ? undefined : isStewardError(error) ? error.code : "UNKNOWN";
    publishUse({ resource: this.parts.resource, keyset: this.name, operation, keyId, code });
  }

  /** Runs `work` and tells who listens how it ended. */
  protected async told<T>(
    operation: KeyUseEvent["operation"],
    keyId: () => number | undefined,
    work: () => Promise<T>,
  ): Promise<T> {
    try {
      const result = await work();
      this.heard(operation, keyId());
      return result;
    } catch (error) {
      this.heard(operation, keyId(), error);
      throw error;
    }
  }

  /** @param overheadBytes what a message may have more than its plaintext, so that what was written at once is read at once. */
  protected syncBytes(bytes: Uint8Array, overheadBytes = 0): Uint8Array {
    const { maxSyncBytes } = this.parts;
    if (bytes.length <= maxSyncBytes + overheadBytes) return bytes;
    const text = `keyset "${this.name}": ${bytes.length} bytes would hold up the event loop (at most ${maxSyncBytes}); await the method without Sync, or use a stream`;
    throw cryptoError("CRYPTO_INPUT_TOO_LARGE", text);
  }
}

/** Everything that authenticates with a message: its header, unless Tink says otherwise, and the associated data. */
export function boundTo(key: Key, aad: AssociatedData | undefined): Uint8Array {
  if (aad === undefined) return key.tink ? associatedBytes(undefined) : key.header;
  const bytes = associatedBytes(aad);
  return key.tink ? bytes : Buffer.concat([key.header, bytes]);
}
