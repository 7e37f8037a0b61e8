import type { KeyObject } from "node:crypto";
import { cryptoError } from "../errors.ts";
import { ALGORITHMS, hasAssociatedData, primitiveOf, type AlgorithmName, type Primitive } from "../suites/catalog.ts";
import type { Engine } from "../suites/engines/engine.ts";
import { headerOf, readHeader, tinkPrefix, type MessageFormat } from "../suites/encoding/header.ts";
import type { KeyRecord, KeysetRecord } from "./record/record.ts";
import { shownId } from "./record/transitions.ts";

/** How often a key was used in this process. */
export interface KeyUsage {
  writes: number;
  reads: number;
}

/** A key, ready to be used. It is a KeyObject, outside of JavaScript's memory; users of a keyset never get hold of it. */
export class Key {
  readonly id: number;
  readonly algorithm: AlgorithmName;
  readonly suite: number;
  /** True when messages carry Tink's prefix, which is not part of what is authenticated. */
  readonly tink: boolean;
  /** What stands before signatures and MACs, and before messages of format 2 and of Tink. */
  readonly header: Buffer;
  readonly usage: KeyUsage;
  readonly #typedHeader: Buffer;
  readonly #engine: Engine;
  readonly #key: KeyObject;
  #primitive: Primitive | undefined;

  constructor(
    engine: Engine,
    id: number,
    algorithm: AlgorithmName,
    key: KeyObject,
    usage: KeyUsage = { writes: 0, reads: 0 },
  ) {
    const { suite, tink = false } = ALGORITHMS[algorithm];
    this.id = id;
    this.algorithm = algorithm;
    this.suite = suite;
    this.tink = tink;
    this.header = tink ? tinkPrefix(id) : headerOf(2, suite, id);
    this.#typedHeader = tink ? this.header : headerOf(3, suite, id);
    this.usage = usage;
    this.#engine = engine;
    this.#key = key;
  }

  get primitive(): Primitive {
    return (this.#primitive ??= primitiveOf(this.#engine, this.algorithm, this.#key));
  }

  /** What stands before a message of that format. */
  headerFor(format: number | undefined): Buffer {
    return format === 3 ? this.#typedHeader : this.header;
  }

  /** The KeyObject, for its public half and for other threads. */
  keyObject(): KeyObject {
    return this.#key;
  }
}

/** A keyset at one revision. It never changes: operations keep the one they began with. */
export class Snapshot {
  /** Ids, states and times. Keys are not in it: those that read are in {@link keys}, the others in the store only. */
  readonly record: KeysetRecord;
  /** Format of the messages that are written. */
  readonly format: MessageFormat;
  readonly primary: Key;
  readonly #keys: ReadonlyMap<number, Key>;

  constructor(engine: Engine, record: KeysetRecord, before?: Snapshot) {
    this.record = { ...record, keys: record.keys.map(({ key: _, ...rest }) => rest) };
    this.format = record.messageFormat ?? 2;
    this.#keys = new Map(record.keys.flatMap((key) => entry(engine, key, before)));
    const primary = this.#keys.get(record.primary);
    if (primary === undefined) throw cryptoError("CRYPTO_STORE_INVALID", `keyset "${record.name}" has no primary key`);
    this.primary = primary;
  }

  /** Keys that read. */
  get keys(): Iterable<Key> {
    return this.#keys.values();
  }

  key(id: number): Key | undefined {
    return this.#keys.get(id);
  }

  /**
   * The key that a message names.
   *
   * @throws {CRYPTO_MESSAGE_INVALID} when it is not a message of this keyset.
   * @throws {CRYPTO_KEY_UNKNOWN} when no such key was ever here.
   * @throws {CRYPTO_KEY_DISABLED} when it was disabled.
   * @throws {CRYPTO_KEY_DESTROYED} when it was destroyed.
   */
  keyOf(message: Uint8Array): Key {
    const { format, keyId, suite } = readHeader(message);
    const key = this.#keys.get(keyId);
    if (key === undefined) throw this.#absent(keyId);
    const fits = suite === undefined ? key.tink : !key.tink && suite === key.suite;
    if (!fits || (format === 3 && !hasAssociatedData(ALGORITHMS[key.algorithm].purpose)))
      throw cryptoError(
        "CRYPTO_MESSAGE_INVALID",
        `the message is of format ${format} and suite ${suite ?? "Tink"}, which is not what key ${shownId(keyId)} writes`,
      );
    return key;
  }

  #absent(id: number): Error {
    const { name, keys } = this.record;
    const record = keys.find((key) => key.id === id);
    if (record?.state === "disabled")
      return cryptoError(
        "CRYPTO_KEY_DISABLED",
        `keyset "${name}": key ${shownId(id)} is disabled since ${shownTime(record.disabledAtMs)}`,
      );
    if (record?.state === "destroyed")
      return cryptoError(
        "CRYPTO_KEY_DESTROYED",
        `keyset "${name}": key ${shownId(id)} was destroyed at ${shownTime(record.destroyedAtMs)}`,
      );
    return cryptoError(
      "CRYPTO_KEY_UNKNOWN",
      `keyset "${name}" has no key ${shownId(id)}: written by another keyset, or by a newer revision than ${this.record.revision}`,
    );
  }
}

function entry(engine: Engine, record: KeyRecord, before: Snapshot | undefined): [number, Key][] {
  const { id, algorithm, state, key } = record;
  if (state === "disabled" || state === "destroyed" || key === undefined) return [];
  return [[id, before?.key(id) ?? new Key(engine, id, algorithm, key)]];
}

function shownTime(atMs: number | undefined): string {
  return atMs === undefined ? "an unknown time" : new Date(atMs).toISOString();
}
