import { createHash, randomBytes } from "node:crypto";
import type { Clock } from "@steward/core";
import { assertShape, listOf, recognised, required, shape, text, type Shape } from "@steward/core/driver";
import { credentialsInvalid, setupInvalid, tokenInvalid } from "../../errors.ts";
import type { Credentials, PasswordSignIn } from "../../passwords/sign-in.ts";
import { hasNul, isScope, isSubject, isText, type TokenPrincipal } from "../../tokens/access-token.ts";
import { publisherOf, type Publish } from "../../tokens/events.ts";
import { GrantedScopes } from "../../tokens/granted.ts";
import { Remembered } from "../../tokens/remembered.ts";
import type { EndedSessions } from "../ends.ts";
import type { StoreCalls } from "../store-calls.ts";
import type { CheckedSessions } from "./options.ts";
import type { CookieSessionStore, StoredCookieSession } from "./store.ts";

/** For whom a cookie session begins. */
export interface SessionIssuance {
  /** Id of the user: text of up to 255 characters. */
  readonly subject: string;
  /** What it allows; none by default. */
  readonly scopes?: readonly string[] | undefined;
  /** `user-agent` of the client, for the list of its user. */
  readonly userAgent?: string | undefined;
  /** The cookie that the client has shown, whose session ends in the same step. */
  readonly replaces?: string | undefined;
}

/** What somebody signs in with, and for what. */
export interface SessionSignIn extends Credentials, Omit<SessionIssuance, "subject"> {}

/** A new cookie session. */
export interface BegunSession {
  /** Value of the cookie. It is known this once: only a hash of it is stored. */
  readonly value: string;
  /** When it ends in any case, in ms from now. */
  readonly maxAgeMs: number;
  readonly subject: string;
}

/** A session that a cookie names. */
export interface FoundSession {
  readonly principal: TokenPrincipal;
  /** What the app keeps in it. */
  readonly fields: Readonly<Record<string, string>>;
}

/** A session in the list of its user. */
export type ListedSession = Omit<StoredCookieSession, "fields" | "endsInMs">;

/** Sessions that a browser keeps as a cookie. */
export interface CookieSessions {
  /**
   * Begins a session, always with a new value.
   * @throws {AUTH_SETUP_INVALID} without the option `sessions`.
   * @throws {AUTH_STORE_UNAVAILABLE} when its store does not answer.
   */
  begin(to: SessionIssuance): Promise<BegunSession>;
  /**
   * Begins a session of the user whose password it is; `device` is as in `signIn`.
   * @throws {AUTH_CREDENTIALS_INVALID} when it is refused, whatever the cause.
   * @throws {AUTH_RATE_LIMITED} when there were too many attempts.
   */
  signIn(as: SessionSignIn): Promise<BegunSession & { readonly device: string }>;
  /** Whose cookie it is; `undefined` where its session has ended, or it is none. It goes on from now. */
  find(value: string): Promise<FoundSession | undefined>;
  /**
   * Writes fields, each for itself, so that none of several requests loses what it writes; `null` takes one out.
   * @throws {AUTH_TOKEN_INVALID} when the session has ended; nothing brings it back.
   */
  write(value: string, changes: Readonly<Record<string, string | null>>): Promise<void>;
  /** Ends the session of a cookie, for good. Does nothing where there is none. */
  end(value: string): Promise<void>;
  /** The sessions of a user that go on, newest first. */
  list(subject: string): Promise<readonly ListedSession[]>;
  /** Ends a session of that user, by its id in the list, and of no other. `false` where there is none. */
  revoke(subject: string, id: string): Promise<boolean>;
}

/** What {@link Sessions} is made of. */
export interface SessionsParts {
  readonly resource: string;
  readonly clock: Clock;
  readonly issuer: string;
  readonly options: CheckedSessions | undefined;
  readonly passwords: PasswordSignIn;
  readonly calls: StoreCalls;
  /** How long it is remembered that a user may go on, in ms; 0 for not at all. */
  readonly cacheMs: number;
  /** Whether the user may still sign in. */
  readonly isActive: (subject: string) => Promise<boolean>;
  /** Says that sessions have ended. */
  readonly ended: (ended: EndedSessions) => void;
}

