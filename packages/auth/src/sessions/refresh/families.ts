import type { Clock } from "@steward/core";
import { refreshInvalid, tokenInvalid } from "../../errors.ts";
import { hasNul } from "../../tokens/access-token.ts";
import { publisherOf, type Publish } from "../../tokens/events.ts";
import { Remembered } from "../../tokens/remembered.ts";
import { isActive, type CheckedRefresh, type RevocationMode, type Users } from "./options.ts";
import type { EndedSessions } from "../ends.ts";
import type { StoreCalls } from "../store-calls.ts";
import type { Family, FamilyStore, ListedFamily } from "./store.ts";
import { agentOf, isAuthentic, newFamilyId, readRefreshToken, writeRefreshToken } from "./token.ts";
import type { RefreshToken, TokenMac } from "./token.ts";

/** How uses of refresh tokens ended, since the start. */
export interface RefreshCounts {
  rotated: number;
  replayed: number;
  reused: number;
  refused: number;
  unavailable: number;
}

/** What {@link Families} is made of. */
export interface FamiliesParts {
  readonly resource: string;
  readonly clock: Clock;
  readonly issuer: string;
  readonly options: CheckedRefresh;
  readonly users: Users | undefined;
  readonly mode: RevocationMode;
  readonly cacheMs: number;
  readonly calls: StoreCalls;
  /** Says that sessions have ended; what is remembered of them is forgotten then. */
  readonly ended: (ended: EndedSessions) => void;
}

/** A family with its present refresh token. */
export interface Held extends Pick<Family, "subject" | "scopes"> {
  readonly id: string;
  readonly refreshToken: string;
  /** When its user signed in, in ms since 1970. */
  readonly beganAtMs: number;
  /** When it ends unless it is used, in ms since 1970. */
  readonly endsAtMs: number;
}

const MAX_REMEMBERED = 10_000;

/** Families of refresh tokens: begins, goes on with and ends them. */
export class Families {
  readonly counts: RefreshCounts = { rotated: 0, replayed: 0, reused: 0, refused: 0, unavailable: 0 };
  readonly #parts: FamiliesParts;
  readonly #store: FamilyStore;
  readonly #mac: TokenMac;
  /** Families that were found to go on, for a while. */
  readonly #live: Remembered<true>;
  readonly #publish: Publish;

  constructor(parts: FamiliesParts) {
    this.#parts = parts;
    this.#store = parts.options.store();
    this.#mac = parts.options.mac();
    this.#publish = publisherOf(parts.resource);
    this.#live = new Remembered(parts.clock, MAX_REMEMBERED, parts.mode === "checked" ? parts.cacheMs : 0);
  }

