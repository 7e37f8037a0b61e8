import type { KeyObject } from "node:crypto";
import type { Clock, StewardError } from "@steward/core";
import { assertShape, flag, oneOf, shape, wholeNumber } from "@steward/core/driver";
import { cryptoError } from "../errors.ts";
import { kindOf } from "../suites/encoding/bytes.ts";
import { ALGORITHM_NAMES, type AlgorithmName, type Purpose } from "../suites/catalog.ts";
import { NEWEST_FORMAT, type MessageFormat } from "../suites/encoding/header.ts";
import type { Keyset } from "./keyset.ts";
import type { KeyRecord, KeyState } from "./record/record.ts";
import { withDestroyed, withDisabled, withEnabled, withFormat, withPrimary } from "./record/transitions.ts";

/** A key as it can be shown: everything but its material. */
export interface KeyInfo {
  readonly id: number;
  readonly algorithm: AlgorithmName;
  readonly state: KeyState;
  readonly primary: boolean;
  /** Times in ms since 1970. */
  readonly createdAtMs: number;
  readonly primaryAtMs: number | undefined;
  readonly retiredAtMs: number | undefined;
  readonly disabledAtMs: number | undefined;
  readonly destroyedAtMs: number | undefined;
  /** Messages read and written with it by this process. An old key that is still read must not be disabled yet. */
  readonly reads: number;
  readonly writes: number;
  /** Messages that all instances have set aside under it, where the algorithm counts them. */
  readonly reserved: number | undefined;
}

/** A keyset as it can be shown. */
export interface KeysetInfo {
  readonly name: string;
  readonly purpose: Purpose;
  readonly revision: number;
  readonly primary: number;
  /** Format of the messages that are written: 3, or 2 until {@link KeysetControl.upgradeFormat}. */
  readonly messageFormat: MessageFormat;
  readonly keys: readonly KeyInfo[];
}

/** How the next key comes. */
export interface RotateOptions {
  /** True: it writes at once, which instances that have not seen it yet cannot read. Default `false`. */
  readonly immediate?: boolean | undefined;
}

/** What a key that was made elsewhere is. */
export interface ImportOptions {
  /** Its id, such as Tink gave it. Default: a new one. */
  readonly id?: number | undefined;
  /** Default: the algorithm of the keyset. */
  readonly algorithm?: AlgorithmName | undefined;
  /** True: it writes from now on. Default `false`: it reads. */
  readonly primary?: boolean | undefined;
}

const ROTATE = shape<RotateOptions>(() => ({ immediate: flag() }));
const MAX_ID = 0xffff_ffff;
const IMPORT = shape<ImportOptions>(() => ({
  id: wholeNumber(0), // ids out of range are CRYPTO_KEY_INVALID
  algorithm: oneOf(...(ALGORITHM_NAMES as readonly [AlgorithmName, ...AlgorithmName[]])), // there are some
  primary: flag(),
}));

/** Changes a keyset: its keys come, change state and go here. All changes are written to the store first. */
export class KeysetControl {
  readonly #keyset: Keyset;
  readonly #clock: Clock;
  readonly #refusal: () => StewardError | undefined;

  /** @internal */
  constructor(keyset: Keyset, clock: Clock, refusal: () => StewardError | undefined) {
    this.#keyset = keyset;
    this.#clock = clock;
    this.#refusal = refusal;
  }

