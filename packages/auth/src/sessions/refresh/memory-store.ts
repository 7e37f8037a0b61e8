import { systemClock, type Clock } from "@steward/core";
import { assertShape, shape, wholeNumber, withMethods, type Shape } from "@steward/core/driver";
import { MemoryEntries, type Ending } from "../memory-entries.ts";
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
  clock: withMethods("a clock", "now", "wallNow"),
}));

interface Entry extends Ending {
  readonly id: string;
  readonly scopes: readonly string[];
  readonly beganAtMs: number;
  readonly absoluteUntil: number;
  counter: number;
  agent: string;
  rotatedAt: number;
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
  readonly #clock: Clock;
  readonly #families: MemoryEntries<Entry>;

  constructor({ maxFamilies = 100_000, clock = systemClock }: MemoryFamiliesOptions) {
    this.#clock = clock;
    this.#families = new MemoryEntries(maxFamilies, clock, "families of refresh tokens");
  }

  epoch: FamilyStore["epoch"] = async (subject) => this.#families.epoch(subject);

  create: FamilyStore["create"] = async (family) => {
    const { id, subject, epoch, maxPerUser } = family;
    if (epoch !== undefined && epoch !== this.#families.epoch(subject)) return false;
    this.#families.add(id, this.#entryOf(family), maxPerUser);
    return true;
  };

  find: FamilyStore["find"] = async (id) => {
    const entry = this.#families.live(id);
    return entry && this.#familyOf(entry);
  };

  list: FamilyStore["list"] = async (subject) => {
    const sinceMs = this.#clock.wallNow() - this.#clock.now();
    return this.#families
      .of(subject)
      .map(({ id, scopes, beganAtMs, rotatedAt }) => ({
        id,
        subject,
        scopes,
        beganAtMs,
        usedAtMs: Math.floor(sinceMs + rotatedAt),
      }))
      .reverse();
  };

  rotate: FamilyStore["rotate"] = async (id, use) => {
    const entry = this.#families.live(id);
    if (entry === undefined) return { outcome: "unknown" };
    if (use.counter === entry.counter) {
      const now = this.#clock.now();
      const { agent, counter } = use;
      const endsAt = Math.min(entry.absoluteUntil, now + use.idleMs);
      Object.assign(entry, { agent, counter: counter + 1, rotatedAt: now, endsAt, replays: 0 });
      return { outcome: "rotated", family: this.#familyOf(entry) };
    }
    if (!this.#isRetry(entry, use)) {
      this.#families.remove(id);
      return { outcome: "reused", subject: entry.subject };
    }
    entry.replays++;
    return { outcome: "replayed", family: this.#familyOf(entry) };
  };

  remove: FamilyStore["remove"] = async (id) => this.#families.remove(id);

  raiseEpoch: FamilyStore["raiseEpoch"] = async (subject) => this.#families.raiseEpoch(subject);

  #isRetry(entry: Entry, { counter, agent, graceMs }: Use): boolean {
    if (counter !== entry.counter - 1 || agent !== entry.agent || entry.replays >= MAX_REPLAYS) return false;
    return this.#clock.now() - entry.rotatedAt <= graceMs;
  }

  #entryOf({ id, subject, scopes, agent, idleMs, absoluteMs }: NewFamily): Entry {
    const now = this.#clock.now();
    const absoluteUntil = now + absoluteMs;
    const times = { beganAtMs: this.#clock.wallNow(), rotatedAt: now, absoluteUntil };
    const endsAt = Math.min(absoluteUntil, now + idleMs);
    return { id, subject, scopes, agent, ...times, endsAt, counter: 0, replays: 0 };
  }

  #familyOf({ subject, scopes, counter, beganAtMs, endsAt }: Entry): Family {
    return { subject, scopes, counter, beganAtMs, endsInMs: endsAt - this.#clock.now() };
  }
}
