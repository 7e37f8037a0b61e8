import { isStewardError, type Guard, type KeyUseEvent, type StewardError } from "@steward/core";
import { keyUsesAreHeard, publishKeyUse } from "@steward/core/driver";
import { cryptoError } from "../../errors.ts";
import { boundTo, type Associated } from "../../suites/encoding/associated-data.ts";
import { messageBytes, type Message } from "../../suites/encoding/bytes.ts";
import type { Primitives, Purpose } from "../../suites/catalog.ts";
import type { Engine } from "../../suites/engines/engine.ts";
import { readHeader } from "../../suites/encoding/header.ts";
import type { WorkerPool } from "../../suites/workers/pool.ts";
import { mayBeOutdated, type Keyset } from "../keyset.ts";
import type { Key } from "../snapshot.ts";

/** What everything that uses a keyset needs. */
export interface UseParts {
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

/** What a message is written or read with. */
export interface Sealing {
  readonly key: Key;
  readonly header: Buffer;
  /** Everything that authenticates with it besides its body. */
  readonly bound: Uint8Array;
}

/**
 * A keyset in use: the state of the manager, finding keys, and reporting uses. The objects that users hold keep it in
 * a private field, so that no property leads from them to a key.
 */
export class KeysetUse<P extends Purpose> {
  /** What errors about options name. */
  readonly label: string;
  readonly name: string;
  readonly parts: UseParts;
  readonly #purpose: P;

  constructor(parts: UseParts, purpose: P) {
    this.parts = parts;
    this.name = parts.keyset.name;
    this.label = `${parts.resource} keyset "${this.name}"`;
    this.#purpose = purpose;
  }

  ready(): void {
    const refusal = this.parts.refusal();
    if (refusal !== undefined) throw refusal;
  }

  /** What the next message is written with. */
  toWrite(data: Associated | undefined): Sealing {
    const { keyset } = this.parts;
    const key = keyset.keyToWrite();
    const header = key.headerFor(keyset.snapshot.format);
    return { key, header, bound: boundTo(header, data) };
  }

  /** What a message under that key is read with. */
  toRead(key: Key, message: Uint8Array, data: Associated | undefined): Sealing {
    const header = key.headerFor(message[0]);
    return { key, header, bound: boundTo(header, data) };
  }

  /** True for a message of another key than the primary one, or of an older format than is written. */
  isOutdated(message: Message): boolean {
    this.ready();
    const { snapshot } = this.parts.keyset;
    try {
      const bytes = messageBytes(message);
      if (snapshot.keyOf(bytes) !== snapshot.primary) return true;
      return readHeader(bytes).format < readHeader(snapshot.primary.headerFor(snapshot.format)).format;
    } catch {
      return true;
    }
  }

  primitive(key: Key): Primitives[P] {
    const { primitive } = key;
    if (this.#purpose === primitive.purpose) return primitive as Primitives[P]; // checked by this line
    throw cryptoError("CRYPTO_KEYSET_MISUSED", `keyset "${this.name}" is for ${primitive.purpose}`);
  }

  keyOf(message: Uint8Array): Key {
    const key = this.parts.keyset.snapshot.keyOf(message);
    key.usage.reads++;
    return key;
  }

  /** The key that a message names, after a look at the store if it is not known here. */
  async findKey(message: Uint8Array): Promise<Key> {
    try {
      return this.keyOf(message);
    } catch (error) {
      if (!mayBeOutdated(error)) throw error;
      await this.parts.keyset.refreshForUnknown();
      return this.keyOf(message);
    }
  }

  report(operation: KeyUseEvent["operation"], keyId: number | undefined, error?: unknown): void {
    if (!keyUsesAreHeard()) return;
    const code = error === undefined ? undefined : isStewardError(error) ? error.code : "UNKNOWN";
    publishKeyUse({ resource: this.parts.resource, keyset: this.name, operation, keyId, code });
  }

  /** Runs `work` and reports how it ended. */
  async reported<T>(
    operation: KeyUseEvent["operation"],
    keyId: () => number | undefined,
    work: () => Promise<T>,
  ): Promise<T> {
    try {
      const result = await work();
      this.report(operation, keyId());
      return result;
    } catch (error) {
      this.report(operation, keyId(), error);
      throw error;
    }
  }

  /** @param overheadBytes what a message may have more than its plaintext, so that what was written at once is read at once. */
  syncBytes(bytes: Uint8Array, overheadBytes = 0): Uint8Array {
    const { maxSyncBytes } = this.parts;
    if (bytes.length <= maxSyncBytes + overheadBytes) return bytes;
    const text = `keyset "${this.name}": ${bytes.length} bytes would hold up the event loop (at most ${maxSyncBytes}); await the method without Sync, or use a stream`;
    throw cryptoError("CRYPTO_INPUT_TOO_LARGE", text);
  }
}
