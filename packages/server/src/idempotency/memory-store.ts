import { StewardError, systemClock, type Clock, type IdempotencyStore, type KeptAnswer } from "@steward/core";
import { assertShape, shape, wholeNumber, withMethods, type Shape } from "@steward/core/driver";

/** Bounds of {@link memoryIdempotency}. */
export interface MemoryIdempotencyOptions {
  /** Most keys; above them the answer that was kept first goes. Default 10,000. */
  readonly maxKeys?: number;
  /** Most bytes of all answers together. Default 64 MiB. */
  readonly maxBytes?: number;
  /** Where time comes from. Default: the real clock. */
  readonly clock?: Clock;
}

const MIB = 1024 * 1024;

const memoryShape: Shape<MemoryIdempotencyOptions> = shape<MemoryIdempotencyOptions>(() => ({
  maxKeys: wholeNumber(1),
  maxBytes: wholeNumber(1),
  clock: withMethods("a clock", "now"),
}));

interface Entry {
  readonly owner: string;
  readonly fingerprint: string;
  readonly until: number;
  readonly bytes: number;
  readonly answer: KeptAnswer | undefined;
}

/**
 * Keeps answers in the memory of one process: for tests, and where one process answers everything. After a restart it
 * knows nothing.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 *
 * @example
 * ```ts
 * import { memoryIdempotency } from "@steward/server";
 * const store = memoryIdempotency({ maxKeys: 1_000 });
 * const claim = { owner: "a", fingerprint: "f", lockMs: 1_000 };
 * console.log(await store.begin("key", claim)); // => undefined
 * console.log((await store.begin("key", { ...claim, owner: "b" }))?.fingerprint); // => f
 * ```
 */
export function memoryIdempotency(options: MemoryIdempotencyOptions = {}): IdempotencyStore {
  assertShape("memoryIdempotency", memoryShape, options);
  return new MemoryStore(options);
}

class MemoryStore implements IdempotencyStore {
  readonly #maxKeys: number;
  readonly #maxBytes: number;
  readonly #clock: Clock;
  /** In the order in which they were taken or finished. */
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  constructor({ maxKeys = 10_000, maxBytes = 64 * MIB, clock = systemClock }: MemoryIdempotencyOptions) {
    this.#maxKeys = maxKeys;
    this.#maxBytes = maxBytes;
    this.#clock = clock;
  }

  begin: IdempotencyStore["begin"] = async (key, { owner, fingerprint, lockMs }) => {
    const found = this.#entries.get(key);
    if (found !== undefined && found.until > this.#clock.now())
      return { fingerprint: found.fingerprint, answer: found.answer };
    this.#drop(key);
    this.#makeRoom();
    this.#put(key, { owner, fingerprint, until: this.#clock.now() + lockMs, bytes: 0, answer: undefined });
    return undefined;
  };

  finish: IdempotencyStore["finish"] = async (key, owner, answer, ttlMs) => {
    const found = this.#entries.get(key);
    if (found?.owner !== owner) return;
    this.#drop(key);
    const bytes = sizeOf(answer);
    this.#put(key, { owner, fingerprint: found.fingerprint, until: this.#clock.now() + ttlMs, bytes, answer });
    for (const [oldest, { answer: kept }] of this.#entries) {
      if (this.#bytes <= this.#maxBytes) return;
      if (kept !== undefined) this.#drop(oldest);
    }
  };

  release: IdempotencyStore["release"] = async (key, owner) => {
    if (this.#entries.get(key)?.owner === owner) this.#drop(key);
  };

  /** What is over goes first, then the answer that was kept first; a request that is being answered keeps its key. */
  #makeRoom(): void {
    if (this.#entries.size < this.#maxKeys) return;
    const now = this.#clock.now();
    for (const [key, { until }] of this.#entries) if (until <= now) this.#drop(key);
    for (const [key, { answer }] of this.#entries) {
      if (this.#entries.size < this.#maxKeys) return;
      if (answer !== undefined) this.#drop(key);
    }
    if (this.#entries.size < this.#maxKeys) return;
    const message = `${this.#entries.size} requests with an idempotency key are being answered, as many as may be`;
    throw new StewardError("OVERLOADED", message, { retryable: true });
  }

  #put(key: string, entry: Entry): void {
    this.#entries.set(key, entry);
    this.#bytes += entry.bytes;
  }

  #drop(key: string): void {
    this.#bytes -= this.#entries.get(key)?.bytes ?? 0;
    this.#entries.delete(key);
  }
}

function sizeOf({ headers, body }: KeptAnswer): number {
  return headers.reduce((sum, [name, value]) => sum + name.length + value.length, body?.byteLength ?? 0);
}
