import type { KeyObject } from "node:crypto";
import { isStewardError, type Clock, type KeyOperation, type StewardError, type Timer } from "@steward/core";
import { MAX_TIMER_MS, publishKey } from "@steward/core/driver";
import { cryptoError } from "../errors.ts";
import { ALGORITHMS, importForeignKey, type AlgorithmName } from "../suites/catalog.ts";
import type { Engine } from "../suites/engines/engine.ts";
import type { MessageFormat } from "../suites/encoding/header.ts";
import { newKeyId } from "../suites/random.ts";
import { Budget } from "./budget.ts";
import type { Kek } from "./wrapping/kek.ts";
import type { KeyRecord, KeysetRecord } from "./record/record.ts";
import { due, type Due, type RotationPolicy } from "./record/schedule.ts";
import { Snapshot, type Key } from "./snapshot.ts";
import { StoreLooks } from "./looks.ts";
import type { KeyStore } from "./stores/store.ts";
import { shownId, withDestroyed, withDisabled, withFirstKey, withPending, withPrimary } from "./record/transitions.ts";
import { Vault } from "./wrapping/vault.ts";

/** What a keyset is made of. */
export interface KeysetParts {
  readonly resource: string;
  readonly name: string;
  readonly policy: RotationPolicy;
  readonly store: KeyStore;
  /** The first one wraps; all of them unwrap. */
  readonly keks: readonly [Kek, ...Kek[]];
  /** What it is bound to in the store. */
  readonly environment: string | undefined;
  readonly engine: Engine;
  readonly clock: Clock;
  /** Longest time between two looks at the store, in ms. */
  readonly refreshEveryMs: number;
  /** Messages set aside at once where they are counted. */
  readonly messageBlock: number;
  /** Format of the messages of a keyset that is made here. */
  readonly messageFormat: MessageFormat;
}

/** Changes a record; `undefined`: nothing to change after all. */
export type Change = (record: KeysetRecord) => KeysetRecord | undefined;

const MAX_ATTEMPTS = 12;

/** Keeps one keyset: loads it, follows the store, rotates on time, and changes it so that no other change is lost. */
export class Keyset {
  readonly name: string;
  readonly #parts: KeysetParts;
  readonly #vault: Vault;
  readonly #budget: Budget;
  #snapshot: Snapshot | undefined;
  #timer: Timer | undefined;
  #open = false;
  #refreshing: Promise<void> | undefined;
  /** Looks and changes that only a stop waits for. */
  #background: Promise<unknown> = Promise.resolve();
  #refilling = false;
  readonly #looks: StoreLooks;
  /** Called when the record is another than before. */
  readonly listeners: Set<() => void> = new Set();

  constructor(parts: KeysetParts) {
    this.name = parts.name;
    this.#parts = parts;
    this.#vault = new Vault(parts);
    this.#budget = new Budget(parts.messageBlock);
    this.#looks = new StoreLooks(parts.clock);
  }

  /** The current keys. @throws {RESOURCE_UNAVAILABLE} never by itself: callers ask only while the manager is ready. */
  get snapshot(): Snapshot {
    if (this.#snapshot === undefined)
      throw cryptoError("CRYPTO_STORE_UNAVAILABLE", `keyset "${this.name}" is not loaded`);
    return this.#snapshot;
  }

  get policy(): RotationPolicy {
    return this.#parts.policy;
  }

  /** Loads or makes the keyset, and does what came due while no instance was running. */
  async open(): Promise<void> {
    this.#open = true;
    await this.refresh();
    await this.#settleDue();
    this.#schedule();
  }

  /** Lets go of the keys and the timer. Resolves when the store is left alone. */
  close(): Promise<unknown> {
    this.#open = false;
    this.#timer?.cancel();
    this.#timer = this.#snapshot = undefined;
    return this.#background;
  }

  /** Takes a message from the primary key's budget, where its algorithm has one. */
  keyToWrite(): Key {
    const { primary } = this.snapshot;
    if (ALGORITHMS[primary.algorithm].messageLimit !== undefined) this.#spend(primary);
    primary.usage.writes++;
    return primary;
  }

  #spend(primary: Key): void {
    const taken = this.#budget.take(primary.id);
    if (this.#budget.isLow(primary.id)) this.#refill();
    if (!taken) throw exhausted(this.name, primary.id, this.policy.propagationMs);
  }

  #refill(): void {
    if (this.#refilling) return;
    this.#refilling = true;
    this.#goOn(this.#reserveMore().finally(() => (this.#refilling = false)));
  }

  /** A failure shows at the next look; until then there is what is left of the block. */
  async #reserveMore(): Promise<void> {
    try {
      await this.change("reserved", undefined, (record) => record);
      await this.#settleDue();
    } catch {
      this.#looks.failed();
    }
  }

