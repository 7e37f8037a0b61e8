import { systemClock, type Clock } from "@steward/core";
import { assertShape, shape, wholeNumber, withMethods, type Shape } from "@steward/core/driver";
import { MemoryEntries } from "../memory-entries.ts";
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
  readonly #clock: Clock;
  readonly #entries: MemoryEntries<Entry>;

  constructor({ maxSessions = 100_000, clock = systemClock }: MemorySessionsOptions) {
    this.#clock = clock;
    this.#entries = new MemoryEntries(maxSessions, clock, "cookie sessions");
  }

  epoch: CookieSessionStore["epoch"] = async (subject) => this.#entries.epoch(subject);

  create: CookieSessionStore["create"] = async (session) => {
    const { id, subject, scopes, userAgent, idleMs, absoluteMs, maxPerUser, epoch, replaces } = session;
    if (epoch !== undefined && epoch !== this.#entries.epoch(subject)) return false;
    if (replaces !== undefined) this.#entries.remove(replaces);
    const [now, wall] = [this.#clock.now(), this.#clock.wallNow()];
    const times = { beganAtMs: wall, usedAtMs: wall, absoluteUntil: now + absoluteMs };
    const endsAt = now + Math.min(idleMs, absoluteMs);
    this.#entries.add(id, { id, subject, scopes, userAgent, ...times, endsAt, fields: new Map() }, maxPerUser);
    return true;
  };

  find: CookieSessionStore["find"] = async (id) => {
    const entry = this.#entries.live(id);
    return entry && this.#shown(entry);
  };

  touch: CookieSessionStore["touch"] = async (id, idleMs) => {
    const entry = this.#entries.live(id);
    if (entry === undefined) return;
    entry.endsAt = Math.min(entry.absoluteUntil, this.#clock.now() + idleMs);
    entry.usedAtMs = this.#clock.wallNow();
  };

  write: CookieSessionStore["write"] = async (id, changes) => {
    const entry = this.#entries.live(id);
    for (const [name, value] of Object.entries(changes))
      if (value === null) entry?.fields.delete(name);
      else entry?.fields.set(name, value);
    return entry !== undefined;
  };

  list: CookieSessionStore["list"] = async (subject) =>
    [...this.#entries.of(subject)].reverse().map((entry) => this.#shown(entry));

  remove: CookieSessionStore["remove"] = async (id) => this.#entries.remove(id);

  raiseEpoch: CookieSessionStore["raiseEpoch"] = async (subject) => this.#entries.raiseEpoch(subject);

  #shown({ endsAt, absoluteUntil: _, fields, ...rest }: Entry): StoredCookieSession {
    return { ...rest, endsInMs: endsAt - this.#clock.now(), fields: Object.fromEntries(fields) };
  }
}
