import { isStewardError, type Clock } from "@steward/core";
import { assertShape, listOf, milliseconds, recognised, required, shape } from "@steward/core/driver";
import { setupInvalid, tokenInvalid } from "../../errors.ts";
import { publisherOf, type Publish } from "../events.ts";
import type { EndedSessions } from "../../sessions/ends.ts";
import type { StoreCalls } from "../../sessions/store-calls.ts";
import { Remembered } from "../remembered.ts";
import { hasNul, isScope, isSubject, isText, type TokenPrincipal } from "../access-token.ts";
import type { VerificationCounts } from "../access-tokens.ts";
import { GrantedScopes } from "../granted.ts";
import { hashOf } from "../hash.ts";
import { hashOfSecret, isHash, makeKey, readKey } from "./key.ts";
import type { CheckedApiKeys } from "./options.ts";
import type { ApiKey, ApiKeyStore } from "./store.ts";

/** For whom an API key is made. */
export interface ApiKeyIssuance {
  /** Id of the user or service: text of up to 255 characters. */
  readonly subject: string;
  /** What its owner calls it: text of up to 255 characters. */
  readonly name: string;
  /** What it allows; nothing by default. */
  readonly scopes?: readonly string[] | undefined;
  /** How long it is good, in ms. Default: until it is revoked. */
  readonly ttlMs?: number | undefined;
}

/** A new API key. */
export interface IssuedApiKey {
  readonly id: string;
  /** What its owner keeps. It is shown this once: only a hash of it is stored. */
  readonly key: string;
}

/** Keys for programs, which requests carry as a bearer. */
export interface ApiKeys {
  /**
   * Makes one.
   * @throws {AUTH_SETUP_INVALID} without the option `apiKeys`.
   * @throws {AUTH_STORE_UNAVAILABLE} when its store does not answer.
   */
  create(to: ApiKeyIssuance): Promise<IssuedApiKey>;
  /** The keys of a user that are good, newest first, without what was shown once. */
  list(subject: string): Promise<readonly ApiKey[]>;
  /** Ends a key of that user, and of no other. `false` where there is none. */
  revoke(subject: string, id: string): Promise<boolean>;
}

/** What {@link ApiKeyring} is made of. */
export interface ApiKeyringParts {
  readonly resource: string;
  readonly clock: Clock;
  readonly issuer: string;
  readonly options: CheckedApiKeys | undefined;
  readonly calls: StoreCalls;
  /** How verifications ended, those of tokens too. */
  readonly counts: VerificationCounts;
  /** How long a good key is remembered, in ms; 0 for not at all. */
  readonly cacheMs: number;
  /** Throws where calls are refused now. */
  readonly ready: () => void;
  /** Throws where a subject is that of another issuer's user. */
  readonly assertOurs: (subject: string) => void;
  /** Whether the user may still sign in; asked of `users`, where there is that option. */
  readonly isActive: (subject: string) => Promise<boolean>;
  /** Says that a key has ended: no session, and not all. */
  readonly ended: (ended: EndedSessions) => void;
}

const MAX_REMEMBERED = 10_000;
const MAX_TTL_MS = 100 * 365 * 86_400_000;
const textRule = recognised(isSubject, "text of 1 to 255 characters without NUL");
const idRule = required(recognised(isText, "text of 1 to 255 characters"));
const issuanceShape = /* @__PURE__ */ shape<ApiKeyIssuance>(() => ({
  subject: required(textRule),
  name: required(textRule),
  scopes: listOf(recognised(isScope, 'a scope: 1 to 200 visible ASCII characters except " and \\')),
  ttlMs: milliseconds(1, MAX_TTL_MS),
}));

/** Makes API keys, and finds out whose they are. */
export class ApiKeyring implements ApiKeys {
  readonly #parts: ApiKeyringParts;
  /** Keys that were found to be good, by their hash, for a while. */
  readonly #good: Remembered<TokenPrincipal>;
  readonly #publish: Publish;

  constructor(parts: ApiKeyringParts) {
    this.#parts = parts;
    this.#publish = publisherOf(parts.resource);
    this.#good = new Remembered(parts.clock, MAX_REMEMBERED, parts.cacheMs);
  }

