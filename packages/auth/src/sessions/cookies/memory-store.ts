import { StewardError, systemClock, type Clock } from "@steward/core";
import { assertShape, shape, wholeNumber, withMethods, type Shape } from "@steward/core/driver";
import type { CookieSessionStore, StoredCookieSession } from "./store.ts";

/** How {@link memorySessions} is made. */
export interface MemorySessionsOptions {
  /** Most sessions; above them a sign-in is refused. Default 100,000. */
  readonly maxSessions?: number | undefined;
  /** Where time comes from. Default: the real clock. */
  readonly clock?: Clock | undefined;
}

const memoryShape: Shape<MemorySessionsOptions> = shape<MemorySessionsOptions>(() => ({
  maxSessions: wholeNumber(1),
  clock: withMethods("a clock", "now", "wallNow"),
}));

interface Entry extends Omit<StoredCookieSession, "endsInMs" | "fields" | "usedAtMs"> {
  readonly absoluteUntil: number;
  readonly fields: Map<string, string>;
  usedAtMs: number;
  endsAt: number;
}

/**
 * Keeps cookie sessions in the memory of one process: for tests, and where one process answers everything. After a
 * restart everybody has to sign in again.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 *
 * @example
 * ```ts
 * import { memorySessions } from "@steward/auth";
 * console.log(await memorySessions({ maxSessions: 1_000 }).list("ada")); // => []
 * ```
 */
export function memorySessions(options: MemorySessionsOptions = {}): CookieSessionStore {
  assertShape("memorySessions", memoryShape, options);
  return new MemorySessions(options);
}

class MemorySessions implements CookieSessionStore {
  readonly #max: number;
  readonly #clock: Clock;
  /** In the order in which they began. */
  readonly #entries = new Map<string, Entry>();
  readonly #epochs = new Map<string, number>();

  constructor({ maxSessions = 100_000, clock = systemClock }: MemorySessionsOptions) {
    this.#max = maxSessions;
    this.#clock = clock;
  }

  epoch: CookieSessionStore["epoch"] = async (subject) => this.#epochs.get(subject) ?? 0;

  create: CookieSessionStore["create"] = async (session) => {
    const { id, subject, scopes, userAgent, idleMs, absoluteMs, maxPerUser, epoch, replaces } = session;
    if (epoch !== undefined && epoch !== (this.#epochs.get(subject) ?? 0)) return false;
    if (replaces !== undefined) this.#entries.delete(replaces);
    this.#makeRoom();
    const own = this.#of(subject);
    for (const old of own.slice(0, Math.max(0, own.length + 1 - maxPerUser))) this.#entries.delete(old.id);
    const [now, wall] = [this.#clock.now(), this.#clock.wallNow()];
    const times = { beganAtMs: wall, usedAtMs: wall, absoluteUntil: now + absoluteMs };
    const endsAt = now + Math.min(idleMs, absoluteMs);
    this.#entries.set(id, { id, subject, scopes, userAgent, ...times, endsAt, fields: new Map() });
    return true;
  };

  find: CookieSessionStore["find"] = async (id) => {
    const entry = this.#live(id);
    return entry && this.#shown(entry);
  };

  touch: CookieSessionStore["touch"] = async (id, idleMs) => {
    const entry = this.#live(id);
    if (entry === undefined) return;
    entry.endsAt = Math.min(entry.absoluteUntil, this.#clock.now() + idleMs);
    entry.usedAtMs = this.#clock.wallNow();
  };

  write: CookieSessionStore["write"] = async (id, changes) => {
    const entry = this.#live(id);
    for (const [name, value] of Object.entries(changes))
      if (value === null) entry?.fields.delete(name);
      else entry?.fields.set(name, value);
    return entry !== undefined;
  };

  list: CookieSessionStore["list"] = async (subject) =>
    this.#of(subject)
      .reverse()
      .map((entry) => this.#shown(entry));

  remove: CookieSessionStore["remove"] = async (id) => void this.#entries.delete(id);

  raiseEpoch: CookieSessionStore["raiseEpoch"] = async (subject) => {
    this.#epochs.set(subject, (this.#epochs.get(subject) ?? 0) + 1);
    for (const { id } of this.#of(subject)) this.#entries.delete(id);
  };

  #of(subject: string): Entry[] {
    return [...this.#entries.values()].filter((entry) => entry.subject === subject && this.#live(entry.id) === entry);
  }

  #live(id: string): Entry | undefined {
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.endsAt > this.#clock.now()) return entry;
    this.#entries.delete(id);
    return undefined;
  }

  #shown({ endsAt, absoluteUntil: _, fields, ...rest }: Entry): StoredCookieSession {
    return { ...rest, endsInMs: endsAt - this.#clock.now(), fields: Object.fromEntries(fields) };
  }

  #makeRoom(): void {
    if (this.#entries.size < this.#max) return;
    for (const id of this.#entries.keys()) this.#live(id);
    if (this.#entries.size < this.#max) return;
    throw new StewardError("OVERLOADED", `${this.#max} cookie sessions are kept, as many as may be`);
  }
}
