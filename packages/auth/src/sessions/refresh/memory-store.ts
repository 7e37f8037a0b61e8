import { StewardError, systemClock, type Clock } from "@steward/core";
import { assertShape, shape, wholeNumber, withMethods, type Shape } from "@steward/core/driver";
import { MAX_REPLAYS, type Family, type FamilyStore, type NewFamily, type Use } from "./store.ts";

/** How {@link memoryFamilies} is made. */
export interface MemoryFamiliesOptions {
  /** Most families; above them a sign-in is refused. Default 100,000. */
  readonly maxFamilies?: number | undefined;
  /** Where time comes from. Default: the real clock. */
  readonly clock?: Clock | undefined;
}

const memoryShape: Shape<MemoryFamiliesOptions> = shape<MemoryFamiliesOptions>(() => ({
  maxFamilies: wholeNumber(1),
  clock: withMethods("a clock", "now"),
}));

interface Entry {
  readonly subject: string;
  readonly scopes: readonly string[];
  readonly absoluteUntil: number;
  counter: number;
  agent: string;
  rotatedAt: number;
  endsAt: number;
  replays: number;
}

/**
 * Keeps families of refresh tokens in the memory of one process: for tests, and where one process answers everything.
 * After a restart everybody has to sign in again.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 *
 * @example
 * ```ts
 * import { memoryFamilies } from "@steward/auth";
 * console.log(await memoryFamilies({ maxFamilies: 1_000 }).epoch("ada")); // => 0
 * ```
 */
export function memoryFamilies(options: MemoryFamiliesOptions = {}): FamilyStore {
  assertShape("memoryFamilies", memoryShape, options);
  return new MemoryFamilies(options);
}

class MemoryFamilies implements FamilyStore {
  readonly #max: number;
  readonly #clock: Clock;
  /** In the order in which they began. */
  readonly #families = new Map<string, Entry>();
  readonly #epochs = new Map<string, number>();

  constructor({ maxFamilies = 100_000, clock = systemClock }: MemoryFamiliesOptions) {
    this.#max = maxFamilies;
    this.#clock = clock;
  }

  epoch: FamilyStore["epoch"] = async (subject) => this.#epochs.get(subject) ?? 0;

  create: FamilyStore["create"] = async (family) => {
    if (family.epoch !== undefined && family.epoch !== (this.#epochs.get(family.subject) ?? 0)) return false;
    this.#makeRoom();
    const own = [...this.#families].filter(([, { subject }]) => subject === family.subject);
    for (const [id] of own.slice(0, Math.max(0, own.length + 1 - family.maxPerUser))) this.#families.delete(id);
    this.#families.set(family.id, this.#entryOf(family));
    return true;
  };

  find: FamilyStore["find"] = async (id) => {
    const entry = this.#live(id);
    return entry && this.#familyOf(entry);
  };

  rotate: FamilyStore["rotate"] = async (id, use) => {
    const entry = this.#live(id);
    if (entry === undefined) return { outcome: "unknown" };
    if (use.counter === entry.counter) {
      const now = this.#clock.now();
      const { agent, counter } = use;
      const endsAt = Math.min(entry.absoluteUntil, now + use.idleMs);
      Object.assign(entry, { agent, counter: counter + 1, rotatedAt: now, endsAt, replays: 0 });
      return { outcome: "rotated", family: this.#familyOf(entry) };
    }
    if (!this.#isRetry(entry, use)) {
      this.#families.delete(id);
      return { outcome: "reused", subject: entry.subject };
    }
    entry.replays++;
    return { outcome: "replayed", family: this.#familyOf(entry) };
  };

  remove: FamilyStore["remove"] = async (id) => void this.#families.delete(id);

  raiseEpoch: FamilyStore["raiseEpoch"] = async (subject) => {
    this.#epochs.set(subject, (this.#epochs.get(subject) ?? 0) + 1);
    for (const [id, entry] of this.#families) if (entry.subject === subject) this.#families.delete(id);
  };

  #isRetry(entry: Entry, { counter, agent, graceMs }: Use): boolean {
    if (counter !== entry.counter - 1 || agent !== entry.agent || entry.replays >= MAX_REPLAYS) return false;
    return this.#clock.now() - entry.rotatedAt <= graceMs;
  }

  #entryOf({ subject, scopes, agent, idleMs, absoluteMs }: NewFamily): Entry {
    const now = this.#clock.now();
    const absoluteUntil = now + absoluteMs;
    const endsAt = Math.min(absoluteUntil, now + idleMs);
    return { subject, scopes, agent, absoluteUntil, endsAt, counter: 0, rotatedAt: now, replays: 0 };
  }

  #familyOf({ subject, scopes, counter, endsAt }: Entry): Family {
    return { subject, scopes, counter, endsInMs: endsAt - this.#clock.now() };
  }

  #live(id: string): Entry | undefined {
    const entry = this.#families.get(id);
    if (entry === undefined || entry.endsAt > this.#clock.now()) return entry;
    this.#families.delete(id);
    return undefined;
  }

  #makeRoom(): void {
    if (this.#families.size < this.#max) return;
    for (const id of this.#families.keys()) this.#live(id);
    if (this.#families.size < this.#max) return;
    throw new StewardError("OVERLOADED", `${this.#max} families of refresh tokens are kept, as many as may be`);
  }
}