  /** Begins one. @returns `undefined` where the epoch that the sign-in began in is over. */
  async begin(
    subject: string,
    scopes: readonly string[],
    userAgent: string | undefined,
    epoch?: number,
  ): Promise<Held | undefined> {
    const { clock, options } = this.#parts;
    const { idleMs, absoluteMs, maxPerUser } = options;
    const id = newFamilyId();
    const refreshToken = await this.#write(id, 0);
    const family = { id, subject, scopes, agent: agentOf(userAgent), idleMs, absoluteMs, maxPerUser, epoch };
    if (!(await this.#ask(() => this.#store.create(family)))) return undefined;
    const beganAtMs = clock.wallNow();
    return { id, subject, scopes, refreshToken, beganAtMs, endsAtMs: beganAtMs + idleMs };
  }

  /** The subject's epoch, in which a sign-in begins. */
  epoch(subject: string): Promise<number> {
    return this.#ask(() => this.#store.epoch(subject));
  }

  /**
   * Goes on with the family of a token.
   * @throws {AUTH_TOKEN_INVALID} when it is refused, whatever the cause.
   * @throws {AUTH_STORE_UNAVAILABLE} when that cannot be found out; the token stays as good as it was.
   */
  async use(text: string, userAgent: string | undefined): Promise<Held> {
    try {
      return await this.#used(text, userAgent);
    } catch (error) {
      if (!(error instanceof NotUsed)) {
        this.counts.unavailable++;
        throw error;
      }
      this.counts[error.outcome]++;
      this.#publish("refresh", error.subject, error.message);
      throw refreshInvalid(this.#parts.resource);
    }
  }

  async #used(text: string, userAgent: string | undefined): Promise<Held> {
    const { clock, options } = this.#parts;
    const token = await this.#authentic(text);
    if (token === undefined) throw new NotUsed("refused", undefined, "it is none of ours");
    const { family: id, counter } = token;
    await this.#refuseDisabled(id);
    const { idleMs, reuseGraceMs: graceMs } = options;
    const next = { counter, agent: agentOf(userAgent), idleMs, graceMs };
    const refreshToken = await this.#write(id, counter + 1); // before the store changes: it may fail
    const found = await this.#ask(() => this.#store.rotate(id, next));
    if (found.outcome === "unknown") throw new NotUsed("refused", undefined, "its family has ended");
    if (found.outcome === "reused") {
      this.#parts.ended({ subject: found.subject, sessions: [id], isAll: false });
      throw new NotUsed("reused", found.subject, "it was used before, so its family has ended");
    }
    this.counts[found.outcome]++;
    const { subject, scopes, beganAtMs, endsInMs } = found.family;
    this.#publish("refresh", subject);
    return { id, subject, scopes, refreshToken, beganAtMs, endsAtMs: clock.wallNow() + endsInMs };
  }

  /** Ends the family of a user who is gone or disabled; nothing else has to be asked of a store for it. */
  async #refuseDisabled(id: string): Promise<void> {
    const { users } = this.#parts;
    if (users === undefined) return;
    const family = await this.#ask(() => this.#store.find(id));
    if (family === undefined) return; // the store says so once more
    const user = await this.#parts.calls.run("users", () => users.find(family.subject));
    if (isActive(user)) return;
    await this.end(id);
    throw new NotUsed("refused", family.subject, "its user is disabled or gone");
  }

  /** Ends the family of an authentic token, used or not; does nothing for any other. */
  async endOf(text: string): Promise<void> {
    const token = await this.#authentic(text);
    if (token === undefined) return;
    await this.end(token.family);
    this.#publish("sign-out", undefined);
  }

  async end(id: string): Promise<void> {
    await this.#ask(() => this.#store.remove(id));
    this.#parts.ended({ subject: undefined, sessions: [id], isAll: false });
  }

  /** Those of a user that go on, newest first. */
  list(subject: string): Promise<readonly ListedFamily[]> {
    return this.#ask(() => this.#store.list(subject));
  }

  /** Ends one of that user, and of no other. `false` where there is none. */
  async revoke(subject: string, id: string): Promise<boolean> {
    const found = hasNul(id) ? undefined : await this.#ask(() => this.#store.find(id));
    if (found?.subject !== subject) return false;
    await this.end(id);
    this.#publish("revoke", subject);
    return true;
  }

  /** Ends all families of a user, and those that begin at this moment. */
  async endAll(subject: string): Promise<void> {
    await this.#ask(() => this.#store.raiseEpoch(subject));
    this.#parts.ended({ subject, sessions: [], isAll: true });
    this.#publish("revoke", subject);
  }

  /**
   * Refuses an access token whose family has ended, as far as the mode asks for it.
   * @throws {AUTH_TOKEN_INVALID} when it has.
   * @throws {AUTH_STORE_UNAVAILABLE} when that cannot be found out.
   */
  async assertLive(id: string, subject: string): Promise<void> {
    const { mode, resource } = this.#parts;
    if (mode === "expiry" || this.#live.get(id) === true) return;
    const keep = this.#live.begin();
    const family = await this.#ask(() => this.#store.find(id));
    if (family?.subject !== subject) {
      this.#publish("verify", subject, "its session has ended");
      throw tokenInvalid(resource);
    }
    keep(id, true);
  }

  /** Looks those families up anew that have ended; with `undefined` all. */
  forget(ended?: EndedSessions): void {
    if (ended === undefined || ended.isAll) this.#live.forget();
    else for (const id of ended.sessions) this.#live.drop(id);
  }

  async #authentic(text: string): Promise<RefreshToken | undefined> {
    const token = readRefreshToken(text);
    if (token === undefined) return undefined;
    const isOurs = await this.#ask(() => isAuthentic(this.#mac, this.#parts.issuer, token));
    return isOurs ? token : undefined;
  }

  #write(id: string, counter: number): Promise<string> {
    return this.#ask(() => writeRefreshToken(this.#mac, this.#parts.issuer, id, counter));
  }

  #ask<T>(work: () => Promise<T>): Promise<T> {
    return this.#parts.calls.run("refresh tokens", work);
  }
}

/** Why a token is refused; for operators alone. */
class NotUsed extends Error {
  readonly outcome: "reused" | "refused";
  readonly subject: string | undefined;

  constructor(outcome: "reused" | "refused", subject: string | undefined, reason: string) {
    super(reason);
    this.outcome = outcome;
    this.subject = subject;
  }
}