const VALUE = /^cs_[A-Za-z0-9_-]{43}$/;
const MAX_AGENT = 255;
const MAX_REMEMBERED = 10_000;
const scopesRule = listOf(recognised(isScope, 'a scope: 1 to 200 visible ASCII characters except " and \\'));
const subjectRule = required(recognised(isSubject, "text of 1 to 255 characters without NUL"));
const idRule = required(recognised(isText, "text of 1 to 255 characters"));
const beginShape: Shape<SessionIssuance> = /* @__PURE__ */ shape<SessionIssuance>(() => ({
  subject: subjectRule,
  scopes: scopesRule,
  userAgent: text(true),
  replaces: text(true),
}));
const signInShape = /* @__PURE__ */ shape<Omit<SessionIssuance, "subject">>(() => ({
  scopes: scopesRule,
  userAgent: text(true),
  replaces: text(true),
}));
const FIELD = /^[A-Za-z][\w.:-]{0,63}$/;
const changesRule = /* @__PURE__ */ required(
  recognised(
    (changes) => typeof changes === "object" && changes !== null && Object.entries(changes).every(isField),
    "fields: names of 1 to 64 of A-Z a-z 0-9 _ . : -, with text of at most 4,096 characters, or null",
  ),
);

/** Sessions of cookies. Each request asks the store, so an end is an end at once, on every instance. */
export class Sessions {
  readonly #parts: SessionsParts;
  readonly #publish: Publish;
  /** Users who may go on. */
  readonly #active: Remembered<true>;

  constructor(parts: SessionsParts) {
    this.#parts = parts;
    this.#publish = publisherOf(parts.resource);
    this.#active = new Remembered(parts.clock, MAX_REMEMBERED, parts.cacheMs);
  }

  /** Whether there are any. */
  get areKept(): boolean {
    return this.#parts.options !== undefined;
  }