  /** Looks at the store. Many who ask share one look. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#load().finally(() => (this.#refreshing = undefined));
    return this.#refreshing;
  }

  /**
   * Looks at the store because a message names a key that is not known here. The look begins after it was asked for, so
   * it sees every key that a message can name by now; many who ask share one, and there are at most fifty a second.
   */
  async refreshForUnknown(): Promise<void> {
    const began = this.#refreshing;
    if (began !== undefined) await began.catch(() => {}); // it may have read before the key was written
    if (this.#refreshing === undefined && !this.#looks.mayLookForUnknown()) return;
    await this.refresh();
  }

  async #load(): Promise<void> {
    try {
      const stored = await this.#vault.load();
      if (stored === undefined) return await this.#create();
      if (stored.revision === this.#snapshot?.record.revision) return this.#looks.succeeded();
      const record = await this.#vault.unwrap(stored);
      if (this.#budget.reserve(record).granted.size > 0)
        return await this.change("reserved", undefined, (latest) => latest);
      this.#apply(record);
      this.#audit("loaded", undefined, record.revision);
    } catch (error) {
      this.#looks.failed();
      throw error;
    }
  }

  async #create(): Promise<void> {
    const { purpose } = ALGORITHMS[this.policy.algorithm];
    const key = await this.#newKey(new Set());
    const made = this.#budget.reserve(withFirstKey(this.name, purpose, key, this.#now(), this.#parts.messageFormat));
    if (!(await this.#vault.write(0, made.record))) return this.#load();
    this.#budget.grant(made.granted);
    this.#apply(made.record);
    this.#audit("created", key.id, 1);
  }

  #apply(record: KeysetRecord): void {
    const { purpose } = ALGORITHMS[this.policy.algorithm];
    if (record.purpose !== purpose)
      throw cryptoError(
        "CRYPTO_KEYSET_MISUSED",
        `the stored keyset "${this.name}" is for ${record.purpose}; ${this.policy.algorithm} is for ${purpose}: give the new one another name`,
      );
    this.#looks.succeeded();
    if (record.revision < this.#vault.seenRevision) return;
    this.#vault.saw(record.revision);
    if (!this.#open) return;
    this.#snapshot = new Snapshot(this.#parts.engine, record, this.#snapshot);
    for (const listener of this.listeners) listener();
  }

  /**
   * Changes the keyset: reads it, applies `change`, and writes it if no other instance did meanwhile; else again.
   *
   * @throws {CRYPTO_STORE_CONFLICT} when others were faster every time.
   * @throws {CRYPTO_STORE_UNAVAILABLE} when the store does not answer.
   */
  async change(operation: KeyOperation, keyId: number | undefined, change: Change): Promise<void> {
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      const stored = await this.#vault.load();
      if (stored === undefined) return this.#create();
      const before = await this.#vault.unwrap(stored);
      const changed = change(before);
      const { record, granted } = this.#budget.reserve(changed ?? before);
      if (record === before && !(operation === "rewrapped" && !this.#vault.isWrappedAsOurs(stored)))
        return this.#apply(before);
      const next = { ...record, revision: before.revision + 1 };
      if (await this.#vault.write(before.revision, next)) {
        this.#budget.grant(granted);
        this.#apply(next);
        const unchanged = (changed === before || changed === undefined) && operation !== "rewrapped";
        this.#audit(unchanged ? "reserved" : operation, keyId, next.revision);
        return;
      }
      await this.#parts.clock.sleep(Math.random() * 20 * attempt);
    }
    throw cryptoError(
      "CRYPTO_STORE_CONFLICT",
      `keyset "${this.name}": others changed it ${MAX_ATTEMPTS} times while this change was tried`,
      { retryable: true },
    );
  }

  /** Writes the keyset anew where it is not wrapped by the first KEK, or not bound to the environment. */
  rewrap(): Promise<void> {
    return this.change("rewrapped", undefined, (record) => record);
  }

  /** Prepares the next key. With `immediate` it writes at once, which instances that have not seen it yet cannot read. */
  async rotate(immediate: boolean): Promise<number> {
    const key = await this.#newKey(new Set(this.snapshot.record.keys.map(({ id }) => id)));
    let id = key.id;
    await this.change("added", key.id, (record) => {
      const pending = record.keys.find(({ state }) => state === "pending");
      id = pending?.id ?? key.id;
      const added = pending === undefined ? withPending(record, key) : record;
      return immediate ? withPrimary(added, id, this.#now()) : added;
    });
    this.#schedule();
    return id;
  }

  /** Takes in a key that was made elsewhere; as primary it writes at once. */
  async import(
    material: Parameters<typeof importForeignKey>[1],
    options: { id?: number | undefined; algorithm?: AlgorithmName | undefined; primary?: boolean | undefined },
  ): Promise<number> {
    const { algorithm = this.policy.algorithm, primary = false } = options;
    if (ALGORITHMS[algorithm].purpose !== ALGORITHMS[this.policy.algorithm].purpose)
      throw cryptoError(
        "CRYPTO_KEYSET_MISUSED",
        `a key for ${algorithm} cannot be in keyset "${this.name}", which is for ${ALGORITHMS[this.policy.algorithm].purpose}`,
      );
    const taken = new Set(this.snapshot.record.keys.map((key) => key.id));
    const id = options.id ?? newKeyId(taken);
    if (!Number.isInteger(id) || id < 1 || id > 0xffff_ffff)
      throw cryptoError("CRYPTO_KEY_INVALID", `a key id is an integer from 1 to 4294967295, not ${id}`);
    const record = keyRecord(id, algorithm, importForeignKey(algorithm, material), this.#now());
    await this.change("imported", id, (before) => {
      const added = withPending(before, { ...record, state: "enabled" });
      return primary ? withPrimary(added, id, this.#now()) : added;
    });
    return id;
  }

  async #newKey(taken: ReadonlySet<number>): Promise<KeyRecord> {
    const { algorithm } = this.policy;
    return keyRecord(newKeyId(taken), algorithm, await ALGORITHMS[algorithm].generate(), this.#now());
  }

  /** Does everything that is due now, one step after the other. */
  async #settleDue(): Promise<void> {
    for (let step = 0; step < MAX_ATTEMPTS; step++) {
      const next = due(this.snapshot.record, this.policy, this.#now());
      if (next.action === "wait") return;
      await this.#do(next);
    }
  }

  async #do(step: Exclude<Due, { action: "wait" }>): Promise<void> {
    // Others may have been faster: what is due is asked again of the record that is changed.
    const stillDue = (record: KeysetRecord): boolean => {
      const now = due(record, this.policy, this.#now());
      return now.action === step.action && (!("id" in step) || ("id" in now && now.id === step.id));
    };
    if (step.action === "add") {
      const key = await this.#newKey(new Set(this.snapshot.record.keys.map(({ id }) => id)));
      return this.change("added", key.id, (record) => (stillDue(record) ? withPending(record, key) : undefined));
    }
    const [operation, apply] = STEPS[step.action];
    return this.change(operation, step.id, (record) =>
      stillDue(record) ? apply(record, step.id, this.#now()) : undefined,
    );
  }

  #schedule(): void {
    if (!this.#open) return;
    this.#timer?.cancel();
    const next = due(this.snapshot.record, this.policy, this.#now());
    const { retryMs, reachable } = this.#looks;
    const everyMs = Math.min(this.#parts.refreshEveryMs, reachable ? Number.POSITIVE_INFINITY : retryMs);
    const lookMs = everyMs * (0.9 + Math.random() * 0.2);
    const dueMs = next.action === "wait" ? next.forMs : retryMs;
    const inMs = Math.min(Math.ceil(lookMs), dueMs, MAX_TIMER_MS);
    this.#timer = this.#parts.clock.setTimeout(() => this.heard(), inMs, { unref: true });
  }

  async #tick(): Promise<void> {
    try {
      await this.refresh();
      if (this.#open) await this.#settleDue();
    } catch {
      this.#looks.failed();
    }
    if (this.#open) this.#schedule();
  }

  /** Somebody changed the keyset elsewhere. */
  heard(): void {
    if (this.#open) this.#goOn(this.#tick());
  }

  #goOn(work: Promise<void>): void {
    this.#background = Promise.all([this.#background, work]);
  }

  /** Current numbers. */
  stats(): Readonly<Record<string, unknown>> {
    const { record, primary } = this.snapshot;
    const key = record.keys.find(({ id }) => id === primary.id);
    return Object.freeze({
      revision: record.revision,
      keys: record.keys.length,
      primaryAgeMs: this.#now() - (key?.primaryAtMs ?? this.#now()),
      storeReachable: this.#looks.reachable,
      lookedMsAgo: this.#looks.agoMs,
    });
  }

  #now(): number {
    return this.#parts.clock.wallNow();
  }

  #audit(operation: KeyOperation, keyId: number | undefined, revision: number): void {
    publishKey({ resource: this.#parts.resource, keyset: this.name, operation, keyId, revision, atMs: this.#now() });
  }
}

const STEPS: Readonly<
  Record<
    "promote" | "disable" | "destroy",
    readonly [KeyOperation, (record: KeysetRecord, id: number, nowMs: number) => KeysetRecord]
  >
> = {
  promote: ["promoted", withPrimary],
  disable: ["disabled", withDisabled],
  destroy: ["destroyed", withDestroyed],
};

function exhausted(name: string, id: number, propagationMs: number): StewardError {
  const why = `key ${shownId(id)} has no messages left that were set aside (limit 2^32 a key, in all instances together)`;
  return cryptoError(
    "CRYPTO_KEY_EXHAUSTED",
    `keyset "${name}": ${why}; a new key follows within ${propagationMs} ms, or rotate now`,
    { retryable: true },
  );
}

function keyRecord(id: number, algorithm: AlgorithmName, key: KeyObject, nowMs: number): KeyRecord {
  return { id, algorithm, state: "pending", createdAtMs: nowMs, key };
}

/** Errors after which the store may know better: the key may be new, or enabled again. */
export function mayBeOutdated(error: unknown): error is StewardError {
  return isStewardError(error, "CRYPTO_KEY_UNKNOWN") || isStewardError(error, "CRYPTO_KEY_DISABLED");
}
