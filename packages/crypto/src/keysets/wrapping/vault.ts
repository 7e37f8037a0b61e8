import { types } from "node:util";
import { isStewardError } from "@steward/core";
import { describeError, environmentMismatch } from "@steward/core/driver";
import { cryptoError } from "../../errors.ts";
import { kindOf } from "../../suites/encoding/bytes.ts";
import { readHead, unwrapRecord, wrapRecord } from "./blob.ts";
import type { Kek } from "./kek.ts";
import type { KeysetRecord } from "../record/record.ts";
import { MAX_BLOB_BYTES, type KeyStore, type StoredKeyset } from "../stores/store.ts";

/** What a vault is made of. */
export interface VaultParts {
  readonly resource: string;
  readonly name: string;
  readonly store: KeyStore;
  readonly keks: readonly [Kek, ...Kek[]];
  /** What keysets that are made or written here are bound to. */
  readonly environment: string | undefined;
}

/** One keyset in a store: wraps what goes in, unwraps what comes out, and notices when time goes backwards. */
export class Vault {
  readonly #name: string;
  readonly #store: KeyStore;
  readonly #keks: readonly [Kek, ...Kek[]];
  readonly #resource: string;
  /** Ours, or the one that the stored keyset is bound to, which stays bound to it. */
  #environment: string | undefined;
  #seenRevision = 0;

  constructor({ resource, name, store, keks, environment }: VaultParts) {
    this.#resource = resource;
    this.#name = name;
    this.#store = store;
    this.#keks = keks;
    this.#environment = environment;
  }

  /** The newest revision that was in use here. */
  get seenRevision(): number {
    return this.#seenRevision;
  }

  /** A revision is in use from now on; an older one will be refused. */
  saw(revision: number): void {
    this.#seenRevision = Math.max(this.#seenRevision, revision);
  }

  /**
   * What the store holds.
   * @throws {CRYPTO_STORE_ROLLBACK} when it is older than what was seen before.
   * @throws {CRYPTO_STORE_UNAVAILABLE} when the store does not answer.
   */
  async load(): Promise<StoredKeyset | undefined> {
    const stored = checked(this.#name, await this.#call("read", () => this.#store.load(this.#name)));
    const revision = stored?.revision ?? 0;
    if (revision >= this.#seenRevision) return stored;
    const text = `the key store gave revision ${revision} of keyset "${this.#name}" after revision ${this.#seenRevision}: was an old backup restored? The keys in memory stay in use`;
    throw cryptoError("CRYPTO_STORE_ROLLBACK", text);
  }

  /** @throws {ENVIRONMENT_MISMATCH} when it is bound to another environment than ours. */
  async unwrap(stored: StoredKeyset): Promise<KeysetRecord> {
    const { environment: found } = readHead(stored.blob);
    if (found === undefined || found === (this.#environment ?? found)) {
      const record = await unwrapRecord(this.#name, stored.revision, stored.blob, this.#keks);
      this.#environment ??= found;
      return record;
    }
    const [store, expected] = [`keyset "${this.#name}"`, String(this.#environment)];
    const remedy = "it was copied, or there are two environments with one store: give each a store of its own";
    throw environmentMismatch(this.#resource, { store, expected, found, remedy });
  }

  /** True when it would be written as it is: wrapped by the first KEK, and bound to our environment. */
  isWrappedAsOurs(stored: StoredKeyset): boolean {
    const { kekId, environment } = readHead(stored.blob);
    return kekId === this.#keks[0].id && environment === this.#environment;
  }

  /** Writes the record if the store still has the revision `expected`; returns whether it did. */
  async write(expected: number, record: KeysetRecord): Promise<boolean> {
    const blob = await wrapRecord(record, this.#keks[0], this.#environment);
    const next = { revision: record.revision, blob };
    return this.#call("written", () => this.#store.compareAndSet(this.#name, expected, next));
  }

  async #call<T>(what: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      if (isStewardError(error) && error.code.startsWith("CRYPTO_")) throw error;
      const text = `the ${this.#store.kind} key store could not be ${what} for keyset "${this.#name}": ${describeError(error)}`;
      throw cryptoError("CRYPTO_STORE_UNAVAILABLE", text, { cause: error, retryable: true });
    }
  }
}

/** What a store of any make gave: nothing, or a revision and bytes of a sensible size. */
function checked(name: string, stored: StoredKeyset | undefined): StoredKeyset | undefined {
  if (stored === undefined || stored === null) return undefined;
  const { revision, blob } = stored;
  if (Number.isSafeInteger(revision) && revision >= 1 && types.isUint8Array(blob) && blob.length <= MAX_BLOB_BYTES)
    return stored;
  const size = types.isUint8Array(blob) ? `${blob.length} bytes` : kindOf(blob);
  const shown = typeof revision === "number" ? String(revision) : kindOf(revision);
  throw cryptoError(
    "CRYPTO_STORE_INVALID",
    `the key store gave revision ${shown} and ${size} for keyset "${name}"; a revision is an integer from 1, and a keyset has at most ${MAX_BLOB_BYTES} bytes`,
  );
}