  async begin(to: SessionIssuance, epoch?: number): Promise<BegunSession> {
    const { resource } = this.#parts;
    const { idleMs, absoluteMs, maxPerUser } = this.#options();
    assertShape(`${resource} sessions.begin`, beginShape, to);
    const { subject, scopes = [], userAgent = "", replaces } = to;
    const value = `cs_${randomBytes(32).toString("base64url")}`;
    const bounds = { idleMs, absoluteMs, maxPerUser, epoch, replaces: replaces && idOf(replaces) };
    const agent = userAgent.slice(0, MAX_AGENT).replaceAll("\0", "");
    const session = { id: idOf(value), subject, scopes: [...new Set(scopes)], userAgent: agent, ...bounds };
    if (!(await this.#ask((store) => store.create(session)))) throw credentialsInvalid(resource); // all have just ended
    if (session.replaces !== undefined)
      this.#parts.ended({ subject: undefined, sessions: [session.replaces], isAll: false });
    this.#publish("session-begin", subject);
    return { value, maxAgeMs: absoluteMs, subject };
  }

  async signIn(as: SessionSignIn): Promise<BegunSession & { readonly device: string }> {
    const { scopes, userAgent, replaces, ...credentials } = as;
    this.#options();
    assertShape(`${this.#parts.resource} sessions.signIn`, signInShape, { scopes, userAgent, replaces });
    const epochOf = (id: string): Promise<number> => this.#ask((store) => store.epoch(id));
    const { subject, device, epoch } = await this.#parts.passwords.check(credentials, epochOf);
    return { ...(await this.begin({ subject, scopes, userAgent, replaces }, epoch)), device };
  }

  async find(value: string): Promise<FoundSession | undefined> {
    const { idleMs } = this.#options();
    if (!isValue(value)) return undefined;
    const id = idOf(value);
    const found = await this.#ask((store) => store.find(id));
    if (found === undefined || !(await this.#isActive(found.subject))) return undefined;
    // That it was used is written now and then; that this fails ends nothing at this moment.
    if (found.endsInMs < idleMs * 0.9) await this.#ask((store) => store.touch(id, idleMs)).catch(() => {}); // it is counted
    return { principal: this.#principalOf(found), fields: found.fields };
  }

  /** @throws {AUTH_TOKEN_INVALID} when there is no such session. */
  async verify(value: string): Promise<TokenPrincipal> {
    const found = this.areKept ? await this.find(value) : undefined;
    if (found !== undefined) return found.principal;
    this.#publish("verify", undefined, "its session has ended, or is none");
    throw tokenInvalid(this.#parts.resource);
  }

  async write(value: string, changes: Readonly<Record<string, string | null>>): Promise<void> {
    const { resource } = this.#parts;
    assertShape(`${resource} sessions.write`, changesRule, changes);
    const isWritten = isValue(value) && (await this.#ask((store) => store.write(idOf(value), changes)));
    if (!isWritten) throw tokenInvalid(resource);
  }

  async end(value: string): Promise<void> {
    if (!isValue(value)) return;
    const id = idOf(value);
    await this.#ask((store) => store.remove(id));
    this.#parts.ended({ subject: undefined, sessions: [id], isAll: false });
    this.#publish("sign-out", undefined);
  }

  async list(subject: string): Promise<readonly ListedSession[]> {
    assertShape(`${this.#parts.resource} sessions.list`, subjectRule, subject);
    const all = await this.#ask((store) => store.list(subject));
    return all.map(({ fields: _, endsInMs: __, ...listed }) => listed);
  }

  async revoke(subject: string, id: string): Promise<boolean> {
    assertShape(`${this.#parts.resource} sessions.revoke`, subjectRule, subject);
    assertShape(`${this.#parts.resource} sessions.revoke`, idRule, id);
    const found = hasNul(id) ? undefined : await this.#ask((store) => store.find(id));
    if (found?.subject !== subject) return false;
    await this.#ask((store) => store.remove(id));
    this.#parts.ended({ subject, sessions: [id], isAll: false });
    this.#publish("revoke", subject);
    return true;
  }

  /** The ids of a user's sessions. */
  async idsOf(subject: string): Promise<readonly string[]> {
    return (await this.#ask((store) => store.list(subject))).map(({ id }) => id);
  }

  /** Ends all sessions of a user, and those that begin at this moment. `known` are those that listeners hear of. */
  async endAll(subject: string, known: Promise<readonly string[]>): Promise<void> {
    const sessions = await known;
    await this.#ask((store) => store.raiseEpoch(subject));
    this.#parts.ended({ subject, sessions, isAll: true });
    this.#publish("revoke", subject);
  }

  async #isActive(subject: string): Promise<boolean> {
    if (this.#active.get(subject) === true) return true;
    const keep = this.#active.begin();
    const isActive = await this.#parts.isActive(subject);
    if (isActive) keep(subject, true);
    return isActive;
  }

  /** Looks every user up anew. */
  forget(): void {
    this.#active.forget();
  }

  #principalOf({ id, subject, scopes, beganAtMs, endsInMs }: StoredCookieSession): TokenPrincipal {
    const { issuer, clock } = this.#parts;
    const granted = new GrantedScopes(scopes);
    const expiresAtMs = clock.wallNow() + endsInMs;
    return Object.freeze({
      subject,
      scopes: granted,
      session: id,
      issuer,
      tokenId: undefined,
      issuedAtMs: beganAtMs,
      authenticatedAtMs: beganAtMs,
      expiresAtMs,
    });
  }

  #ask<T>(work: (store: CookieSessionStore) => Promise<T>): Promise<T> {
    const store = this.#options().store();
    return this.#parts.calls.run("sessions", () => work(store));
  }

  #options(): CheckedSessions {
    const { options, resource } = this.#parts;
    if (options === undefined) throw setupInvalid(resource, "sessions");
    return options;
  }
}

/** What users of a manager are handed. */
export function sessionsOf(
  sessions: Sessions,
  ready: () => void,
  assertOurs: (subject: string) => void,
): CookieSessions {
  const checked =
    <A extends readonly unknown[], R>(call: (...given: A) => Promise<R>) =>
    async (...given: A): Promise<R> => {
      ready();
      return call(...given);
    };
  return Object.freeze({
    begin: checked(async (to: SessionIssuance) => {
      if (isSubject(to.subject)) assertOurs(to.subject);
      return sessions.begin(to);
    }),
    signIn: checked((as: SessionSignIn) => sessions.signIn(as)),
    find: checked((value: string) => sessions.find(value)),
    write: checked((value: string, changes: Readonly<Record<string, string | null>>) => sessions.write(value, changes)),
    end: checked((value: string) => sessions.end(value)),
    list: checked((subject: string) => sessions.list(subject)),
    revoke: checked((subject: string, id: string) => sessions.revoke(subject, id)),
  });
}

function isField([name, value]: readonly [string, unknown]): boolean {
  if (!FIELD.test(name)) return false;
  return value === null || (typeof value === "string" && value.length <= 4_096 && isStorable(value));
}

/** Whether Postgres takes it: no zero, no half of a character. */
function isStorable(value: string): boolean {
  return !value.includes("\0") && Buffer.from(value).toString() === value;
}

function isValue(value: unknown): value is string {
  return typeof value === "string" && VALUE.test(value);
}

/** Under what a session is stored: 256 random bits need no slow hash. */
function idOf(value: string): string {
  return createHash("sha256").update(value).digest("base64url");
}