  create: ApiKeys["create"] = async (to) => {
    const { prefix } = this.#options();
    assertShape(`${this.#parts.resource} apiKeys.create`, issuanceShape, to);
    const { subject, name, scopes = [], ttlMs } = to;
    this.#parts.assertOurs(subject);
    const { id, text, hash } = makeKey(prefix);
    await this.#ask((store) => store.create({ id, hash, subject, scopes: [...new Set(scopes)], name, ttlMs }));
    this.#publish("api-key-create", subject);
    return { id, key: text };
  };

  list: ApiKeys["list"] = async (subject) => {
    assertShape(`${this.#parts.resource} apiKeys.list`, required(textRule), subject);
    return this.#ask((store) => store.list(subject));
  };

  revoke: ApiKeys["revoke"] = async (subject, id) => {
    assertShape(`${this.#parts.resource} apiKeys.revoke`, required(textRule), subject);
    assertShape(`${this.#parts.resource} apiKeys.revoke`, idRule, id);
    if (hasNul(id)) return false;
    const isRevoked = await this.#ask((store) => store.remove(subject, id));
    this.#parts.ended({ subject, sessions: [], isAll: false }); // others remember it as well
    if (isRevoked) this.#publish("api-key-revoke", subject);
    return isRevoked;
  };

  /** Whether a bearer is to be judged as an API key. */
  owns(value: unknown): value is string {
    const { options } = this.#parts;
    return options !== undefined && typeof value === "string" && value.startsWith(`${options.prefix}_`);
  }

  /**
   * Whose key it is.
   * @throws {AUTH_TOKEN_INVALID} when it is refused, whatever the cause.
   * @throws {AUTH_STORE_UNAVAILABLE} when that cannot be found out.
   */
  async verify(text: string): Promise<TokenPrincipal> {
    const { clock, counts } = this.#parts;
    const parts = readKey(text, this.#options().prefix);
    if (parts === undefined) throw this.#refusal(undefined, "it is no API key");
    const hash = hashOf(text);
    const known = this.#good.get(hash);
    if (known !== undefined && known.expiresAtMs > clock.wallNow()) {
      counts.remembered++;
      return known;
    }
    const keep = this.#good.begin();
    try {
      const principal = await this.#judged(parts.id, parts.secret);
      keep(hash, principal);
      counts.accepted++;
      return principal;
    } catch (error) {
      if (!isStewardError(error, "AUTH_TOKEN_INVALID")) counts.unavailable++;
      throw error;
    }
  }

  async #judged(id: string, secret: string): Promise<TokenPrincipal> {
    const found = await this.#ask((store) => store.find(id));
    const isRight = isHash(hashOfSecret(secret), found?.hash ?? "");
    if (found === undefined || !isRight) throw this.#refusal(undefined, "it is not known, over or revoked");
    const { subject, scopes, createdAtMs, expiresAtMs = Number.POSITIVE_INFINITY } = found.key;
    if (!(await this.#parts.isActive(subject))) throw this.#refusal(subject, "its user is disabled or gone");
    if (found.isUseDue) await this.#ask((store) => store.used(id)).catch(() => {}); // counted; it decides nothing
    const { issuer } = this.#parts;
    return Object.freeze({
      subject,
      scopes: new GrantedScopes(scopes),
      session: undefined,
      issuer,
      tokenId: id,
      issuedAtMs: createdAtMs,
      expiresAtMs,
    });
  }

  /** Looks every key up anew, where a key may have ended, or its user with all sessions. */
  forget(ended?: EndedSessions): void {
    if (ended === undefined || ended.isAll || ended.sessions.length === 0) this.#good.forget();
  }

  #options(): CheckedApiKeys {
    const { ready, options, resource } = this.#parts;
    ready();
    if (options === undefined) throw setupInvalid(resource, "apiKeys");
    return options;
  }

  #ask<T>(work: (store: ApiKeyStore) => Promise<T>): Promise<T> {
    const store = this.#options().store();
    return this.#parts.calls.run("API keys", () => work(store));
  }

  #refusal(subject: string | undefined, reason: string): Error {
    this.#parts.counts.refused++;
    this.#publish("verify", subject, reason);
    return tokenInvalid(this.#parts.resource);
  }
}