  /** The keys and their states, as of the last look at the store. */
  info(): KeysetInfo {
    this.#ready();
    const { record, format: messageFormat } = this.#keyset.snapshot;
    const { name, purpose, revision, primary } = record;
    return Object.freeze({
      name,
      purpose,
      revision,
      primary,
      messageFormat,
      keys: record.keys.map((key) => this.#keyInfo(key, primary)),
    });
  }

  /**
   * Prepares the next key and gives its id. It writes once `propagationMs` have passed, so that every instance can
   * read what it writes. With `immediate` it writes at once: right for one instance, or when the old key is known to be stolen.
   */
  async rotate(options: RotateOptions = {}): Promise<number> {
    this.#ready();
    assertShape(this.#label, ROTATE, options);
    return this.#keyset.rotate(options.immediate ?? false);
  }

  /** Makes a key that reads the one that writes. */
  async promote(id: number): Promise<void> {
    this.#readyFor(id);
    await this.#keyset.change("promoted", id, (record) => withPrimary(record, id, this.#now()));
  }

  /**
   * The key neither reads nor writes until it is enabled again.
   * @throws {CRYPTO_KEY_TRANSITION} when it is primary or already gone.
   */
  async disable(id: number): Promise<void> {
    this.#readyFor(id);
    await this.#keyset.change("disabled", id, (record) => withDisabled(record, id, this.#now()));
  }

  /** A disabled key reads again. @throws {CRYPTO_KEY_TRANSITION} when it is not disabled. */
  async enable(id: number): Promise<void> {
    this.#readyFor(id);
    await this.#keyset.change("enabled", id, (record) => withEnabled(record, id, this.#now()));
  }

  /**
   * Forgets a disabled key for good; what it wrote cannot be read any more.
   * @throws {CRYPTO_KEY_TRANSITION} when it is not disabled.
   */
  async destroy(id: number): Promise<void> {
    this.#readyFor(id);
    await this.#keyset.change("destroyed", id, (record) => withDestroyed(record, id, this.#now()));
  }

  /**
   * Takes in a key that was made elsewhere: 32 or 64 bytes, PKCS#8 as DER or PEM, or a KeyObject.
   * @throws {CRYPTO_KEY_INVALID} when it is not a key of the algorithm.
   */
  async import(material: Uint8Array | string | KeyObject, options: ImportOptions = {}): Promise<number> {
    this.#ready();
    assertShape(this.#label, IMPORT, options);
    return this.#keyset.import(material, options);
  }

  /** Looks at the store now. */
  async refresh(): Promise<void> {
    this.#ready();
    await this.#keyset.refresh();
  }

  /** Wraps the stored keyset with the first KEK, where another one wrapped it. */
  async rewrap(): Promise<void> {
    this.#ready();
    await this.#keyset.rewrap();
  }

  /**
   * Messages are written in format 3 from now on, which binds the type of associated data. A keyset that the first
   * edition made goes on in format 2, which its instances read too, until this is called: once, when the last of them
   * is gone. Both formats are read, always. Until then text and the same bytes open each other's messages; after it not.
   */
  async upgradeFormat(): Promise<void> {
    this.#ready();
    await this.#keyset.change("upgraded", undefined, (record) => withFormat(record, NEWEST_FORMAT));
  }

  #keyInfo(key: KeyRecord, primary: number): KeyInfo {
    const usage = this.#keyset.snapshot.key(key.id)?.usage;
    const { id, algorithm, state, createdAtMs, primaryAtMs, retiredAtMs, disabledAtMs, destroyedAtMs, reserved } = key;
    const times = { createdAtMs, primaryAtMs, retiredAtMs, disabledAtMs, destroyedAtMs };
    return {
      id,
      algorithm,
      state,
      primary: id === primary,
      ...times,
      reads: usage?.reads ?? 0,
      writes: usage?.writes ?? 0,
      reserved,
    };
  }

  #ready(): void {
    const refusal = this.#refusal();
    if (refusal !== undefined) throw refusal;
  }

  #readyFor(id: number): void {
    this.#ready();
    if (Number.isInteger(id) && id >= 1 && id <= MAX_ID) return;
    const given = typeof id === "number" ? String(id) : kindOf(id);
    throw cryptoError(
      "CRYPTO_INPUT_INVALID",
      `${this.#label}: a key id is an integer from 1 to ${MAX_ID}, not ${given}`,
    );
  }

  get #label(): string {
    return `keyset "${this.#keyset.name}"`;
  }

  #now(): number {
    return this.#clock.wallNow();
  }
}
